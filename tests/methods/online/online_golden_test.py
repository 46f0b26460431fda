"""Replay, A-GEM, GDumb, metrics and whole runs against published values."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.layers.memory import published_memory
from tests.methods.online import online_methods
from tests.methods.online.online_methods import batch_of
from tests.testing import golden
from tests.testing.toy_run import no_figures
from tfcl import keras_state
from tfcl.data.streams.point_stream import point_stream
from tfcl.data.task import StreamSpec
from tfcl.engine.experiment import Experiment
from tfcl.engine.loop import learn_stream
from tfcl.methods.online.agem import AGEM, dot
from tfcl.methods.online.experience_replay import MIR, ExperienceReplay
from tfcl.methods.online.memory_head import MemoryHead
from tfcl.methods.online.online_training import (
    OnlineTraining,
    hinge,
    mean_cross_entropy,
)
from tfcl.metrics import continual_confusion
from tfcl.models.online.online_networks import memory_network, mlp_network
from tfcl.optimizers.adam_torch import AdamTorch
from tfcl.optimizers.schedules import Constant
from tfcl.replay.buffer import ReplayBuffer
from tfcl.replay.table import Column


@pytest.fixture
def double():
    """Everything in float64, as the published values are."""
    keras_state.choose_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras_state.choose_floatx("float32")
    keras.config.set_dtype_policy("float32")


def _method(name, data, cfg):
    policy = "random" if name == "er_random" else "reservoir"
    buffer = ReplayBuffer(cfg["buffer_size"], policy, "published")
    arguments = {
        "network": lambda image_shape, classes: mlp_network(
            image_shape, classes, hidden_units=cfg["hidden"]
        ),
        "training": OnlineTraining(
            online_methods.sgd(cfg["lr"]), Constant(cfg["lr"])
        ),
        "buffer": buffer,
        "replay_size": cfg["num_retrieve"],
    }
    if name == "mir":
        method = MIR(**arguments, candidates=None)
    else:
        method = {"agem": AGEM}.get(name, ExperienceReplay)(**arguments)
    classes = tuple(map(str, range(cfg["classes"])))
    method.setup(StreamSpec("s", (1, 1, cfg["d"]), ("t",), (classes,), 1), 0)
    buffer.build(
        {
            "images": Column((1, 1, cfg["d"]), "float64"),
            "labels": Column((), "int32"),
        }
    )
    for variable, key in zip(
        method.network().variables, ("W1", "b1", "W2", "b2")
    ):
        variable.assign(data[f"init_{key}"])
    return method


@pytest.mark.parametrize("name", ["er_reservoir", "er_random", "mir", "agem"])
def test_replay_follows_the_published_steps(name, double):
    data = golden.load("memory_head/competitors.npz")
    cfg = json.loads(str(data["cfg"]))
    of = {
        key[len(name) + 1 :]: value
        for key, value in data.items()
        if key.startswith(f"{name}_")
    }
    method = _method(name, data, cfg)
    buffer, network = method.buffer, method.network()
    seen = []
    combined, chosen = method.combined, method.chosen

    def noted(gradients, replayed):
        seen.append(float(dot(gradients, replayed)))
        return combined(gradients, replayed)

    def ranked(*arguments):
        places, weights = chosen(*arguments)
        orders.append((places.numpy(), weights.numpy()))
        return places, weights

    orders = []
    method.combined, method.chosen = noted, ranked
    for step, (x, y) in enumerate(zip(data["X"], data["Y"])):
        places = of["replay_idx"][step]
        draws = of["store_draw"][step]
        if name == "er_random":
            draws = of["store_slot_draw"][step] if draws == 1 else -1
        update = method.replay_step(
            batch_of(x[None, None, None], [y]),
            tf.constant(np.maximum(places, 0), tf.int32),
            tf.constant(places >= 0, tf.float32),
            tf.constant([draws], tf.int32),
        )
        online_methods.apply(method, update)
        np.testing.assert_allclose(update.loss, of["loss"][step], rtol=1e-6)
        np.testing.assert_array_equal(
            np.squeeze(buffer["images"].numpy(), (1, 2)), of["buf_x"][step]
        )
        np.testing.assert_array_equal(buffer["labels"], of["buf_y"][step])
    for variable, key in zip(network.variables, ("W1", "b1", "W2", "b2")):
        np.testing.assert_allclose(
            variable, of[f"final_{key}"], rtol=0, atol=1e-12
        )
    if name == "agem":
        wanted = of["dot"]
        known = np.isfinite(wanted)
        np.testing.assert_allclose(
            np.array(seen)[known], wanted[known], rtol=1e-9, atol=1e-12
        )
        assert (np.array(seen)[~known] == 0).all()
    if name == "mir":
        for (places, weights), wanted in zip(orders, of["order"]):
            kept = weights > 0
            np.testing.assert_array_equal(places[kept], wanted[wanted >= 0])


def test_gdumb_keeps_the_published_examples():
    data = golden.load("memory_head/competitors.npz")
    cfg = json.loads(str(data["cfg"]))
    buffer = ReplayBuffer(cfg["buffer_size"], "balanced")
    buffer.build({}, cfg["classes"])
    kept = buffer.policy
    for step, label in enumerate(data["gdumb_Y"]):
        draw = data["gdumb_evict_draw"][step]
        largest = kept.counts.numpy().max()
        # In the middle of the chances that lead to this place.
        chance = (draw + 0.5) / largest if draw >= 0 else 0.9
        offered = {"labels": tf.constant([label], tf.int32)}
        buffer.insertion(offered, tf.constant([chance], tf.float32))()
        counts, numbers = kept.counts.numpy(), kept.numbers.numpy()
        np.testing.assert_array_equal(counts, data["gdumb_counts"][step])
        wanted = data["gdumb_ids"][step]
        np.testing.assert_array_equal(numbers[:, : wanted.shape[-1]], wanted)


def test_metrics_and_losses_are_the_published_ones():
    data = golden.load("memory_head/metrics.npz")
    for size in range(1, len(data["ccm"]) + 1):
        found = continual_confusion.summarise(data["ccm"][:size, :size])
        for ours, theirs in (
            ("average_accuracy", "avg_accuracy"),
            ("average_forgetting", "avg_forgetting"),
            ("backward_transfer", "backward_transfer"),
            ("forward_transfer", "forward_transfer"),
        ):
            wanted = data[theirs][size - 1]
            np.testing.assert_allclose(found[ours], wanted, atol=1e-6)
    labels = tf.constant(data["loss_y"], tf.int32)
    logits = tf.constant(data["loss_logits"])
    np.testing.assert_allclose(
        mean_cross_entropy(labels, logits), data["loss_xent"], rtol=1e-12
    )
    np.testing.assert_allclose(
        hinge(labels, logits), data["loss_hinge"], rtol=1e-12
    )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return str(tmp_path_factory.mktemp("prepared"))


@pytest.mark.parametrize("similarity", ["cosine", "euclid"])
def test_a_run_fills_the_published_confusion_matrices(
    similarity, data_dir, tmp_path, double
):
    """The whole engine: MODES-CDI, evaluated after each distribution.

    In float64, to follow every draw.
    """
    data = golden.load(f"memory_head/stream_run_modes_cdi_{similarity}.npz")
    cfg = published_memory.configuration(data)
    method = MemoryHead(
        lambda image_shape, classes: memory_network(
            image_shape,
            classes,
            memory_units=cfg["key_mem_units"],
            delta=cfg["delta"],
            shared_keys=len(data["K0"]) == 1,
            similarity=cfg.get("distance", "cosine"),
            inverse_temperature=cfg["gamma_alpha"],
            key_rate=cfg["beta_k"],
            scramble=True,
            match_threshold=cfg["tau_alpha"],
            usage_threshold=cfg["tau_mu"],
            age_threshold=cfg["tau_eta"],
            scramble_score="scaled",
            dtype="float64",
        ),
        OnlineTraining(AdamTorch, Constant(cfg["lr"])),
    )
    run = _opened(tmp_path, method, data_dir)
    (head,) = method.network().memory_heads
    head.keys.assign(data["K0"])
    head.memories.assign(data["M0"].reshape(head.memories.shape))
    with no_figures():
        run.start({})
        learn_stream(run)
    run.close()
    history = run.bank.history(0, run.stream.tasks[0].name)
    for split, name in (
        ("train", "train"),
        ("validation", "val"),
        ("test", "test"),
    ):
        wanted = data[f"ccm_{name}"]
        found = history[f"{split}/accuracies"][: len(wanted)]
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert (
        run.results()["tasks"][0]["method"]["scrambles"]
        == (data["scrambling_count"][-1])
    )
    np.testing.assert_allclose(head.keys, data["K"], atol=1e-9)


def _opened(tmp_path, method, data_dir):
    return Experiment(
        tmp_path / "run",
        data_dir=data_dir,
        method=method,
        stream=lambda data_dir: point_stream("modes", "cdi", data_dir=data_dir),
        exports=False,
    )
