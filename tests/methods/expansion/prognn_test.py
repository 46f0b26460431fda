"""Progressive networks: golden parity, growth, frozen columns."""

import functools
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import golden, toy_run
from tfcl.data.task import StreamSpec
from tfcl.methods.expansion.prognn import ProgNN
from tfcl.methods.task_training import TaskTraining
from tfcl.models.backbones.dense_layers import dense_layers
from tfcl.models.backbones.lasem_cnn import lasem_cnn
from tfcl.optimizers.schedules import Constant
from tfcl.testing import run_method_test, tiny_stream, tiny_training

_CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def test_progressive_networks(tmp_path):
    run_method_test(
        lambda: ProgNN(tiny_training()), tmp_path, forgets=False, grows=True
    )


# Against the published program


@pytest.fixture(scope="module", name="data")
def _data():
    return golden.load("lasem/prognn.npz")


@pytest.fixture(scope="module", name="method")
def _method(data):
    """All golden columns, finished."""
    depth = golden.count(data, "t0_conv_W{}")
    layers = golden.count(data, "t0_fc_W{}")
    head = [data[f"t0_fc_W{i}"] for i in range(layers)]
    kernels = [data[f"t0_conv_W{i}"] for i in range(depth)]
    training = TaskTraining(
        functools.partial(
            lasem_cnn,
            channels=tuple(k.shape[-1] for k in kernels),
            kernel_sizes=tuple(k.shape[0] for k in kernels),
            pool_sizes=tuple(int(p) for p in data["pools"]),
        ),
        hidden_units=tuple(w.shape[1] for w in head[:-1]),
        dropout=0.0,
        epochs=1,
        schedule=Constant(1e-3),
    )
    columns = golden.count(data, "t{}_loss")
    classes = tuple(
        tuple(map(str, range(data[f"t{k}_fc_W{layers - 1}"].shape[1])))
        for k in range(columns)
    )
    spec = StreamSpec(
        "golden",
        data["x"].shape[1:],
        tuple(f"task_{i}" for i in range(columns)),
        classes,
        len(data["x"]),
    )
    method = ProgNN(training, float(data["dim_reduction_scale"]))
    method.setup(spec, seed=0)
    return method


def _begin(method, data, number):
    """Builds column `number` with the golden start values."""
    task = types.SimpleNamespace(
        index=number, num_classes=len(method.spec.class_names[number])
    )
    method.begin_task(task)
    values = {}
    for i in range(golden.count(data, "t0_conv_W{}")):
        layer = f"column_{number}_conv_{i}"
        values[f"{layer}/kernel"] = data[f"t{number}_conv_W{i}"]
        values[f"{layer}/bias"] = data[f"t{number}_conv_b{i}"]
        if not (number and i):
            continue
        part = [
            {
                name: data[f"t{number}_lat_l{i}_col{j}_{name}"]
                for name in ("alpha", "V", "c", "U")
            }
            for j in range(number)
        ]
        values[f"{layer}/lateral_scale"] = np.concatenate(
            [p["alpha"] for p in part]
        )
        values[f"{layer}/lateral_projection"] = np.stack(
            [p["V"][0, 0] for p in part]
        )
        values[f"{layer}/lateral_bias"] = np.stack([p["c"] for p in part])
        values[f"{layer}/lateral_kernel"] = np.concatenate(
            [p["U"] for p in part], axis=2
        )
    for i in range(golden.count(data, "t0_fc_W{}")):
        values[f"head/kernel_{i}"] = data[f"t{number}_fc_W{i}"]
        values[f"head/bias_{i}"] = data[f"t{number}_fc_b{i}"]
    for owned in method.slot:
        if owned.name in values:
            value = values.pop(owned.name)
            # The head has columns for the task with the most classes.
            missing = np.subtract(owned.variable.shape, value.shape)
            owned.variable.assign(np.pad(value, [(0, n) for n in missing]))
    assert not values, f"not placed: {sorted(values)}"


def _gradients(method, data):
    """Gradients of the mean cross-entropy by variable name, and the loss."""
    variables = [v.variable.value for v in method.slot if v.variable.trainable]
    names = [v.name for v in method.slot if v.variable.trainable]
    with tf.GradientTape() as tape:
        logits = method.predict(data["x"])
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(data["y"], logits)
        )
    found = tape.gradient(loss, variables)
    return dict(zip(names, (g.numpy() for g in found))), loss.numpy()


def _norms(gradients, data, number):
    """In the order of the golden file: conv, head, laterals."""
    depth, layers = (
        golden.count(data, "t0_conv_W{}"),
        golden.count(data, "t0_fc_W{}"),
    )
    arrays = []
    for i in range(depth):
        layer = f"column_{number}_conv_{i}"
        arrays += [gradients[f"{layer}/kernel"], gradients[f"{layer}/bias"]]
    for i in range(layers):
        arrays += [gradients[f"head/kernel_{i}"], gradients[f"head/bias_{i}"]]
    for i in range(1, depth if number else 0):
        layer = f"column_{number}_conv_{i}"
        kernels = np.split(gradients[f"{layer}/lateral_kernel"], number, 2)
        for j in range(number):
            arrays += [
                gradients[f"{layer}/lateral_scale"][j],
                gradients[f"{layer}/lateral_projection"][j],
                gradients[f"{layer}/lateral_bias"][j],
                kernels[j],
            ]
    return np.array([np.linalg.norm(a) for a in arrays])


def test_columns_compute_what_the_published_program_does(method, data):
    banked = []
    for number in range(golden.count(data, "t{}_loss")):
        _begin(method, data, number)
        gradients, loss = _gradients(method, data)
        np.testing.assert_allclose(loss, data[f"t{number}_loss"], **_CLOSE)
        np.testing.assert_allclose(
            _norms(gradients, data, number),
            data[f"t{number}_grad_norms"],
            rtol=1e-4,
            atol=1e-6,
        )
        for name, found in (("alpha", "scale"), ("V", "projection")):
            for i in range(golden.count(data, "t0_conv_W{}")):
                for j in range(number):
                    key = f"t{number}_grad_lat_l{i}_col{j}_{name}"
                    if key in data:
                        layer = f"column_{number}_conv_{i}"
                        np.testing.assert_allclose(
                            gradients[f"{layer}/lateral_{found}"][j],
                            data[key].reshape(
                                gradients[f"{layer}/lateral_{found}"][j].shape
                            ),
                            **_CLOSE,
                        )
        _compare_maps(method, data, number)
        method.end_task(None)
        banked.append(method.bank_values())
        for earlier, values in enumerate(banked):
            method.activate(values, earlier)
            wanted = data[f"t{number}_logits_task{earlier}"]
            np.testing.assert_allclose(
                method.predict(data["x"])[:, : wanted.shape[1]],
                wanted,
                **_CLOSE,
            )


def _compare_maps(method, data, number):
    backbone = method.network().backbone
    for i in range(golden.count(data, "t0_conv_W{}")):
        names = [f"column_{number}_{kind}_{i}" for kind in ("conv", "pool")]
        last = [la for la in backbone.layers if la.name in names][-1]
        outputs = keras.Model(backbone.inputs[0], last.output)
        np.testing.assert_allclose(
            outputs(data["x"]), data[f"t{number}_conv_out{i}"], **_CLOSE
        )


# Behaviour


def test_a_column_has_the_parameters_of_the_card(tmp_path):
    training = tiny_training(backbone=lasem_cnn, hidden_units=(64,), epochs=1)
    for scale, last in ((1.0, 125_319), (2.0, 91_272)):
        method = ProgNN(training, scale)
        spec = tiny_stream((2,) * 10)().spec()
        spec = StreamSpec(
            "s", (32, 32, 3), spec.task_names, spec.class_names, 10
        )
        method.setup(spec, seed=0)
        method.grow_to({"columns": 10})
        sizes = {}
        for owned in method.shared:
            column = owned.name.split("_")[1]
            size = int(np.prod(owned.variable.shape))
            sizes[column] = sizes.get(column, 0) + size
        assert sizes["0"] == 65_568
        assert sizes["9"] == last


def test_adapters_never_vanish():
    method = ProgNN(tiny_training(), dim_reduction_scale=100.0)
    method.setup(tiny_stream((2, 2))().spec(), seed=0)
    method.grow_to({"columns": 3})
    kernels = [
        v for v in method.shared if v.name.endswith("lateral_projection")
    ]
    assert kernels and all(v.variable.shape[-1] == 1 for v in kernels)


def test_a_network_without_convolutions_is_refused():
    method = ProgNN(tiny_training(backbone=dense_layers))
    with pytest.raises(ValueError, match="no layer of type Conv2D.*Choose"):
        method.setup(tiny_stream()().spec(), 0)


def test_kills_change_nothing(tmp_path):
    toy_run.assert_kills_change_nothing(
        tmp_path, lambda: ProgNN(toy_run.toy_training(epochs=1))
    )
