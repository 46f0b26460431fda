"""LASEM against the published program, step by step."""

import functools
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import golden, running
from tfcl.data.task import StreamSpec
from tfcl.methods.lasem.lasem import LASEM
from tfcl.methods.lasem.transfers import (
    DeconvTransfer,
    HardTransfer,
    TuckerTransfer,
)
from tfcl.methods.task_training import TaskTraining
from tfcl.models.backbones.lasem_cnn import lasem_cnn
from tfcl.optimizers.schedules import Clock, InverseTimeDecay
from tfcl.testing import runner_for

# Whole runs of several steps in float32: the tolerance that the golden
# files' own check suggests.
_CLOSE = {"rtol": 1e-5, "atol": 5e-6}


# Mechanism, and per layer the golden names of its variables: those that all
# tasks share, then the task's part.
_FILES = {
    "lasem_hps_em": (("shared_W{}", "shared_b{}"), ()),
    "lasem_tf_em": (
        ("KB{}",),
        ("U1_{}", "U2_{}", "U3_{}", "U4_{}", "TSb_{}"),
    ),
    "lasem_dfcnn_em": (("KB{}",), ("Wd_{}", "bd_{}", "K_{}", "TSb_{}")),
}


@pytest.fixture(scope="module", name="data", params=_FILES)
def _data(request):
    data = golden.load(f"lasem/{request.param}.npz")
    return {**data, "names": _FILES[request.param]}


def _transfer(data):
    (shared, *_), task = data["names"]
    if shared == "shared_W{}":
        return HardTransfer()
    if len(task) == 5:
        return TuckerTransfer()
    depths = range(data["configs"].shape[1])
    bases = [data[f"t0_init_KB{i}"].shape for i in depths]
    filters = [data[f"t0_init_Wd_{i}"].shape for i in depths]
    return DeconvTransfer(
        bases=tuple((b[1], b[3]) for b in bases),
        filters=tuple((f[0], f[2]) for f in filters),
    )


@pytest.fixture(name="method")
def _method(data):
    depth = data["configs"].shape[1]
    heads = [data[f"t0_init_fc_W{i}"] for i in range(_fc_layers(data))]
    classes = heads[-1].shape[1]
    tasks = _task_count(data)
    backbone = functools.partial(
        lasem_cnn,
        channels=tuple(int(c) for c in data["channels"][1:]),
        kernel_sizes=tuple(
            data[f"t0_init_task_W{i}"].shape[0] for i in range(depth)
        ),
        pool_sizes=tuple(int(p) for p in data["pools"]),
    )
    training = TaskTraining(
        backbone=backbone,
        hidden_units=tuple(w.shape[1] for w in heads[:-1]),
        dropout=0.0,
        epochs=1,
        schedule=InverseTimeDecay(float(data["lr"]), float(data["lr_decay"])),
    )
    names = tuple(f"task_{t}" for t in range(tasks))
    spec = StreamSpec(
        name="golden",
        image_shape=tuple(data["t0_x"].shape[2:]),
        task_names=names,
        class_names=(tuple(map(str, range(classes))),) * tasks,
        batch_size=data["t0_x"].shape[1],
    )
    method = LASEM(training, _transfer(data))
    method.setup(spec, seed=0)
    method.golden_names = data["names"]
    return method


def _fc_layers(data):
    return sum(key.startswith("t0_init_fc_W") for key in data)


def _task_count(data):
    return sum(key.endswith("_best_config") for key in data)


def _variables(method):
    """Golden name -> variable."""
    named = {}
    for i, layer in enumerate(method.layers):
        shared, task = method.golden_names
        generator = layer.generator
        for names, variables in (
            (shared, generator.shared_variables),
            (task, generator.task_variables),
            (("task_W{}", "task_b{}"), layer.own_variables),
        ):
            assert len(names) == len(variables)
            named.update({n.format(i): v for n, v in zip(names, variables)})
    for i, (kernel, bias) in enumerate(
        zip(method.head.kernels, method.head.biases)
    ):
        named[f"fc_W{i}"], named[f"fc_b{i}"] = kernel, bias
    return named


def _begin(method, data, t):
    task = types.SimpleNamespace(index=t, num_classes=method.head.max_classes)
    defined = method.choice.defined.numpy().copy()
    method.begin_task(task)
    for name, variable in _variables(method).items():
        value = data[f"t{t}_init_{name}"]
        carried = any(
            name == shared.format(depth) and defined[depth] > 0.5
            for shared in method.golden_names[0]
            for depth in range(len(defined))
        )
        if carried:  # what the roll-back of the last task left
            np.testing.assert_allclose(variable.numpy(), value, **_CLOSE)
        variable.assign(value)
    for before, owned in zip(method.choice.before, method.shared):
        before.assign(owned.variable)
    return task


def _run_task(method, data, t, check=lambda step: None):
    runner = runner_for(method, data["t0_x"].shape[2:], dtype=np.float32)
    task = _begin(method, data, t)
    (phase,) = method.phases(task)
    for step in range(int(data["steps"])):
        epoch = int(data[f"t{t}_epoch"][step])
        rate = phase.rates["main"](Clock(0, epoch, 1))
        method.optimizers["main"].learning_rate.assign(rate)
        check(step)
        images, labels = data[f"t{t}_x"][step], data[f"t{t}_y"][step]
        split = running.plain_split(images, labels)
        order = np.arange(len(labels))
        sums, *_ = runner.train(
            phase, split, order, 0, 1, len(labels), [0, 0], False
        )
        np.testing.assert_allclose(
            sums["posterior"], data[f"t{t}_posterior"][step], **_CLOSE
        )
        np.testing.assert_allclose(
            method.prior.numpy(), data[f"t{t}_prior_after"][step], **_CLOSE
        )
    return task


def test_configurations_are_in_the_published_order(method, data):
    np.testing.assert_array_equal(method.configurations, data["configs"])


def test_every_step_of_every_task_equals_the_published_program(method, data):
    for t in range(_task_count(data)):

        def check(step, t=t):
            np.testing.assert_allclose(
                method.prior.numpy(), data[f"t{t}_prior"][step], **_CLOSE
            )
            images = tf.constant(data[f"t{t}_x"][step])
            logits = method.head(method._tree(images))
            wanted = data[f"t{t}_logits"][step]
            logits = np.reshape(logits, wanted.shape)
            np.testing.assert_allclose(logits, wanted, **_CLOSE)
            labels = data[f"t{t}_y"][step]
            log_probs = keras.ops.log_softmax(logits)
            true = np.stack(
                [np.array(p)[np.arange(len(labels)), labels] for p in log_probs]
            )
            np.testing.assert_allclose(
                -true.mean(1), data[f"t{t}_loss"][step], **_CLOSE
            )
            np.testing.assert_allclose(
                np.exp(true).mean(1), data[f"t{t}_likelihood"][step], **_CLOSE
            )

        task = _run_task(method, data, t, check)
        for name, variable in _variables(method).items():
            np.testing.assert_allclose(
                variable.numpy(), data[f"t{t}_final_{name}"], **_CLOSE
            )
        method.end_task(task)
        _check_choice(method, data, t)


def _check_choice(method, data, t):
    sharing = data[f"t{t}_conv_sharing"]
    best = method.configurations[int(data[f"t{t}_best_config"])]
    np.testing.assert_array_equal(best, sharing)
    np.testing.assert_array_equal(method.choice.sharing, sharing)
    banked = method.bank_values()

    def kept(group):
        return [
            f"{layer.name}/{variable.name}" in banked
            for layer in method.layers
            for variable in group(layer)
        ]

    np.testing.assert_array_equal(
        kept(lambda layer: layer.own_variables),
        data[f"t{t}_end_task_conv_kept"],
    )
    if f"t{t}_end_TS_kept" in data:
        np.testing.assert_array_equal(
            kept(lambda layer: layer.transfer_variables),
            data[f"t{t}_end_TS_kept"],
        )
    parts = len(method.golden_names[0])
    defined = np.repeat(method.choice.defined.numpy() > 0.5, parts)
    np.testing.assert_array_equal(
        defined, data[f"t{t}_shared_slot_defined_after_task"]
    )
    shared = [v for la in method.layers for v in la.shared_variables]
    for i, variable in enumerate(shared):
        if defined[i]:
            np.testing.assert_allclose(
                variable.numpy(), data[f"t{t}_end_shared_{i}"], **_CLOSE
            )


def test_one_backward_pass_gives_the_weighted_gradients(method, data):
    for t in range(_task_count(data)):
        if f"t{t}_weighted_grad_fc_W0" not in data:
            continue
        _begin(method, data, t)
        runner = runner_for(method, data["t0_x"].shape[2:], dtype=np.float32)
        labels = data[f"t{t}_y"][0]
        runner._train.load(running.plain_split(data[f"t{t}_x"][0], labels))
        rows = tf.range(len(labels))
        seed = tf.constant([0, 0])
        batch = runner._shared.batch(runner._train, rows, 0, seed)
        update = method.train_step(batch)
        (_, gradients, variables) = update.gradients[0]
        found = {id(v): g for v, g in zip(variables, gradients)}
        for name, variable in _variables(method).items():
            per_config = data.get(f"t{t}_grad_per_config_{name}")
            wanted = data[f"t{t}_weighted_grad_{name}"]
            got = np.array(found[id(variable.value)])
            np.testing.assert_allclose(got, wanted, **_CLOSE)
            if per_config is not None:
                weighted = np.tensordot(
                    data[f"t{t}_posterior"][0], per_config, 1
                )
                np.testing.assert_allclose(got, weighted, **_CLOSE)
