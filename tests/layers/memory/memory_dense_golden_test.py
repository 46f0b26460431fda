"""`MemoryDense` against arrays of the published program.

All in float64: single passes agree to 1e-13, traces of 20 steps to 1e-12.
"""

import functools
import json

import numpy as np
import pytest
import tensorflow as tf

from tests.layers.memory import published_memory
from tests.testing import golden
from tfcl.data_builders.modes.modes_dataset_builder import Builder
from tfcl.data_builders.point_streams import stream
from tfcl.layers.memory import key_projections, memory_update


def _cases(name):
    """(data, prefix) of each case of a file, to be skipped without it."""
    try:
        data = golden.load(f"memory_head/{name}.npz")
    except FileNotFoundError:
        return []
    return [
        pytest.param(data, key[:-3], id=key[:-3].strip("_"))
        for key in sorted(data)
        if key.endswith("cfg")
    ]


def _close(found, wanted, tolerance=1e-13):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("data", "prefix"), _cases("forward_cases"))
def test_forward_and_gradients_are_the_published_ones(data, prefix):
    cfg = published_memory.configuration(data, prefix)
    case = {
        key[len(prefix) :]: value
        for key, value in data.items()
        if key.startswith(prefix)
    }
    layer = published_memory.layer(
        cfg, cfg["in_features"], cfg["out_features"], case["K"], case["M"]
    )
    inputs = tf.constant(case["x"])
    state = layer.prepared(layer.state())
    with tf.GradientTape() as tape:
        watched = [inputs, state.memories, state.keys]
        tape.watch(watched)
        logits, reading = layer.read(inputs, state)
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(case["y"], logits)
        )
    of_inputs, of_memories, of_keys = tape.gradient(loss, watched)
    np.testing.assert_array_equal(reading.units, case["topidx"])
    _close(reading.responses, case["topresp"])
    _close(layer._weights(reading), case["alpha"])
    _close(layer._blend(state, reading, layer._weights(reading)), case["W"])
    _close(logits, case["logits"])
    _close(loss, case["loss"])
    _close(layer(inputs), case["logits"])  # by one product with all units
    of_memories = tf.convert_to_tensor(of_memories)
    _close(of_memories, case["grad_M"].reshape(of_memories.shape))
    _close(of_inputs, case["grad_x"])
    if "grad_K" in case:
        _close(state.keys, case["K_normed"])
        _close(of_keys, case["grad_K"])
    else:
        assert of_keys is None or layer.key.key_update == "winner"


@pytest.mark.parametrize(("data", "prefix"), _cases("psi"))
def test_projections_are_the_published_ones(data, prefix):
    cfg = json.loads(str(data[f"{prefix}cfg"]))
    inputs = data.get(f"{prefix}x_nhwc", data[f"{prefix}x"])
    size = cfg["key_size"]
    found = key_projections.project(tf.constant(inputs), cfg["psi_fn"], size)
    if cfg["normalize"]:
        found = memory_update.unit_length(found)
    _close(found, data[f"{prefix}out"], 1e-12)


@pytest.mark.parametrize(("data", "event"), _cases("scramble_event"))
def test_scrambling_takes_the_published_unit(data, event):
    data = {
        key.removeprefix(event): value
        for key, value in data.items()
        if key.startswith(event)
    }
    cfg = published_memory.configuration(data)
    layer = published_memory.layer(
        cfg, cfg["in_features"], cfg["out_features"], data["K0"], data["M0"]
    )
    layer.usage.assign(data["mu0"])
    layer.age.assign(data["eta0"])
    logits, reading = layer.read(tf.constant(data["x"]))
    _close(logits, data["logits"])
    layer.assign(layer.updated(layer.state(), reading))
    _close(layer.keys, data["K1"])
    _close(layer.memories, data["M1"].reshape(layer.memories.shape))
    np.testing.assert_array_equal(layer.usage, data["mu1"])
    np.testing.assert_array_equal(layer.age, data["eta1"])
    np.testing.assert_array_equal(layer.scrambles, data["count1"])


@pytest.mark.parametrize("file", golden.names("memory_head/trace_*.npz"))
def test_traces_are_the_published_ones(file):
    data = golden.load(file)
    cfg = published_memory.configuration(data)
    dtype = data["K0"].dtype.name
    tolerance = 1e-12 if dtype == "float64" else 1e-6
    sizes = cfg["in_features"], cfg["out_features"]
    layer = published_memory.layer(cfg, *sizes, data["K0"], data["M0"], dtype)
    moments = [(0.0, 0.0), (0.0, 0.0)]
    for step, (inputs, labels) in enumerate(zip(data["X"], data["Y"])):
        state = layer.prepared(layer.state())
        logits, loss, reading, of_memories, of_keys = published_memory.learned(
            layer, state, inputs, labels
        )
        state = layer.updated(state, reading)
        memories, moments[0] = published_memory.optimised(
            state.memories, of_memories, cfg, moments[0], step + 1
        )
        state = state._replace(memories=memories)
        if layer.key.key_update != "winner":
            keys, moments[1] = published_memory.optimised(
                state.keys, of_keys, cfg, moments[1], step + 1
            )
            state = state._replace(keys=keys)
        layer.assign(state)
        _close(logits, data["logits"][step], tolerance)
        _close(loss, data["loss"][step], tolerance)
        np.testing.assert_array_equal(reading.units, data["topidx"][step])
        _close(layer.keys, data["K"][step], tolerance)
        wanted = data["M"][step].reshape(layer.memories.shape)
        _close(layer.memories, wanted, tolerance)
        if layer.scrambling.scramble:
            np.testing.assert_array_equal(layer.usage, data["mu"][step])
            np.testing.assert_array_equal(layer.age, data["eta"][step])
            for own, published in (
                (layer.scrambles, data["scrambling_count"]),
                (layer.key_counter, data["key_counter"]),
            ):
                np.testing.assert_array_equal(own, published[step])


@functools.cache
def _modes():
    """The points of MODES-CDI and their labels, as the published run has."""
    return {
        split: stream(*Builder.drawn(None), "cdi", split)
        for split in ("train", "test")
    }


def _double(points):
    return points.astype(np.float32).astype(np.float64)


@pytest.mark.parametrize("similarity", ["cosine", "euclid"])
def test_a_whole_stream_ends_as_published(similarity):
    data = golden.load(f"memory_head/stream_run_modes_cdi_{similarity}.npz")
    cfg = published_memory.configuration(data)
    splits = _modes()
    train = splits["train"]
    units = int(train.labels.max()) + 1
    layer = published_memory.layer(
        cfg, train.points.shape[1], units, data["K0"], data["M0"]
    )

    @tf.function
    def learn(points, labels):
        zeros = tf.zeros_like(layer.memories)
        losses = tf.TensorArray(tf.float64, len(points))
        counts = tf.TensorArray(tf.int32, len(points))

        def body(step, state, moments, losses, counts):
            rows = slice(step, step + 1)
            x = tf.ensure_shape(points[rows], (1, None))
            _, loss, reading, gradient, _ = published_memory.learned(
                layer, state, x, labels[rows]
            )
            state = layer.updated(state, reading)
            memories, moments = published_memory.optimised(
                state.memories, gradient, cfg, moments, step + 1
            )
            state = state._replace(memories=memories)
            losses = losses.write(step, loss)
            counts = counts.write(step, state.scrambles[0])
            return step + 1, state, moments, losses, counts

        _, state, _, losses, counts = tf.while_loop(
            lambda step, *_: step < len(points),
            body,
            (tf.constant(0), layer.state(), (zeros, zeros), losses, counts),
        )
        layer.assign(state)
        return losses.stack(), counts.stack()

    losses, counts = learn(
        tf.constant(_double(train.points)), tf.constant(train.labels, tf.int32)
    )
    _close(losses, data["losses"], 1e-9)
    np.testing.assert_array_equal(counts, data["scrambling_count"])
    _close(layer.keys, data["K"], 1e-9)
    _close(layer.memories, data["M"].reshape(layer.memories.shape), 1e-9)
    np.testing.assert_array_equal(layer.usage, data["mu"])
    np.testing.assert_array_equal(layer.age, data["eta"])
    for split, points in splits.items():
        _close(_accuracies(layer, points), data[f"ccm_{split}"][-1], 1e-6)


def _accuracies(layer, split):
    """Accuracy on each distribution."""
    found = np.argmax(layer(tf.constant(_double(split.points))), axis=-1)
    right = found == split.labels
    numbers = split.distributions
    return [right[numbers == k].mean() for k in range(numbers.max() + 1)]


@pytest.mark.parametrize("mode", ["frozen", "finetuned"])
def test_heads_of_tasks_follow_the_published_first_stage(mode):
    """Batches through two heads; gradients gathered over a virtual batch.

    Where the backbone is trained, the published old head goes on scrambling.
    """
    data = golden.load("memory_head/ci_heads.npz")
    cfg = published_memory.configuration(data)
    # One old head beside the new one.
    heads = [_task_head(data, cfg, task) for task in range(2)]
    old, new = heads
    share = cfg["virtual_batch"] // cfg["batch"]
    gathered, speed = 0.0, 0.0
    for number, (inputs, labels) in enumerate(zip(data["X"], data["Y"])):
        old_logits, old_reading = old.read(tf.constant(inputs))
        logits, loss, reading, gradient, _ = published_memory.learned(
            new, new.state(), inputs, labels - cfg["known_classes"]
        )
        _close(loss / share, data[f"{mode}_loss"][number])
        both = tf.concat([old_logits, logits], axis=-1)
        _close(both, data[f"{mode}_logits"][number])
        new.assign(new.updated(new.state(), reading))
        if mode == "finetuned":
            rate = cfg["old_head_beta_k"]
            state = old.updated(old.state(), old_reading, key_rate=rate)
            old.assign(state)
        gathered += gradient / share
        if (number + 1) % share == 0 or number + 1 == cfg["steps"]:
            gathered += cfg["weight_decay"] * new.memories
            speed = cfg["momentum"] * speed + gathered
            new.memories.assign(new.memories - cfg["lr"] * speed)
            gathered = 0.0
        for task, head in enumerate(heads):
            wanted = data[f"{mode}_h{task}_M"][number]
            _close(head.memories, wanted.reshape(head.memories.shape), 1e-12)
            _close(head.keys, data[f"{mode}_h{task}_K"][number], 1e-12)
            np.testing.assert_array_equal(
                head.scrambles,
                data[f"{mode}_h{task}_scrambling_count"][number],
            )


def _task_head(data, cfg, task):
    start = {k: data[f"init_h{task}_{k}"] for k in ("K", "M", "mu", "eta")}
    head = published_memory.layer(
        cfg, cfg["d"], cfg["task_sizes"][task], start["K"], start["M"]
    )
    head.usage.assign(start["mu"])
    head.age.assign(start["eta"])
    head.scrambles.assign(data[f"init_h{task}_scrambling_count"])
    return head
