"""Channel gating against the published program, and its own rules."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import golden, running
from tfcl.layers.masked.channel_gate import ChannelGate
from tfcl.methods.base import cross_entropy
from tfcl.methods.masks.channel_gating import ChannelGating
from tfcl.testing import run_method_test, runner_for, tiny_stream, tiny_training

# A whole network in float32, and a softmax at temperature 0.1.
_CLOSE = {"rtol": 1e-5, "atol": 5e-6}


@pytest.fixture(scope="module", name="data")
def _data():
    return golden.load("lasem/extras_gate_apd.npz")


def _gates(method):
    backbone = method.network().backbone
    return [la for la in backbone.layers if isinstance(la, ChannelGate)]


def _published(data):
    """The published network with the published weights."""
    hidden_units = data["cg_gate_0"].shape[1]
    depth = golden.count(data, "cg_gates_{}")
    method = golden.published_network(
        data,
        "cg",
        [data[f"cg_conv_{2 * i}"] for i in range(depth)],
        lambda training: ChannelGating(training, hidden_units),
    )
    backbone = method.network().backbone
    for i, gate in enumerate(_gates(method)):
        conv = backbone.get_layer(f"conv_{i}")
        conv.set_weights([data[f"cg_conv_{2 * i + k}"] for k in range(2)])
        gate.set_weights([data[f"cg_gate_{4 * i + k}"] for k in range(4)])
    return method


def test_gates_logits_and_loss_are_the_published_ones(data):
    method = _published(data)
    gates = _gates(method)
    seen = keras.Model(
        method.network().backbone.inputs[0], [gate.output for gate in gates]
    )
    for i, found in enumerate(seen(data["x"])):
        wanted = data[f"cg_gates_{i}"]
        found = np.reshape(found, wanted.shape)
        np.testing.assert_allclose(found, wanted, **_CLOSE)
    logits = method.predict(tf.constant(data["x"]))
    np.testing.assert_allclose(logits, data["cg_logits"], **_CLOSE)
    loss = tf.reduce_mean(cross_entropy(data["y"], logits))
    np.testing.assert_allclose(loss, data["cg_loss"], **_CLOSE)


def test_the_exported_network_is_plain_and_computes_the_same(data):
    method = _published(data)
    model = method.network().lower()
    np.testing.assert_allclose(model(data["x"]), data["cg_logits"], **_CLOSE)
    modules = {type(la).__module__.split(".")[0] for la in model.layers}
    assert modules == {"keras"}


def _trained(entropy_weight, epochs=1):
    """(method, its task) after some epochs."""
    method = ChannelGating(
        tiny_training(epochs), 8, temperature=1.0, entropy_weight=entropy_weight
    )
    stream = tiny_stream()()
    method.setup(stream.spec(), seed=0)
    runner = runner_for(method, (8, 8, 3))
    running.train_task(method, runner, stream.tasks[0], 16)
    return method


def _entropy(method):
    """Mean over layers and images, in nats."""
    gates = _gates(method)
    backbone = method.network().backbone
    model = keras.Model(backbone.inputs[0], [gate.output for gate in gates])
    images = np.random.default_rng(0).normal(size=(16, 8, 8, 3))
    found = [np.reshape(g, (16, -1)) for g in model(np.float32(images))]
    return np.mean([-(g * np.log(g)).sum(1).mean() for g in found]), images


def test_the_entropy_option_closes_channels():
    free, closed = (_entropy(_trained(w, epochs=10))[0] for w in (0, 10))
    # Adam takes steps of one size, so that the weight does not show in them.
    assert closed < 0.75 * free, (closed, free)


def test_the_penalty_is_the_mean_entropy():
    method = _trained(0.5)
    entropy, images = _entropy(method)
    method.features(tf.constant(images, tf.float32), training=True)
    np.testing.assert_allclose(method.penalty(), 0.5 * entropy, rtol=1e-5)
    assert ChannelGating(tiny_training()).entropy_weight == 0.0
    assert _trained(0.0).penalty() is None


def test_convolutions_are_shared_and_gates_belong_to_the_task():
    method = _trained(0.0)
    shared = {owned.name for owned in method.shared}
    convs = ("conv_0", "conv_1")
    assert shared == {f"{c}/{w}" for c in convs for w in ("kernel", "bias")}
    own = {owned.name.split("/")[0] for owned in method.slot}
    assert own == {"conv_0_gate", "conv_1_gate", "head"}


def test_channel_gating_keeps_the_contract(tmp_path):
    run_method_test(
        lambda: ChannelGating(tiny_training(15, 0.02), 16, temperature=1.0),
        tmp_path,
        forgets=True,
    )


@pytest.mark.parametrize(
    "options",
    [{"hidden_units": 0}, {"temperature": 0.0}, {"entropy_weight": -1.0}],
)
def test_options_out_of_range_are_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        ChannelGating(tiny_training(), **options)
