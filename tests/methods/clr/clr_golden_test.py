"""CLR against the published program: bottleneck, training, counts."""

import functools
import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import golden
from tfcl.data.task import StreamSpec
from tfcl.methods.base import Batch
from tfcl.methods.clr.clr import CLR
from tfcl.methods.tensor_norms import TensorNorms
from tfcl.models.backbones.cpg_resnet import residual_network
from tfcl.models.backbones.resnet_torchvision import (
    resnet_torchvision,
    torchvision_place,
)
from tfcl.models.surgery.lift import lift
from tfcl.models.surgery.reprogram import reprogram
from tfcl.optimizers.adam_torch import AdamTorch
from tfcl.testing import tiny_training

_STEPS = golden.load("clr/train_steps.npz")
_BLOCKS = golden.load("clr/bottleneck.npz")
_MODES = {"reduced_v1": "clr", "base": "full", "reduced_v2": "scale"}
_COUNTS = {"clr": "clr", "clr_full": "full", "scale_1x1": "scale"}
_TORCH = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "kernel": "weight",
}


def _place(key):
    """Name in the bank of a golden array like "layer1.0.conv2/clr"."""
    layer, weight = key.split("/")
    if layer == "fc":
        return f"head/{weight}_0"
    if weight == "clr":
        layer, _ = torchvision_place(f"{layer}.weight")
        return f"{layer}_clr/kernel"
    return "/".join(torchvision_place(f"{layer}.{_TORCH[weight]}"))


def _weights(model):
    return {
        f"{layer.name}/{weight.name}": weight
        for layer in model.layers
        for weight in layer.weights
    }


@pytest.mark.parametrize("variant", sorted({k.split("/")[0] for k in _BLOCKS}))
def test_a_published_bottleneck(variant):
    data = golden.under(_BLOCKS, variant)
    start = golden.under(data, "w0")
    stride = _stride(data["x"], data["y_eval"])
    block = f"layer{stride}.0"  # Only the second stage opens with stride 2.
    model = _block(data["x"].shape[-1], start, stride, _MODES[variant])
    weights = _weights(model)
    for key, value in start.items():
        weights[_place(f"{block}.{key}")].assign(value)
    # Sums in float32 over a map, in another order.
    close = {"rtol": 2e-5, "atol": 2e-5}
    x = tf.constant(data["x"])
    np.testing.assert_allclose(model(x), data["y_eval"], **close)
    wanted = golden.under(data, "grad")
    sources = {k: weights[_place(f"{block}.{k}")].value for k in wanted}
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = model(x, training=True)
        total = tf.reduce_sum(outputs * data["gy"])
    np.testing.assert_allclose(outputs, data["y_train"], **close)
    dx, gradients = tape.gradient(total, (x, sources))
    np.testing.assert_allclose(dx, data["dx"], **close)
    for key, gradient in gradients.items():
        np.testing.assert_allclose(gradient, wanted[key], **close)
    for key, value in golden.under(data, "after").items():
        found = weights[_place(f"{block}.{key}")]
        np.testing.assert_allclose(found, value, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(model(x), data["y_eval_after"], **close)


def _stride(images, maps):
    """The smallest stride that takes the one size to the other, 1 or 2."""
    sizes = images.shape[1:3], maps.shape[1:3]
    for stride in (1, 2):
        if tuple(-(-side // stride) for side in sizes[0]) == sizes[1]:
            return stride
    raise AssertionError(f"no block of a ResNet maps {sizes[0]} to {sizes[1]}")


def _block(channels, start, stride, mode):
    """The block that opens stage `stride`, on maps of any channels."""
    # The stage before it has no block of its own.
    planes = start["conv1/kernel"].shape[-1]
    stages = ((planes, 0),) * (stride - 1) + ((planes, 1),)
    net = residual_network(
        (None, None, 3), stages, "conv3/kernel" in start, "published", channels
    )
    # A copy, whose layers know one graph alone.
    net = lift(reprogram(net, mode)[0], {})
    (pool,) = [
        la for la in net.layers if isinstance(la, keras.layers.MaxPooling2D)
    ]
    return keras.Model(pool.output, net.get_layer("features").input)


def _method(variant, weight):
    """A `CLR` on the published small network, and its spec."""
    start = golden.under(_STEPS, f"{variant}/w0")
    backbone = functools.partial(
        residual_network,
        stages=_stages(start),
        bottleneck=any(key.endswith(".conv3/kernel") for key in start),
        name="published",
        stem_channels=start["conv1/kernel"].shape[-1],
    )
    training = tiny_training(
        backbone=backbone,
        hidden_units=(),
        dropout=0.0,
        optimizer=AdamTorch,
        pretrained=True,
    )
    method = CLR(
        training,
        _MODES[variant],
        tensor_norms=TensorNorms(weight),
        penalize_frozen=True,
    )
    classes = tuple(map(str, range(start["fc/bias"].shape[0])))
    _, batch, *shape = _STEPS["images"].shape
    spec = StreamSpec("golden", tuple(shape), ("task",), (classes,), batch)
    method.setup(spec, seed=0)
    owned = {v.name: v.variable for v in method.shared + method.slot}
    for key, value in start.items():
        owned[_place(key)].assign(value)
    return method, owned


def _stages(start):
    """`((planes, blocks), ...)` of the network whose weights these are."""
    blocks = {}
    for key in start:
        if found := re.fullmatch(r"layer(\d+)\.(\d+)\.conv1/kernel", key):
            stage = blocks.setdefault(int(found[1]), {})
            stage[int(found[2])] = start[key].shape[-1]
    # One number of planes in a stage, stages and blocks without gaps.
    assert all(len(set(stage.values())) == 1 for stage in blocks.values())
    assert sorted(blocks) == list(range(1, len(blocks) + 1))
    return tuple((blocks[k][0], len(blocks[k])) for k in sorted(blocks))


def _batch(step):
    images, labels = _STEPS["images"][step], _STEPS["labels"][step]
    count = len(labels)
    return Batch(
        images=tf.constant(images),
        labels=tf.constant(labels, tf.int32),
        tasks=tf.zeros(count, tf.int32),
        black=tf.zeros((count, 3)),
        positions=tf.range(count),
        size=tf.constant(count),
        step=tf.constant(step),
        seed=tf.constant([0, step]),
        replicas=1,
        sum_over_replicas=lambda value: value,
    )


@pytest.mark.parametrize(
    "variant", sorted({k.split("/")[0] for k in _STEPS if "/w0/" in k})
)
def test_published_training_steps(variant):
    runs = {
        key.split("/")[1] for key in _STEPS if key.startswith(f"{variant}/lam")
    }
    assert runs
    for run in runs:
        _train(variant, run)


def _train(variant, run):
    data = golden.under(_STEPS, f"{variant}/{run}")
    weight = float(run.removeprefix("lam"))
    method, owned = _method(variant, weight)
    whole, trained = data["reg_penalty_step0"]
    np.testing.assert_allclose(method.penalty(), weight * whole, rtol=1e-6)
    method.penalize_frozen = False
    np.testing.assert_allclose(method.penalty(), weight * trained, rtol=1e-6)
    method.penalize_frozen = True
    for number, rate in enumerate(data["lr"]):
        update = method.train_step(_batch(number))
        np.testing.assert_allclose(update.loss, data["loss"][number], rtol=2e-5)
        assert update.metrics["accuracy"] == data["acc"][number]
        ((_, gradients, variables),) = update.gradients
        if number == 0:
            _same_gradients(gradients, variables, owned, data)
        optimizer = method.optimizers["main"]
        optimizer.learning_rate.assign(rate)
        optimizer.apply(gradients, variables)
        # Held to the file where it has the weights after this step.
        after = golden.under(data, f"after{number + 1}")
        _same_weights(owned, after, data["lr"][: number + 1].sum())
    assert after, "the file lacks the weights after the last step"
    logits = method.predict(_batch(0).images)
    np.testing.assert_allclose(
        logits, data["logits_eval_final"], rtol=1e-4, atol=1e-5
    )


def _same_gradients(gradients, variables, owned, data):
    by_variable = {id(v): g for v, g in zip(variables, gradients)}
    for key, wanted in golden.under(data, "grad1").items():
        found = by_variable[id(owned[_place(key)].value)]
        np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-6)


def _same_weights(owned, wanted, moved):
    """Adam moves by about the rate, whatever the gradient's rounding."""
    for key, value in wanted.items():
        np.testing.assert_allclose(
            owned[_place(key)], value, rtol=1e-5, atol=2e-3 * moved
        )


def _counts():
    with open(golden.path("clr/counts.json"), encoding="utf-8") as file:
        return json.load(file)


@pytest.fixture(name="networks", scope="module")
def _networks():
    return functools.cache(
        lambda name: resnet_torchvision(
            (64, 64, 3), int(name.removeprefix("resnet"))
        )
    )


@pytest.mark.parametrize(
    "name, variant",
    [(n, v) for n, note in _counts().items() for v in note["variants"]],
)
def test_published_counts_and_places(name, variant, networks):
    note = _counts()[name]
    wanted = note["variants"][variant]
    backbone = networks(name)
    _, sites = reprogram(backbone, _COUNTS[variant])
    found = {
        (s.conv.name, s.conv.filters, *s.conv.kernel_size[:1])
        + (s.conv.strides[0], s.layer.kernel_size)
        for s in sites
    }
    assert found == {
        (torchvision_place(f"{conv}.weight")[0], *numbers)
        for conv, *numbers in wanted["sites"]
    }
    numbers = sum(int(np.prod(s.layer.kernel.shape)) for s in sites)
    assert (len(sites), numbers) == (wanted["n_sites"], wanted["clr_params"])
    assert backbone.output_shape[-1] == note["feature_dim"]


def test_the_state_of_a_task_is_small():
    """34,560 filter and 53,120 norm weights: 0.599 % with statistics."""
    name, note = next(iter(_counts().items()))
    wanted = note["variants"]["clr"]
    depth = int(name.removeprefix("resnet"))
    training = tiny_training(
        backbone=functools.partial(resnet_torchvision, depth=depth),
        hidden_units=(),
        dropout=0.0,
    )
    method = CLR(training, tensor_norms=TensorNorms())
    classes = tuple(map(str, range(10)))
    method.setup(StreamSpec("s", (32, 32, 3), ("t",), (classes,), 4), 0)
    trained = [v for v in method.slot if v.variable.trainable]
    assert len(trained) == wanted["trainable_tensors"]
    sizes = [int(np.prod(v.variable.shape)) for v in trained]
    assert sum(sizes) == wanted["trainable_head10"]
    frozen = sum(int(np.prod(v.variable.shape)) for v in method.shared)
    assert frozen == wanted["frozen"]
    assert not [v for v in method.shared if v.variable.trainable]
    numbers = method.bank_notes()["numbers"]
    assert numbers == {
        "filters": wanted["clr_params"],
        "norms": 4 * note["bn_channels"],
        "head": 10 * (note["feature_dim"] + 1),
    }
    if depth == 50:
        own = numbers["filters"] + numbers["norms"]
        assert own / note["params_headless"] < 0.006
    sum_of_tensors = len(trained) + wanted["penalised_frozen_tensors"]
    assert sum_of_tensors == wanted["penalised_tensors"]
