"""DARTS against the published program, and its own rules."""

import functools
import types

import numpy as np
import pytest
import tensorflow as tf

from tests.testing import golden, running
from tfcl.data.task import StreamSpec
from tfcl.methods.lasem.darts import DARTS
from tfcl.methods.lasem.transfers import DeconvTransfer
from tfcl.methods.task_training import TaskTraining
from tfcl.models.backbones.lasem_cnn import lasem_cnn
from tfcl.optimizers.schedules import InverseTimeDecay
from tfcl.testing import run_method_test, runner_for, tiny_stream, tiny_training

_CLOSE = {"rtol": 1e-5, "atol": 5e-6}


@pytest.fixture(scope="module", name="data")
def _data():
    return golden.load("lasem/darts_hps.npz")


def _method(data, **options):
    depth = data["configs"].shape[1]
    layers = sum(key.startswith("init_fc_W") for key in data)
    heads = [data[f"init_fc_W{i}"] for i in range(layers)]
    training = TaskTraining(
        backbone=functools.partial(
            lasem_cnn,
            channels=tuple(int(c) for c in data["channels"][1:]),
            kernel_sizes=tuple(
                data[f"init_task_W{i}"].shape[0] for i in range(depth)
            ),
            pool_sizes=tuple(int(p) for p in data["pools"]),
        ),
        hidden_units=tuple(w.shape[1] for w in heads[:-1]),
        dropout=0.0,
        epochs=1,
        schedule=InverseTimeDecay(float(data["lr"]), float(data["lr_decay"])),
    )
    classes = tuple(map(str, range(heads[-1].shape[1])))
    spec = StreamSpec(
        "golden", tuple(data["x"].shape[1:]), ("task",), (classes,), 1
    )
    method = DARTS(training, **options)
    method.setup(spec, seed=0)
    task = types.SimpleNamespace(index=0, num_classes=len(classes))
    method.begin_task(task)
    for name, variable in _variables(method).items():
        variable.assign(data[f"init_{name}"])
    method.logits.assign(np.stack([data[f"select_{i}"] for i in range(depth)]))
    return method


def _variables(method):
    named = {}
    for i, layer in enumerate(method.layers):
        generator = layer.generator
        named[f"shared_W{i}"], named[f"shared_b{i}"] = (
            generator.shared_variables
        )
        named[f"task_W{i}"], named[f"task_b{i}"] = layer.own_variables
    head = zip(method.head.kernels, method.head.biases)
    for i, (kernel, bias) in enumerate(head):
        named[f"fc_W{i}"], named[f"fc_b{i}"] = kernel, bias
    return named


def _batch(method, data):
    runner = runner_for(method, data["x"].shape[1:], np.float32)
    runner._train.load(running.plain_split(data["x"], data["y"]))
    rows = tf.range(len(data["y"]))
    return runner._shared.batch(runner._train, rows, 0, tf.constant([0, 0]))


def test_loss_and_gradients_of_the_weights(data):
    method = _method(data)
    batch = _batch(method, data)
    loss, logits = method.loss_of(batch)
    np.testing.assert_allclose(loss, data["loss"], **_CLOSE)
    np.testing.assert_allclose(logits, data["logits"], **_CLOSE)
    ((_, gradients, variables),) = method.train_step(batch).gradients
    found = {id(v): g for v, g in zip(variables, gradients)}
    for name, variable in _variables(method).items():
        np.testing.assert_allclose(
            found[id(variable.value)],
            data[f"grad_{name}"],
            **_CLOSE,
            err_msg=name,
        )


def test_gradient_of_the_logits_of_order_1(data):
    method = _method(data)
    _, gradient = method._first_order(_batch(method, data))
    np.testing.assert_allclose(gradient, data["sel_grad_order1"], **_CLOSE)


def test_gradient_of_the_logits_of_order_2_as_published(data):
    method = _method(data, order=2)
    _, gradient = method._second_order_published(_batch(method, data))
    # Differences of gradients, divided by a radius of about 0.01.
    np.testing.assert_allclose(
        gradient, data["sel_grad_order2"], rtol=1e-3, atol=2e-5
    )


def test_correct_second_order_approximates_the_derivative_of_the_next_loss(
    data,
):
    method = _method(data, order=2, second_order="correct")
    batch = _batch(method, data)
    _, found = method._second_order_correct(batch)
    weights, rate = method._weights(), method._first_rate
    logits = tf.convert_to_tensor(method.logits.value)
    with tf.GradientTape() as outer:
        outer.watch(logits)
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss = method._loss_at(batch, weights, logits)
        steps = tape.gradient(loss, weights)
        stepped = [w - rate * g for w, g in zip(weights, steps)]
        ahead = method._loss_at(batch, stepped, logits)
    exact = outer.gradient(ahead, logits).numpy()
    np.testing.assert_allclose(found, exact, rtol=0.02, atol=1e-5)


def test_one_batch_updates_logits_first_and_weights_at_the_new_logits(data):
    method = _method(data)
    runner = runner_for(method, data["x"].shape[1:], np.float32)
    split = running.plain_split(data["x"], data["y"])
    phase = next(method.phases(None))
    for name in phase.rates:
        method.optimizers[name].learning_rate.assign(float(data["lr"]))
    count = len(data["y"])
    order = np.arange(count)
    runner.train(phase, split, order, 0, 1, count, [0, 0], False)
    for depth, logits in enumerate(method.logits.numpy()):
        np.testing.assert_allclose(
            logits, data[f"select_after_{depth}"], **_CLOSE
        )
    for name, variable in _variables(method).items():
        np.testing.assert_allclose(
            variable.numpy(), data[f"after_{name}"], **_CLOSE, err_msg=name
        )


def test_every_configuration_evaluates_as_published(data):
    method = _method(data)
    for sharing, wanted in zip(data["configs"], data["eval_logits_per_config"]):
        method.choice.select(sharing)
        found = method.predict(tf.constant(data["x"]))
        np.testing.assert_allclose(found, wanted, **_CLOSE)


def test_the_larger_logit_wins_and_ties_go_to_the_task(data):
    method = _method(data)
    best = data["configs"][int(data["best_config"])]
    np.testing.assert_array_equal(method.best, best)
    method.logits.assign(np.zeros(method.logits.shape))
    assert not method.best.any()


@pytest.mark.parametrize(
    "transfer",
    [None, DeconvTransfer(((2, 4), (2, 6)), ((3, 6), (3, 8)))],
    ids=["hps", "dfcnn"],
)
def test_darts_keeps_the_contract(tmp_path, transfer):
    run_method_test(
        lambda: DARTS(tiny_training(12), transfer), tmp_path, forgets=True
    )


@pytest.mark.parametrize("second_order", ["published", "correct"])
def test_order_2_trains(second_order):
    stream = tiny_stream()()
    method = DARTS(tiny_training(2), order=2, second_order=second_order)
    method.setup(stream.spec(), seed=0)
    runner = runner_for(method, (8, 8, 3))
    sums = running.train_task(method, runner, stream.tasks[0], 16)
    assert np.isfinite(sums[-1]["loss"])
    assert np.any(method.logits.numpy() != 0)


def test_order_2_is_refused_for_other_mechanisms():
    transfer = DeconvTransfer(((2, 4), (2, 6)), ((3, 6), (3, 8)))
    with pytest.raises(ValueError, match="order"):
        DARTS(tiny_training(), transfer, order=2)
