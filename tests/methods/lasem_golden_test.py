"""LASEM against the published program, step by step."""

import functools
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import golden, running
from tfcl.data.task import StreamSpec
from tfcl.methods.lasem import LASEM
from tfcl.methods.task_training import TaskTraining
from tfcl.models.lasem_cnn import lasem_cnn
from tfcl.optimizers.schedules import Clock, InverseTimeDecay

# Whole runs of several steps in float32: the tolerance that the golden
# files' own check suggests.
_CLOSE = {"rtol": 1e-5, "atol": 5e-6}


@pytest.fixture(scope="module", name="data")
def _data():
    return golden.load("lasem/lasem_hps_em.npz")


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
            data[f"t0_init_shared_W{i}"].shape[0] for i in range(depth)
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
    method = LASEM(training)
    method.setup(spec, seed=0)
    return method


def _fc_layers(data):
    return sum(key.startswith("t0_init_fc_W") for key in data)


def _task_count(data):
    return sum(key.endswith("_best_config") for key in data)


def _variables(method):
    """Golden name -> variable."""
    named = {}
    for i, layer in enumerate(method.layers):
        named[f"shared_W{i}"], named[f"shared_b{i}"] = layer.shared_variables
        named[f"task_W{i}"], named[f"task_b{i}"] = layer.task_variables
    for i, (kernel, bias) in enumerate(
        zip(method.head.kernels, method.head.biases)
    ):
        named[f"fc_W{i}"], named[f"fc_b{i}"] = kernel, bias
    return named


def _begin(method, data, t):
    task = types.SimpleNamespace(
        index=t, num_classes=method.head.max_classes
    )
    defined = method._defined.numpy().copy()
    method.begin_task(task)
    for name, variable in _variables(method).items():
        value = data[f"t{t}_init_{name}"]
        carried = name.startswith("shared") and defined[int(name[-1])] > 0.5
        if carried:  # what the roll-back of the last task left
            np.testing.assert_allclose(variable.numpy(), value, **_CLOSE)
        variable.assign(value)
    for before, owned in zip(method._before, method.shared):
        before.assign(owned.variable)
    return task


def _run_task(method, data, t, check=lambda step: None):
    runner = running.runner_for(
        method, data["t0_x"].shape[2:], dtype=np.float32
    )
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
    np.testing.assert_array_equal(method._sharing, sharing)
    kept = [
        f"conv_{i}/task_{part}" in method.bank_values()
        for i in range(len(sharing))
        for part in ("kernel", "bias")
    ]
    np.testing.assert_array_equal(kept, data[f"t{t}_end_task_conv_kept"])
    defined = np.repeat(method._defined.numpy() > 0.5, 2)
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
        runner = running.runner_for(
            method, data["t0_x"].shape[2:], dtype=np.float32
        )
        labels = data[f"t{t}_y"][0]
        runner._train.load(running.plain_split(data[f"t{t}_x"][0], labels))
        rows = tf.range(len(labels))
        batch = runner._batch(runner._train, rows, 0, tf.constant([0, 0]))
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
