"""Dynamically expandable networks: each step of the algorithm."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.testing import running, toy_run
from tfcl.methods.expansion.den import DEN
from tfcl.models.backbones.lasem_cnn import lasem_cnn
from tfcl.optimizers.schedules import Constant
from tfcl.testing import run_method_test, runner_for, tiny_stream, tiny_training


def _den(training=None, **kwargs):
    settings = {
        "expansion": 2,
        "group_lasso": 0.01,
        "l2": 1e-4,
        "split_threshold": (0.3, 0.3),
    }
    return DEN(training or tiny_training(), **{**settings, **kwargs})


def test_expandable_networks(tmp_path):
    run_method_test(_den, tmp_path, forgets=True, grows=True)


@pytest.mark.parametrize(
    ("hidden", "counts"),
    [((6,), (2, 3, 2)), ((), (2, 3))],
    ids=["dense", "flat"],
)
def test_kills_change_nothing(tmp_path, hidden, counts):
    wanted = toy_run.assert_kills_change_nothing(
        tmp_path,
        lambda: _den(
            toy_run.toy_training(
                hidden_units=hidden, epochs=1, schedule=Constant(0.03)
            ),
            split_threshold=(0.01, 0.01),
        ),
        moments=2,
        stream=toy_run.toy_stream(counts),
    )
    # There was growth by both ways, and loss of units, to be resumed.
    units = [t["method"]["units"]["conv_0"] for t in wanted.results["tasks"]]
    assert units == sorted(set(units)), units


def _begun(method=None, counts=(2, 2)):
    """A method in the middle of its second task, with random weights."""
    stream = tiny_stream(counts)()
    method = method or _den()
    method.setup(stream.spec(), seed=0)
    method.begin_task(stream.tasks[0])
    method.begin_task(stream.tasks[1])
    return method, stream.tasks[1]


def _images(count=5):
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, 8, 8, 3)).astype(np.float32)


def _images(task):
    return task.train.images[:5].astype(np.float32) / 255.0


# Selective retraining


def test_units_without_a_path_to_the_head_are_not_selected():
    method, _ = _begun()
    head = method.head.kernels[0]
    method.head.kernels[0].assign(
        np.where(np.arange(head.shape[0])[:, None] == 3, 0.0, head)
    )
    # Unit 2 of the second layer feeds only unit 3, which feeds nobody.
    kernel = method.kernels[2].numpy()
    view = kernel.reshape(-1, method.widths[1], method.widths[2])
    view[:, 2, np.arange(method.widths[2]) != 3] = 0.0
    method.kernels[2].assign(view.reshape(kernel.shape))
    marks = method._selected()
    wanted = [np.ones(width) for width in method.widths]
    wanted[2][3] = wanted[1][2] = 0.0
    for found, want in zip(marks, wanted):
        np.testing.assert_array_equal(found, want)


def test_only_selected_weights_are_retrained():
    method, task = _begun()
    marks = [np.ones(width) for width in method.widths]
    marks[0][1] = marks[2][4] = 0.0
    method._train_between(marks)
    before = [v.numpy() for v in method.kernels + method.biases]
    _train(method, method._stage("test", "main", method.retrain_step), task)
    after = [v.numpy() for v in method.kernels + method.biases]
    kernels = [a != b for a, b in zip(after, before)]
    assert not kernels[0][..., 1].any() and kernels[0][..., 0].any()
    assert not kernels[1][:, :, 1].any() and kernels[1][:, :, 0].any()
    assert not kernels[2][:, 4].any() and kernels[2][:, 0].any()
    assert not kernels[3][1] and not kernels[5][4]


def _train(method, phase, task, epochs=1):
    """Trains a phase alone, as the network is now."""
    (optimizer,) = phase.rates
    method.optimizers[optimizer].learning_rate.assign(0.01)
    runner = runner_for(method, task.train.image_shape)
    order = np.arange(len(task.train))
    for _ in range(epochs):
        runner.train(phase, task.train, order, 0, 4, 16, [1, 2], False)


# Expansion


def test_an_expansion_adds_units_and_trains_only_their_weights():
    method, task = _begun(_den(expansion=3, group_lasso=0.0))
    widths = list(method.widths)
    old = [view.copy() for view in method.views()]
    method._expand()
    assert method.widths == [width + 3 for width in widths]
    below = [3, *widths]
    for view, before in zip(method.views(), old):
        rows, units = before.shape[1:]
        np.testing.assert_array_equal(view[:, :rows, :units], before)
    _train(method, method._stage("test", "sparse", method.sparse_step), task)
    for view, before, count in zip(method.views(), old, below):
        units = before.shape[2]
        np.testing.assert_array_equal(view[:, :count, :units], before)
    for view, count, units in zip(method.views(), below, widths):
        assert view[:, :, units:].any() and view[:, count:].size >= 0


def _go_through(method, task, trained=(), epochs=1):
    """Takes a task's decisions; trains those phases that are named."""

    def perform(phase):
        if phase.name in trained:
            _train(method, phase, task, epochs)
        return {"train/cross_entropy": 9.0}

    return running.go_through_phases(method, task, perform)


def test_group_lasso_removes_useless_units():
    """With a heavy weight all added units fall, with none all stay."""
    widths = {}
    for weight in (0.0, 1e3):
        method, task = _begun(
            _den(group_lasso=weight, split_threshold=(9e9, 9e9))
        )
        names = _go_through(method, task, ["expand"])
        assert "expand" in names and "split" not in names
        widths[weight] = method.widths
    start = method.chain.widths
    assert widths[1e3] == start
    assert widths[0.0] == [width + 2 for width in start]


@pytest.mark.parametrize("threshold", [8.0, 10.0])
def test_no_expansion_where_the_loss_is_low(threshold):
    method, task = _begun(
        _den(loss_threshold=threshold, split_threshold=(9e9, 9e9))
    )
    expanded = "expand" in _go_through(method, task)
    assert expanded == (threshold < 9.0)
    assert expanded == (method.widths != method.chain.widths)


# Split and time stamps


def test_a_split_keeps_the_old_function_and_the_new_one():
    method, task = _begun()
    images = _images(task)
    old = method.network().backbone(images).numpy()
    method.remember()
    rng = np.random.default_rng(0)
    for variable in method.kernels + method.biases:
        noise = rng.normal(size=variable.shape) * 0.3
        variable.assign(variable.numpy() + noise)
    new = method.predict(images).numpy()
    widths = list(method.widths)
    everything = [list(range(width)) for width in widths]
    method._split(everything)
    assert method.widths == [2 * width for width in widths]
    # All units were split: copies and head compute what there was.
    np.testing.assert_allclose(method.predict(images), new, atol=1e-5)
    # Only the old units open: the backbone is that of before.
    for gate, width in zip(method.gates, widths):
        gate.open.assign(np.float32(np.arange(2 * width) < width))
    features = method.network().backbone(images).numpy()
    np.testing.assert_allclose(features[:, : widths[-1]], old, atol=1e-5)


def test_units_that_drifted_are_found_farthest_first():
    method, _ = _begun(_den(split_threshold=(0.5, 5.0), expansion=2))
    method.remember()
    kernel = method.kernels[1].numpy()
    for unit, distance in ((0, 0.6), (3, 2.0), (5, 0.4), (6, 0.7)):
        kernel[0, 0, 0, unit] += distance
    method.kernels[1].assign(kernel)
    dense = method.kernels[2].numpy()
    dense[0, 1] += 4.9
    method.kernels[2].assign(dense)
    assert method._drifted_units() == [[], [3, 6], []]


def test_old_weights_are_held_after_a_split():
    """The stronger the drift term, the nearer the old part stays."""
    moved = []
    for drift in (0.0, 10.0):
        method, task = _begun(_den(drift=drift, split_threshold=(0.0, 0.0)))
        names = _go_through(method, task, ["retrain", "split"], epochs=3)
        assert "split" in names
        distance = sum(
            float((old.numpy() * (k.numpy() - b.numpy()) ** 2).sum())
            for k, b, old in zip(method.kernels, method.before, method.old)
        )
        moved.append(distance)
    assert moved[1] < 0.5 * moved[0]


def test_later_units_are_silent_for_an_old_task():
    method = _den(group_lasso=0.0)
    stream = tiny_stream((2, 2, 2))()
    method.setup(stream.spec(), seed=0)
    banked = []
    for task in stream.tasks:
        method.begin_task(task)
        _go_through(method, task)
        method.end_task(task)
        banked.append(method.bank_values())
    assert method.widths == [width + 4 for width in method.chain.widths]
    method.activate(banked[0], 0)
    images = _images(stream.tasks[0])
    wanted = method.predict(images).numpy()
    for kernel, view, width in zip(
        method.kernels, method.views(), method.chain.widths
    ):
        changed = np.array(view)
        changed[:, :, width:] += 1.0
        kernel.assign(changed.reshape(kernel.shape))
    np.testing.assert_array_equal(method.predict(images), wanted)


# Bad input


@pytest.mark.parametrize(
    "wrong",
    [
        {"l1": -1.0},
        {"drift": -0.1},
        {"split_threshold": (1.0,)},
        {"expansion": 0},
        {"proximal": "sometimes"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        _den(**wrong)


def _backbone(image_shape, kind):
    inputs = tf.keras.Input(image_shape)
    conv = functools.partial(tf.keras.layers.Conv2D, 4, 3, padding="same")
    x = conv(name="first")(inputs)
    if kind == "branches":
        x = tf.keras.layers.Add(name="sum")([x, conv(name="second")(x)])
    elif kind == "statistics":
        x = tf.keras.layers.BatchNormalization(name="norm")(x)
    elif kind == "groups":
        x = conv(name="grouped", groups=2)(x)
    else:
        x = conv(name="bare", use_bias=False)(x)
    return tf.keras.Model(inputs, tf.keras.layers.Flatten()(x))


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        ("branches", "sum"),
        ("statistics", "norm"),
        ("groups", "grouped"),
        ("bias", "bare"),
    ],
)
def test_a_backbone_that_cannot_grow_is_refused_by_its_layer(kind, layer):
    training = tiny_training(backbone=functools.partial(_backbone, kind=kind))
    with pytest.raises(ValueError, match=layer):
        _den(training).setup(tiny_stream()().spec(), seed=0)


def test_the_published_network_grows_from_its_own_size():
    training = tiny_training(backbone=lasem_cnn, hidden_units=(128,))
    method = DEN(training)
    method.setup(tiny_stream()().spec(), seed=0)
    assert method.widths == [32, 32, 64, 64, 128]
