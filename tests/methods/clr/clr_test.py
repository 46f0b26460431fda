"""CLR under the contract of methods, and its own rules."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import running, toy_run
from tfcl.layers.unbiased_batch_norm import UnbiasedBatchNorm
from tfcl.methods.baselines.frozen_backbone import FrozenBackbone
from tfcl.methods.baselines.individual import Individual
from tfcl.methods.baselines.joint import Joint
from tfcl.methods.clr.clr import CLR
from tfcl.methods.tensor_norms import TensorNorms
from tfcl.testing import (
    first_training,
    run_method_test,
    runner_for,
    tiny_stream,
    tiny_training,
    two_replicas,
)


def small_network(image_shape, momentum=0.9):
    """Convolutions of 3 x 3 and 1 x 1, batch norm, an activation inside."""
    inputs = keras.Input(image_shape)
    layers = keras.layers
    hidden = layers.Conv2D(6, 3, padding="same", name="first")(inputs)
    # Statistics over all replicas.
    hidden = UnbiasedBatchNorm(momentum=momentum, name="norm")(hidden)
    hidden = layers.ReLU()(hidden)
    hidden = layers.Conv2D(8, 1, name="mixed")(hidden)
    hidden = layers.MaxPooling2D(2)(hidden)
    hidden = layers.Conv2D(8, 3, activation="relu", name="second")(hidden)
    return keras.Model(inputs, layers.Flatten()(hidden))


def _training(epochs=10, **kwargs):
    settings = {
        "backbone": small_network,
        "hidden_units": (),
        "dropout": 0.0,
        "head_start": "fan_in_uniform",
    }
    return tiny_training(epochs, **{**settings, **kwargs})


def _trained(method, task=1):
    """The method after one task of a tiny stream."""
    stream = tiny_stream()()
    method.setup(stream.spec(), seed=0)
    runner = runner_for(method, (8, 8, 3))
    running.train_task(method, runner, stream.tasks[task], 16)
    return method


def test_clr_keeps_the_contract(tmp_path):
    run_method_test(
        lambda: CLR(_training(15), tensor_norms=TensorNorms()),
        tmp_path,
        forgets=False,
    )


def test_kills_change_nothing(tmp_path):
    training = functools.partial(
        toy_run.toy_training, backbone=small_network, restore_best=True
    )
    toy_run.assert_kills_change_nothing(
        tmp_path, lambda: CLR(training(), "gated"), moments=2
    )


def _adapted(image_shape):
    """Keras' own layers with statistics, one of them adapted to data."""
    layers = keras.layers
    inputs = keras.Input(image_shape)
    adapted = layers.Normalization(name="adapted")
    images = np.random.default_rng(0).normal(1.0, 2.0, (4, *image_shape))
    adapted.adapt(images.astype(np.float32))
    hidden = adapted(inputs)
    hidden = layers.Conv2D(6, 3, name="conv")(hidden)
    hidden = layers.BatchNormalization(momentum=0.9, name="norm")(hidden)
    return keras.Model(inputs, layers.Flatten()(layers.ReLU()(hidden)))


@pytest.mark.parametrize("kind", [CLR, Individual])
def test_kills_change_nothing_for_layers_with_statistics(kind, tmp_path):
    training = functools.partial(
        toy_run.toy_training, backbone=_adapted, pretrained=True, epochs=1
    )
    toy_run.assert_kills_change_nothing(
        tmp_path, lambda: kind(training()), moments=1
    )


def _normed(image_shape):
    layers = keras.layers
    inputs = keras.Input(image_shape)
    # TensorFlow's convolutions for CPUs fail on a batch of nothing.
    hidden = layers.Dense(6, name="dense")(layers.Flatten()(inputs))
    hidden = layers.BatchNormalization(momentum=0.9, name="norm")(hidden)
    return keras.Model(inputs, layers.ReLU()(hidden))


@pytest.mark.parametrize(
    ("kind", "backbone", "examples"),
    [(CLR, _adapted, 8), (Individual, _normed, 6)],
    ids=["few", "none"],
)
def test_a_replica_may_get_few_examples_or_none(kind, backbone, examples):
    """Batches of 5 and the rest, with Keras' own batch norm."""
    stream = tiny_stream()()
    split = stream.tasks[0].train
    weights = []
    for strategy in (tf.distribute.get_strategy(), two_replicas()):
        method = kind(_training(1, backbone=backbone, drop_remainder=False))
        with strategy.scope():
            method.setup(stream.spec(), seed=0)
        runner = runner_for(method, (8, 8, 3), strategy=strategy)
        with strategy.scope():
            method.begin_task(stream.tasks[0])
        phase = first_training(method.phases(stream.tasks[0]))
        method.optimizers["main"].learning_rate.assign(1e-4)
        _, done, bad, *_ = runner.train(
            phase, split, np.arange(examples), 0, 2, 5, [1, 2], False
        )
        assert (done, bad) == (2, -1)
        owned = method.shared + method.slot
        weights.append({v.name: v.variable.numpy() for v in owned})
    for name, one in weights[0].items():
        assert np.isfinite(one).all()
        np.testing.assert_allclose(
            weights[1][name], one, atol=1e-5, err_msg=name
        )


@pytest.mark.parametrize(
    "mode, filters",
    [
        ("clr", {"first": 3, "second": 3}),
        ("full", {"first": 3, "mixed": 3, "second": 3}),
        ("scale", {"first": 3, "mixed": 1, "second": 3}),
        ("norms", {}),
    ],
)
def test_a_task_trains_filters_norms_and_head_alone(mode, filters):
    method = CLR(_training(1), mode)
    stream = tiny_stream()()
    method.setup(stream.spec(), seed=0)
    method.begin_task(stream.tasks[0])
    before = {v.name: v.variable.numpy() for v in method.shared + method.slot}
    runner = runner_for(method, (8, 8, 3))
    running.train_task(method, runner, stream.tasks[0], 16)
    moved = {
        v.name.split("/")[0]
        for v in method.shared + method.slot
        if not np.array_equal(v.variable.numpy(), before[v.name])
    }
    own = {f"{name}_clr" for name in filters}
    assert moved == own | {"norm", "head"}
    found = {s.conv.name: s.layer.kernel_size for s in method.sites}
    assert found == filters
    numbers = method.bank_notes()["numbers"]
    channels = {"first": 6, "mixed": 8, "second": 8}
    assert numbers["filters"] == sum(
        k * k * channels[name] for name, k in filters.items()
    )
    assert numbers["norms"] == 4 * 6


def test_every_task_starts_from_the_pristine_backbone():
    method = CLR(_training(2, pretrained=True))
    task = tiny_stream()().tasks[1]
    network = method.training.backbone
    kept = []

    def backbone(spec):
        kept.append(network(spec))
        return kept[0]

    method.training.backbone = backbone
    _trained(method)
    method.begin_task(task)
    images = np.random.default_rng(0).normal(size=(3, 8, 8, 3))
    images = tf.constant(images, tf.float32)
    served = method.network().backbone
    np.testing.assert_array_equal(served(images), kept[0](images))


def test_unused_columns_of_the_head_are_not_penalised():
    method = CLR(_training(1), tensor_norms=TensorNorms(1.0))
    stream = tiny_stream((2, 5))()
    method.setup(stream.spec(), seed=0)
    method.begin_task(stream.tasks[0])
    trained = [v for v in method.slot if v.variable.trainable]
    values = [v.variable.numpy() for v in trained]
    wanted = sum(
        np.linalg.norm(value[..., :2] if v.name.startswith("head/") else value)
        for v, value in zip(trained, values)
    )
    np.testing.assert_allclose(method.penalty(), wanted, rtol=1e-6)


def test_gates_are_not_penalised():
    method = CLR(_training(1), "gated", tensor_norms=TensorNorms(1.0))
    stream = tiny_stream()()
    method.setup(stream.spec(), seed=0)
    method.begin_task(stream.tasks[0])
    before = float(method.penalty())
    for site in method.sites:
        site.layer.gate.assign(site.layer.gate + 1.0)
    assert float(method.penalty()) == before
    layer = method.sites[0].layer
    norm = np.linalg.norm(layer.kernel.numpy())
    layer.kernel.assign(2.0 * layer.kernel)
    np.testing.assert_allclose(method.penalty(), before + norm, rtol=1e-5)


@pytest.mark.parametrize("method_class", [FrozenBackbone, Individual])
def test_references_know_the_penalty(method_class):
    training = _training(1, pretrained=True)
    plain, held = (
        _trained(method_class(training, tensor_norms=norms))
        for norms in (None, TensorNorms(0.5))
    )
    trained = [v.variable.numpy() for v in held.slot if v.variable.trainable]
    wanted = 0.5 * sum(np.linalg.norm(v) for v in trained)
    np.testing.assert_allclose(held.penalty(), wanted, rtol=1e-6)
    # The widest task has as many classes as each.
    total = [
        sum(np.linalg.norm(v.variable.numpy()) for v in m.slot)
        for m in (plain, held)
    ]
    assert total[1] < total[0]


def test_joint_training_penalises_what_it_has_seen():
    """Of the head the columns of tasks so far."""
    stream = tiny_stream((2, 3, 2))()
    method = Joint(_training(1), tensor_norms=TensorNorms(0.5))
    method.setup(stream.spec(), seed=0)
    backbone = [v for v in method.shared if v.variable.trainable]
    backbone = [v for v in backbone if not v.name.startswith("head/")]
    for task, columns in zip(stream.tasks, (2, 5, 7)):
        method.begin_task(task)
        tensors = [v.variable.numpy() for v in backbone]
        tensors += [
            weight.numpy()[..., :columns]
            for weight in (method.head.kernels[0], method.head.biases[0])
        ]
        wanted = 0.5 * sum(map(np.linalg.norm, tensors))
        np.testing.assert_allclose(method.penalty(), wanted, rtol=1e-6)


def test_the_momentum_of_moving_statistics_can_be_set():
    network = functools.partial(small_network, momentum=0.999)
    slow, quick = (
        _trained(CLR(_training(1, backbone=network), norm_momentum=momentum))
        for momentum in (None, 0.5)
    )
    moved = [
        np.abs(m.network().backbone.get_layer("norm").moving_mean.numpy()).max()
        for m in (slow, quick)
    ]
    assert 10 * moved[0] < moved[1]


def test_the_own_choice_of_a_file_does_not_count():
    def frozen(image_shape):
        model = small_network(image_shape)
        model.trainable = False
        return model

    method = CLR(_training(1, backbone=frozen))
    method.setup(tiny_stream()().spec(), seed=0)
    trained = {v.name for v in method.slot if v.variable.trainable}
    assert trained >= {"norm/gamma", "norm/beta", "first_clr/kernel"}


def _dense(image_shape):
    inputs = keras.Input(image_shape)
    return keras.Model(
        inputs, keras.layers.Dense(4)(keras.layers.Flatten()(inputs))
    )


@pytest.mark.parametrize(
    "mode, message", [("full", "no convolution"), ("norms", "normalisation")]
)
def test_a_backbone_without_sites_is_refused(mode, message):
    method = CLR(_training(1, backbone=_dense), mode)
    with pytest.raises(ValueError, match=message):
        method.setup(tiny_stream()().spec(), seed=0)


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "big"},
        {"kernel_size": 2},
        {"norm_momentum": 1.0},
    ],
)
def test_options_out_of_range_are_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        CLR(_training(), **options)
    with pytest.raises(ValueError, match="kind"):
        TensorNorms(1.0, "l12")
    with pytest.raises(ValueError, match="weight"):
        TensorNorms(-1.0)
