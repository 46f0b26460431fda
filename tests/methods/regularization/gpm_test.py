"""Gradient projection memory: bases, projected steps, what stays."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import permuted_digits, toy_run
from tfcl.data.scenario import CLASS, DOMAIN, TASK
from tfcl.data.scenarios.in_scenario import in_scenario
from tfcl.methods.regularization.drawn_examples import drawn_examples
from tfcl.methods.regularization.gpm import GPM, extended
from tfcl.models.surgery.kernel_inputs import kernel_rows
from tfcl.testing import (
    run_method_test,
    runner_for,
    tiny_stream,
    tiny_training,
    two_replicas,
)

layers = keras.layers


def test_gradient_projection_memory(tmp_path):
    run_method_test(
        lambda: GPM(tiny_training(), threshold=0.9), tmp_path, forgets=True
    )


@pytest.mark.parametrize("scenario", [TASK, CLASS])
def test_kills_change_nothing(tmp_path, scenario):
    toy_run.assert_kills_change_nothing(
        tmp_path,
        lambda: GPM(toy_run.toy_training(epochs=1), examples=9),
        stream=toy_run.toy_stream((2, 2, 2)),
        scenario=scenario,
    )


def _by_svd(bases, representation, threshold):
    """Eq. 8 and 9 of the paper, by singular values of R itself."""
    whole = np.sum(representation**2)
    rest = representation - bases @ (bases.T @ representation)
    held = whole - np.sum(rest**2)
    vectors, values, _ = np.linalg.svd(rest, full_matrices=False)
    for count in range(len(values) + 1):
        if held + np.sum(values[:count] ** 2) >= threshold * whole:
            return np.concatenate([bases, vectors[:, :count]], axis=1)


@pytest.mark.parametrize("threshold", [0.5, 0.9, 0.99])
def test_the_bases_are_those_of_the_paper(threshold):
    draw = np.random.default_rng(0)
    bases, projection = np.zeros((12, 0)), np.zeros((12, 12))
    for _ in range(3):
        # Columns of unlike size, so that a few bases hold most.
        scales = 2.0 ** -np.arange(12)
        rotation = np.linalg.qr(draw.normal(size=(12, 12)))[0]
        inputs = rotation @ (scales[:, None] * draw.normal(size=(12, 40)))
        bases = _by_svd(bases, inputs, threshold)
        projection = extended(projection, inputs @ inputs.T, threshold)
        np.testing.assert_allclose(projection, bases @ bases.T, atol=1e-8)
    assert 0 < bases.shape[1] <= 12


def test_what_is_held_already_adds_no_base():
    draw = np.random.default_rng(0)
    inputs = draw.normal(size=(6, 2)) @ draw.normal(size=(2, 30))
    once = extended(np.zeros((6, 6)), inputs @ inputs.T, 1.0)
    assert round(np.trace(once)) == 2
    again = extended(once, inputs @ inputs.T, 1.0)
    np.testing.assert_array_equal(once, again)


def _normed(image_shape):
    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.Conv2D(6, 3, strides=2, padding="same", name="first"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(),
            layers.Conv2D(8, 3, name="second"),
            layers.LayerNormalization(name="other_norm"),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(10, "relu", name="third"),
        ]
    )


def _begun(scenario=TASK, optimizer="adam", **options):
    """A method that has learned a task and begun the next, and its runner."""
    training = tiny_training(
        1, backbone=_normed, dropout=0.0, optimizer=optimizer
    )
    method = GPM(training, **options)
    stream = in_scenario(scenario, tiny_stream((2, 2, 2)))
    method.setup(stream.spec(), seed=0)
    runner = runner_for(method, (8, 8, 3))
    first, second = stream.tasks[:2]
    method.begin_task(first)
    learning, remembering = method.phases(first)
    _steps(method, runner, learning, first, 8)
    runner.accumulate(remembering, remembering.data, 16, [1, 2])
    remembering.then()
    method.begin_task(second)
    return method, runner, first, second


def _steps(method, runner, phase, task, count):
    method.optimizers["main"].learning_rate.assign(0.01)
    order = np.tile(np.arange(64), count)
    runner.train(phase, task.train, order, 0, count, 16, [3, 4], False)


def _standardised(split):
    return (split.images / np.float32(255) - split.mean) / split.std


def test_the_memory_is_of_the_inputs_of_some_images():
    method, _, first, _ = _begun(DOMAIN, examples=20, threshold=0.9)
    split = drawn_examples(first.train, 20, method.seed, "representations", 0)
    hidden = tf.constant(_standardised(split))
    backbone, wanted = method.network().backbone, []
    for layer in backbone.layers:
        if layer.name in ("first", "second", "third"):
            wanted.append(kernel_rows(layer, hidden).numpy())
        hidden = layer(hidden, training=False)
    head = method.head
    wanted.append(hidden.numpy())
    wanted.append(np.maximum(hidden @ head.kernels[0] + head.biases[0], 0))
    names = [owned.name for owned in method._kernels]
    assert names[2:] == ["third/kernel", "head/kernel_0", "head/kernel_1"]
    for projection, rows in zip(method.projections, wanted, strict=True):
        bases = _by_svd(np.zeros((rows.shape[1], 0)), rows.T, 0.9)
        np.testing.assert_allclose(projection, bases @ bases.T, atol=2e-3)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("scenario", [TASK, CLASS])
def test_kernels_move_away_from_the_memory_and_nothing_else_moves(
    scenario, optimizer
):
    method, runner, _, second = _begun(scenario, optimizer)
    before = {v.name: v.variable.numpy() for v in method.shared}
    phase = next(method.phases(second))
    _steps(method, runner, phase, second, 4)
    changes = {
        v.name: v.variable.numpy() - before[v.name] for v in method.shared
    }
    memory = dict(zip((v.name for v in method._kernels), method.projections))
    for name, change in changes.items():
        if name not in memory:
            assert not change.any(), name
            continue
        rows = change.reshape(-1, change.shape[-1])
        away = memory[name].numpy() @ rows
        assert np.abs(rows).max() > 1e-5, name
        assert np.abs(away).max() < 1e-3 * np.abs(rows).max(), name
    moved = {name for name, change in changes.items() if change.any()}
    assert moved == set(memory)
    assert ("head/kernel_1" in memory) == (scenario != TASK)
    _steps(method, runner, phase, second, 4)
    traces = {"train_step": 1, "projected_step": 1, "input_products": 1}
    assert dict(runner.traces) == traces


def test_a_step_of_sgd_is_that_of_the_projected_gradient():
    method, runner, _, second = _begun(optimizer="sgd")
    rows = np.arange(16)
    images = _standardised(second.train)[rows]
    kernels = [v.variable.value for v in method._kernels]
    with tf.GradientTape() as tape:
        logits = method.predict(tf.constant(images))
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(
                second.train.labels[rows], logits
            )
        )
    gradients = tape.gradient(loss, kernels)
    before = [kernel.numpy() for kernel in kernels]
    _steps(method, runner, next(method.phases(second)), second, 1)
    for kernel, old, gradient, projection in zip(
        kernels, before, gradients, method.projections
    ):
        flat = gradient.numpy().reshape(-1, gradient.shape[-1])
        flat -= projection.numpy() @ flat
        np.testing.assert_allclose(
            kernel.numpy() - old,
            -0.01 * flat.reshape(old.shape),
            rtol=1e-2,
            atol=1e-7,
        )


def test_two_replicas_remember_and_step_like_one():
    found = []
    for strategy in (tf.distribute.get_strategy(), two_replicas()):
        with strategy.scope():
            method, runner, _, second = _begun(CLASS, "sgd")
            phase = next(method.phases(second))
            _steps(method, runner, phase, second, 4)
        owned = [v.variable for v in method.shared]
        found.append([v.numpy() for v in (*owned, *method.projections)])
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-3)


def test_old_answers_stay_where_all_old_inputs_are_held():
    method, runner, first, second = _begun(threshold=1.0, examples=None)
    images = tf.constant(_standardised(first.train))
    values = method.bank_values()
    before = method.predict(images)
    _steps(method, runner, next(method.phases(second)), second, 8)
    method.activate(values, 0)
    after = method.predict(images)
    np.testing.assert_allclose(after, before, atol=1e-3)


def test_a_task_that_comes_again_is_learned_beside_the_others():
    method, _, first, _ = _begun()
    method.resume_task(first, method.bank_values())
    (step,) = next(method.phases(first)).steps
    assert step == method.projected_step


@pytest.mark.parametrize("scenario", [DOMAIN, CLASS])
def test_less_is_forgotten_than_by_fine_tuning(tmp_path, scenario):
    method = GPM(permuted_digits.training(), threshold=0.95)
    permuted_digits.assert_less_forgotten(tmp_path, method, scenario)


@pytest.mark.parametrize(
    "layer",
    [
        layers.DepthwiseConv2D(3, name="other"),
        layers.SeparableConv2D(4, 3, name="other"),
        layers.Conv2D(6, 3, groups=3, name="other"),
        layers.Conv2DTranspose(4, 3, name="other"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_matrices_of_other_layers_are_refused_or_frozen(layer):
    def backbone(image_shape):
        again = type(layer).from_config(layer.get_config())
        again.trainable = trainable
        return keras.Sequential(
            [keras.Input(image_shape), again, layers.Flatten()]
        )

    spec = tiny_stream((2, 2))().spec()
    trainable = True
    with pytest.raises(ValueError, match=r"no matrices for GPM.*'other \("):
        GPM(tiny_training(backbone=backbone)).setup(spec, 0)
    trainable = False
    GPM(tiny_training(backbone=backbone)).setup(spec, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 0.0},
        {"threshold": (0.5, 1.5)},
        {"threshold_increase": -0.1},
        {"examples": 0},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        GPM(tiny_training(), **wrong)


def test_thresholds_are_as_many_as_kernels():
    make = functools.partial(GPM, tiny_training())
    spec = tiny_stream((2, 2))().spec()
    with pytest.raises(ValueError, match="one for each of .*conv"):
        make(threshold=(0.9, 0.9, 0.9)).setup(spec, 0)
    method = make(threshold=(0.5, 0.99), threshold_increase=0.3)
    method.setup(spec, 0)
    for product in method._products:
        product.assign(np.diag(np.arange(1.0, len(product.numpy()) + 1)))
    method._remember(0)
    counts = [n for n, _ in method.bank_notes()["bases"].values()]
    assert counts[0] < method.projections[0].shape[0] / 2 < counts[1]
    method._remember(1)
    after = [n for n, _ in method.bank_notes()["bases"].values()]
    assert after[0] > counts[0] and after[1] == method.projections[1].shape[0]
