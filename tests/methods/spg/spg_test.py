"""SPG: the contract, importance by several ways, protection."""

import dataclasses
import functools
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import running, toy_run
from tfcl.engine.loop import learn_stream
from tfcl.errors import Interrupted
from tfcl.methods.spg import importance_pass
from tfcl.methods.spg.spg import SPG
from tfcl.methods.work import Accumulate
from tfcl.models.backbones.spg_alexnet import spg_alexnet
from tfcl.models.surgery.top_dense import top_dense
from tfcl.models.variables import statistic
from tfcl.optimizers.plain_sgd import PlainSGD
from tfcl.optimizers.schedules import Constant
from tfcl.testing import (
    learned,
    run_method_test,
    runner_for,
    tiny_stream,
    tiny_training,
    two_replicas,
)

_alexnet = functools.partial(
    spg_alexnet, channels=(4, 1, 6), hidden_units=(10, 12)
)


def _training(**kwargs):
    return tiny_training(**{"hidden_units": (), "dropout": 0.0, **kwargs})


def test_spg(tmp_path):
    run_method_test(
        lambda: SPG(_training(), heads_per_pass=2, importance_batch_size=24),
        tmp_path,
        forgets=True,
    )


def test_kills_change_nothing(tmp_path):
    """With random layers inside the backbone and several passes per task."""

    stream = toy_run.toy_stream(image_shape=(12, 12, 3))
    toy_run.assert_kills_change_nothing(
        tmp_path, lambda: _dropping(heads_per_pass=2), moments=3, stream=stream
    )


def _with_batch_norm(image_shape):
    inputs = keras.Input(image_shape)
    hidden = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    hidden = keras.layers.BatchNormalization(name="norm")(hidden)
    hidden = keras.layers.ReLU()(hidden)
    hidden = keras.layers.GlobalAveragePooling2D()(hidden)
    return keras.Model(inputs, hidden)


def _scores(
    backbone, strategy=None, image_shape=(12, 12, 3), task_batch=None, **options
):
    """Raw gradients of two heads after task 1, no dropout in the way."""
    strategy = strategy or tf.distribute.get_strategy()
    stream = tiny_stream((2, 3), image_shape=image_shape, train_size=70)()
    method = SPG(_training(backbone=backbone), **options)
    with strategy.scope():
        method.setup(stream.spec(), seed=3)
    runner = runner_for(method, image_shape, strategy=strategy)
    found, banked = [], {}
    method.recall = banked.__getitem__
    for task in stream:
        task = dataclasses.replace(task, batch_size=task_batch)
        with strategy.scope():
            method.begin_task(task)
        phases = method.phases(task)
        next(phases)
        for phase in phases:
            size = phase.batch_size
            runner.accumulate(phase, task.train, size, [1, 2])
            phase.then()
            count, own, *_ = method._pass._counts.numpy()
            for number in range(count):
                gradients = method._pass.gradients(number, own and not number)
                found += [tf.convert_to_tensor(g).numpy() for g in gradients]
        banked[task.index] = method.bank_values()
    return method, found


def _plainly(method, task, head, index, batch=16):
    """Gradients of an objective by one tape over all data."""
    split = task.train
    images = (split.images / np.float32(255) - split.mean) / split.std
    variables = [owned.variable.value for owned in method.shared]
    with tf.GradientTape() as tape:
        features = method.network().backbone(images)
        if head is not None:
            target = tf.reduce_sum(features @ head)
        else:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                split.labels, method.head(features)
            )
            parts = range(0, len(split), batch)
            target = sum(tf.reduce_mean(losses[k : k + batch]) for k in parts)
    return [g.numpy() for g in tape.gradient(target, variables)]


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("heads", [1, 10])
def test_gradients_of_all_heads_are_those_of_one_tape_each(replicas, heads):
    strategy = two_replicas() if replicas == 2 else None
    options = {"heads_per_pass": heads, "importance_batch_size": 27}
    method, found = _scores(_alexnet, strategy, **options)
    stream = tiny_stream((2, 3), image_shape=(12, 12, 3), train_size=70)()
    first = SPG(_training(backbone=_alexnet))
    first.setup(stream.spec(), seed=3)
    first.begin_task(stream.tasks[0])
    head = first.bank_values()["head/kernel_0"]
    wanted = _plainly(first, stream.tasks[0], None, 0)
    first.begin_task(stream.tasks[1])
    wanted += _plainly(first, stream.tasks[1], None, 1)
    wanted += _plainly(first, stream.tasks[1], head, 0)
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_the_own_loss_is_weighted_by_the_batches_of_the_task():
    method, found = _scores(_alexnet, task_batch=9)
    stream = tiny_stream((2, 3), image_shape=(12, 12, 3), train_size=70)()
    task = stream.tasks[0]
    method.begin_task(task)
    wanted = _plainly(method, task, None, 0, batch=9)
    for one, other in zip(found, wanted):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def _dropping(**kwargs):
    training = toy_run.toy_training(
        backbone=functools.partial(
            _alexnet, early_dropout=0.1, late_dropout=0.2
        ),
        epochs=1,
        hidden_units=(),
        dropout=0.3,
    )
    return SPG(training, **kwargs)


def test_a_stop_inside_a_pass_repeats_it(tmp_path):
    """Also what dropout has drawn in the part that counts no more."""
    make = functools.partial(_dropping, importance_batch_size=16)
    stream = toy_run.toy_stream((2, 3), image_shape=(12, 12, 3))
    with toy_run.no_figures():
        wanted = toy_run.learn(tmp_path / "straight", make(), stream)
        run = toy_run.open_run(tmp_path / "stopped", make(), stream)
        accumulate, asked = run.runner.accumulate, []

        def wished():
            asked.append(run.journal.position.task)
            return asked.count(1) == 2  # The second call of task 1.

        def stopped(*args):
            return accumulate(*args[:-1], wished)

        run.runner.accumulate = stopped
        run.start({})
        with pytest.raises(Interrupted):
            learn_stream(run)
        run.close()
        assert asked == [0, 0, 1, 1]  # 64 images, 2 steps of 16 a call.
        found = toy_run.learn(tmp_path / "stopped", make(), stream)
    assert found.found == 1
    toy_run.assert_same_outcome(found, wanted)


def test_dropout_of_the_backbone_differs_between_replicas():
    """And repeats with the step's seed."""
    strategy, shape = two_replicas(), (12, 12, 3)
    stream = tiny_stream((2,), image_shape=shape)()
    method = _dropping()
    with strategy.scope():
        method.setup(stream.spec(), seed=3)
        features = [
            statistic(np.zeros((2, 12)), f"features_{k}") for k in range(2)
        ]
    runner = runner_for(method, shape, np.float32, strategy=strategy)
    # One image, four times: two replicas, two examples each.
    images = np.repeat(np.ones((1, *shape), np.float32), 4, 0)
    split = running.plain_split(images, np.zeros(4, np.int32))

    def step(batch):
        found = method.features(batch.images, training=True)
        mine = tf.cast(tf.range(2) == batch.positions[0], tf.float32)
        return [place * found for place in tf.unstack(mine)]

    def drawn(seed):
        runner.accumulate(Accumulate("draws", step, features), split, 4, seed)
        return np.stack([each.numpy() for each in features])

    once, again, other = drawn([1, 2]), drawn([1, 2]), drawn([1, 3])
    np.testing.assert_array_equal(once, again)
    rows = np.concatenate([*once, *other])
    assert len(np.unique(rows, axis=0)) == len(rows) == 8


def test_the_closed_form_is_the_product():
    """Of the dense layer on top, with dropout behind it."""
    backbone = functools.partial(_alexnet, late_dropout=0.4)
    keras.utils.set_random_seed(1)
    _, found = _scores(backbone)
    keras.utils.set_random_seed(1)
    with mock.patch.object(importance_pass, "top_dense", lambda backbone: None):
        _, wanted = _scores(backbone)
    for one, other in zip(found, wanted):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_dropout_is_active_in_the_pass_unless_it_is_switched_off():
    backbone = functools.partial(_alexnet, late_dropout=0.4)
    with_dropout = _scores(backbone)[1]
    without = _scores(backbone, importance_dropout=False)[1]
    plain = _scores(_alexnet)[1]
    for one, other in zip(without, plain):
        np.testing.assert_array_equal(one, other)
    assert not np.allclose(with_dropout[0], plain[0])


def test_the_pass_leaves_running_statistics_alone():
    method, found = _scores(_with_batch_norm)
    values = {o.name: o.variable.numpy() for o in method.shared}
    np.testing.assert_array_equal(values["norm/moving_mean"], 0.0)
    np.testing.assert_array_equal(values["norm/moving_variance"], 1.0)
    # Kernel, bias, gamma and beta: they get gradients and protection.
    assert len(method.plasticity) == 4 and len(found) == 12
    assert method.network().backbone.get_layer("norm").trainable


def test_a_tensor_of_one_element_gets_no_importance():
    """The second convolution has a single filter, so a single bias."""
    method, _ = _scores(_alexnet)
    alone = [p.numpy() for p in method.plasticity if p.shape == (1,)]
    assert len(alone) == 1 and alone[0] == 1.0
    assert all(np.isfinite(p.numpy()).all() for p in method.plasticity)


def test_what_is_blocked_does_not_move_and_the_rest_does(tmp_path):
    class Blocking(SPG):
        def protect(self, importance):
            blocked = [
                tf.cast(
                    tf.random.stateless_uniform(i.shape, [1, 2]) < 0.5, i.dtype
                )
                for i in importance
            ]
            super().protect(blocked)

    def method():
        training = _training(
            epochs=2, optimizer=PlainSGD, schedule=Constant(0.1)
        )
        return Blocking(training)

    runs = [
        learned(tmp_path, method(), class_counts=counts)
        for counts in ((2,), (2, 2))
    ]
    notes = runs[0].results()["tasks"][0]["method"]
    assert 0.4 < notes["blocked"] < 0.6
    np.testing.assert_allclose(notes["head_factor"], 1 - notes["blocked"])
    for mask, before, after in zip(
        runs[0].method.plasticity, runs[0].method.shared, runs[1].method.shared
    ):
        moved = before.variable.numpy() != after.variable.numpy()
        assert not moved[mask.numpy() == 0].any()
        assert moved[mask.numpy() == 1].mean() > 0.5
        share = notes["blocked_share"][before.name]
        assert share == np.mean(mask.numpy() == 0)
        histogram = notes["importance_histogram"][before.name]
        assert sum(histogram) == mask.numpy().size
        assert histogram[-1] == (mask.numpy() == 0).sum()


def test_ablations():
    method, found = _scores(_alexnet, cross_head=False, scale_head=False)
    assert len(found) == 2 * len(method.shared)  # The own loss, twice.
    assert float(method.head_factor.numpy()) == 1.0
    assert float(_scores(_alexnet)[0].head_factor.numpy()) < 1.0


def test_what_has_no_deviation_is_told_once_per_task():
    with mock.patch.object(importance_pass.logging, "warning") as warning:
        method, _ = _scores(_alexnet, heads_per_pass=1)
    single = [v.name for v in method.shared if v.variable.numpy().size == 1]
    told = [call.args[1] for call in warning.call_args_list]
    assert single and told == 2 * single  # Two tasks.


def _chain(*layers):
    return keras.Sequential([keras.Input((4,)), *layers])


def test_the_dense_layer_on_top_is_found_if_units_stay_apart():
    layers = keras.layers
    dense = functools.partial(layers.Dense, 3)
    assert top_dense(_chain(dense(activation="relu", name="a"))).name == "a"
    found = top_dense(
        _chain(dense(), dense(name="b"), layers.ReLU(), layers.Dropout(0.5))
    )
    assert found.name == "b"
    for activation in ("linear", "swish", "leaky_relu", "tanh", None):
        assert top_dense(_chain(dense(activation=activation)))
    twice = dense(activation="relu", name="c")
    inputs = keras.Input((3,))
    for backbone in (
        _chain(dense(activation="softmax")),
        _chain(dense(activation=lambda x: keras.ops.cumsum(x, -1))),
        _chain(dense(), layers.Activation(keras.layers.Softmax())),
        _chain(dense(), layers.Activation("softmax")),
        _chain(dense(), layers.LayerNormalization()),
        _chain(layers.Reshape((2, 2)), layers.Flatten()),
        keras.Model(inputs, twice(twice(inputs))),
    ):
        assert top_dense(backbone) is None


@pytest.mark.parametrize(
    ("training", "options"),
    [
        ({"hidden_units": (4,)}, {}),
        ({}, {"head_clip": 0.0}),
        ({}, {"heads_per_pass": 0}),
        ({}, {"importance_batch_size": 0}),
    ],
    ids=[
        "hidden_units",
        "head_clip",
        "heads_per_pass",
        "importance_batch_size",
    ],
)
def test_what_makes_no_sense_is_refused(training, options, request):
    name = request.node.callspec.id
    with pytest.raises(ValueError, match=name):
        SPG(_training(**training), **options)
