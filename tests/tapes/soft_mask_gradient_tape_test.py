"""The soft-masking tape alone, in loops of anyone's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import golden
from tfcl.tapes.importance import mean_over_elements, score
from tfcl.tapes.soft_mask_gradient_tape import SoftMaskGradientTape
from tfcl.testing import two_replicas

_TENSORS = tuple(
    key.removeprefix("grad_in.").removesuffix(".task0")
    for key in golden.load("spg/importance_pipeline.npz")
    if key.startswith("grad_in.") and key.endswith(".task0")
)


def _variable(value):
    return tf.Variable(np.zeros_like(value))


@pytest.mark.parametrize("keyword", ["importance", "plasticity"])
@pytest.mark.parametrize("kind", ["f64", "f32"])
def test_masked_gradients_are_those_of_the_program(kind, keyword):
    data = golden.load("spg/importance_pipeline.npz")
    dtype = {"f64": np.float64, "f32": np.float32}[kind]
    names = [key for key in data if key.startswith(f"{kind}.head_factor.")]
    for task in range(len(names)):
        wanted = [data[f"grad_in.{t}.task{task}"] for t in _TENSORS]
        head = [data[f"headgrad_in.{k}.task{task}"] for k in ("kernel", "bias")]
        gradients = [g.astype(dtype) for g in (*wanted, *head)]
        variables = [_variable(g) for g in gradients]
        pairs, factor = (), 1.0
        if task:
            masks = [data[f"{kind}.amax.{t}.task{task}"] for t in _TENSORS]
            factor = mean_over_elements([1 - mask for mask in masks])
            if keyword == "plasticity":
                masks = [1 - mask for mask in masks]
            pairs = list(zip(variables, masks))
        with SoftMaskGradientTape(
            **{keyword: pairs}, head=variables[-2:], head_factor=factor
        ) as tape:
            loss = tf.add_n(
                [tf.reduce_sum(v * g) for v, g in zip(variables, gradients)]
            )
        found = tape.gradient(loss, variables)
        keys = [f"{kind}.grad_out.{t}.task{task}" for t in _TENSORS]
        keys += [
            f"{kind}.headgrad_out.{k}.task{task}" for k in ("kernel", "bias")
        ]
        tolerance = {"f64": 1e-9, "f32": 5e-5}[kind]
        for key, gradient in zip(keys, found):
            np.testing.assert_allclose(
                gradient, data[key], tolerance, tolerance, err_msg=key
            )


class _MiniNet:
    """The network of the published run, in float64, in plain TensorFlow."""

    def __init__(self, data):
        self.data = data
        self.layers = {
            key.removeprefix("w."): tf.Variable(values[0])
            for key, values in data.items()
            if key.startswith("w.")
        }
        self.shared = [
            name for name in self.layers if not name.startswith("head")
        ]

    def features(self, images):
        get = self.layers.__getitem__
        hidden = tf.nn.conv2d(images, get("c1.kernel"), 1, "VALID")
        hidden = tf.nn.relu(hidden + get("c1.bias"))
        hidden = tf.nn.max_pool2d(hidden, 2, 2, "VALID")
        hidden = tf.nn.conv2d(hidden, get("c2.kernel"), 1, "VALID")
        hidden = tf.nn.relu(hidden + get("c2.bias"))
        hidden = tf.reshape(hidden, [len(images), -1])
        return tf.nn.relu(hidden @ get("fc1.kernel") + get("fc1.bias"))

    def logits(self, images, task):
        kernel = self.layers[f"head{task}.kernel"]
        return self.features(images) @ kernel + self.layers[f"head{task}.bias"]


def test_a_loop_of_ones_own_repeats_the_published_run():
    data = golden.load("spg/mini_run.npz")
    net = _MiniNet(data)
    rate, batch, epochs = data["hyper"]
    accumulated, step = None, 0
    for task in range(len(data["ncls"])):
        images = data[f"x.task{task}"].astype(np.float64)
        labels = data[f"y.task{task}"]
        rows = [
            slice(k, k + int(batch)) for k in range(0, len(labels), int(batch))
        ]
        pairs, factor = (), 1.0
        if task:
            pairs = [(net.layers[n], accumulated[n]) for n in net.shared]
            factor = mean_over_elements([1 - mask for _, mask in pairs])
        np.testing.assert_allclose(
            factor, data[f"head_factor.task{task}"], atol=1e-9
        )
        head = [net.layers[f"head{task}.{k}"] for k in ("kernel", "bias")]
        trained = [net.layers[name] for name in net.shared] + head
        for _ in range(int(epochs)):
            for part in rows:
                with SoftMaskGradientTape(
                    importance=pairs, head=head, head_factor=factor
                ) as tape:
                    loss = _mean_loss(net, images[part], labels[part], task)
                for variable, gradient in zip(
                    trained, tape.gradient(loss, trained)
                ):
                    variable.assign_sub(rate * gradient)
                np.testing.assert_allclose(
                    loss, data["step_loss"][step], atol=1e-9
                )
                step += 1
                for name, variable in net.layers.items():
                    np.testing.assert_allclose(
                        variable, data[f"w.{name}"][step], atol=1e-9
                    )
        importance = _importance(net, images, labels, task, rows)
        for name, found in importance.items():
            wanted = data[f"importance.task{task}.{name}"]
            np.testing.assert_allclose(found, wanted, atol=1e-9)
        if accumulated is None:
            accumulated = importance
        accumulated = {
            name: tf.maximum(accumulated[name], importance[name])
            for name in net.shared
        }
    assert step == len(data["step_loss"])


def _mean_loss(net, images, labels, task):
    logits = net.logits(images, task)
    return tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    )


def _importance(net, images, labels, task, rows):
    scores = []
    shared = [net.layers[name] for name in net.shared]
    for head in range(task + 1):
        with tf.GradientTape() as tape:
            if head == task:
                target = tf.add_n(
                    [_mean_loss(net, images[r], labels[r], task) for r in rows]
                )
            else:
                target = tf.reduce_sum(net.logits(images, head))
        gradients = tape.gradient(target, shared)
        for name, gradient in zip(net.shared, gradients):
            np.testing.assert_allclose(
                gradient,
                net.data[f"raw.task{task}.head{head}.{name}"],
                atol=1e-9,
            )
        scores.append([score(gradient) for gradient in gradients])
    return {
        name: tf.reduce_max(tf.stack(each), axis=0)
        for name, each in zip(net.shared, zip(*scores))
    }


def _pair():
    return tf.Variable([1.0, 2.0]), tf.constant([0.25, 1.0])


def test_what_is_not_named_keeps_its_gradient():
    variable, mask = _pair()
    other, unused = tf.Variable(3.0), tf.Variable(1.0)
    with SoftMaskGradientTape(importance=[(variable, mask)]) as tape:
        loss = tf.reduce_sum(variable**2) * other
    found = tape.gradient(loss, {"a": variable, "b": [other, unused]})
    np.testing.assert_allclose(found["a"], [4.5, 0.0])
    np.testing.assert_allclose(found["b"][0], 5.0)
    assert found["b"][1] is None


def test_a_persistent_tape_answers_again():
    variable, mask = _pair()
    with SoftMaskGradientTape([(variable, mask)], persistent=True) as tape:
        loss = tf.reduce_sum(variable**2)
        other = tf.reduce_sum(variable)
    for _ in range(2):
        np.testing.assert_allclose(tape.gradient(loss, variable), [1.5, 0])
        np.testing.assert_allclose(tape.gradient(other, variable), [0.75, 0])


def test_an_outer_tape_differentiates_through_the_mask():
    variable, mask = _pair()
    with tf.GradientTape() as outer:
        with SoftMaskGradientTape(importance=[(variable, mask)]) as tape:
            loss = tf.reduce_sum(variable**3)
        first = tape.gradient(loss, variable)
    np.testing.assert_allclose(first, [2.25, 0.0])
    second = outer.gradient(first, variable)
    np.testing.assert_allclose(second, [4.5, 0.0])


def test_rows_of_an_embedding_are_masked():
    table, mask = tf.Variable(tf.ones((3, 2))), tf.constant([[0.5] * 2] * 3)
    with SoftMaskGradientTape(importance=[(table, mask)]) as tape:
        loss = tf.reduce_sum(tf.gather(table, [2, 0]))
    found = tape.gradient(loss, table)
    assert isinstance(found, tf.IndexedSlices)
    np.testing.assert_allclose(
        tf.convert_to_tensor(found), [[0.5, 0.5], [0, 0], [0.5, 0.5]]
    )


def test_keras_models_and_mixed_precision():
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2, dtype="mixed_bfloat16")]
    )
    variables = model.trainable_variables
    pairs = [(v, tf.fill(v.shape, 0.5)) for v in variables]
    inputs = tf.ones((4, 3))
    found = []
    for tape in (tf.GradientTape(), SoftMaskGradientTape(pairs)):
        with tape:
            loss = tf.reduce_sum(model(inputs))
        found.append(tape.gradient(loss, [v.value for v in variables]))
    for plain, masked in zip(*found):
        np.testing.assert_allclose(plain, 2 * masked)


def test_replicas_mask_their_parts_and_clip_by_the_whole():
    strategy = two_replicas()
    with strategy.scope():
        shared, head = (tf.Variable([1.0, 1.0]) for _ in range(2))
        mask = tf.Variable([0.5, 0.0])

    def step(inputs):
        context = tf.distribute.get_replica_context()
        with SoftMaskGradientTape(
            importance=[(shared, mask)],
            head=[head],
            head_clip=1.0,
            sum_over_replicas=lambda v: context.all_reduce("SUM", v),
        ) as tape:
            loss = tf.reduce_sum(inputs * shared) + tf.reduce_sum(inputs * head)
        return tape.gradient(loss, [shared, head])

    @tf.function
    def both():
        parts = strategy.experimental_distribute_values_from_function(
            lambda context: (
                tf.constant([3.0, 4.0])
                * (context.replica_id_in_sync_group + 1.0)
            )
        )
        found = strategy.run(step, args=(parts,))
        return [strategy.reduce("SUM", g, axis=None) for g in found]

    found = both()
    np.testing.assert_allclose(found[0], [4.5, 12.0])
    np.testing.assert_allclose(found[1], np.array([9, 12]) / 15, rtol=1e-5)


def test_jacobians_are_refused():
    with SoftMaskGradientTape() as tape:
        pass
    with pytest.raises(NotImplementedError, match=r"tf\.GradientTape"):
        tape.jacobian(None, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (lambda v, m: {"importance": [(v, m[:1])]}, "shapes"),
        (lambda v, m: {"importance": [(v, m), (v, m)]}, "once"),
        (lambda v, m: {"importance": [(v, m)], "head": [v]}, "once"),
        (lambda v, m: {"head_clip": 0.0}, "head_clip"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SoftMaskGradientTape(**options(*_pair()))
