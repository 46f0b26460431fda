"""Whole runs of SPG against the published program, in float32."""

import functools

import keras
import numpy as np
import pytest

from tests.testing import golden, running
from tests.testing.spg_weights import alexnet_weights
from tfcl.data.task import StreamSpec, Task
from tfcl.methods.spg.spg import SPG
from tfcl.models.backbones.spg_alexnet import spg_alexnet
from tfcl.optimizers.plain_sgd import PlainSGD
from tfcl.optimizers.schedules import Constant
from tfcl.testing import runner_for, tiny_training

# Weights, logits and losses; importances (see the files' own page).
_CLOSE, _IMPORTANCE_CLOSE = 1e-5, 5e-5


class _Run:
    """SPG on given tasks, weights and heads, driven by hand.

    Args:
        backbone: Function from `image_shape` to a model.
        start: Its start weights.
        heads: (kernel, bias) of each task's head.
        tasks: (images, labels) of each task that is learned.
        options: Of `SPG`.
    """

    def __init__(
        self, backbone, start, heads, tasks, batch, rate, epochs, **options
    ):
        self.batch, self.heads, self.banked = batch, heads, {}
        training = tiny_training(
            epochs,
            backbone=backbone,
            hidden_units=(),
            dropout=0.0,
            schedule=Constant(rate),
            optimizer=PlainSGD,
            shuffle=False,
            drop_remainder=False,
        )
        self.method = SPG(training, **options)
        self.scores, protect = [], self.method.protect

        def spy(importance):
            self.scores.append(importance)
            protect(importance)

        self.method.protect = spy
        counts = [kernel.shape[1] for kernel, _ in heads]
        names = tuple(f"task_{k}" for k in range(len(tasks)))
        classes = tuple(tuple(map(str, range(n))) for n in counts)
        shape = tasks[0][0].shape[1:]
        spec = StreamSpec("golden", shape, names, classes[: len(tasks)], batch)
        self.method.setup(spec, seed=0)
        self.method.recall = self.banked.__getitem__
        self.runner = runner_for(self.method, shape, np.float32)
        self.backbone = [owned.variable for owned in self.method.shared]
        for variable, value in zip(self.backbone, start):
            variable.assign(value)
        self.tasks = []
        for k, (images, labels) in enumerate(tasks):
            split = running.plain_split(images, labels)
            task = Task(
                k,
                names[k],
                classes[k],
                split,
                split,
                split,
                None,
                tuple(self.tasks),
            )
            self.tasks.append(task)

    def begin(self, index):
        """Begins a task with its golden head."""
        self.method.begin_task(self.tasks[index])
        self.scores.clear()
        kernel, bias = self.heads[index]
        head = self.method.head
        head.kernels[0].assign(_padded(kernel, head.max_classes))
        head.biases[0].assign(_padded(bias, head.max_classes))
        return self.method.phases(self.tasks[index])

    def train(self, phase, index, on_step=None, on_epoch=None):
        """Trains a phase step by step; returns the loss of each.

        `on_epoch` gets the number of an epoch, the sum of its steps' losses
        and the share of right answers in them.
        """
        split, losses = self.tasks[index].train, []
        optimizer = self.method.optimizers["main"]
        optimizer.learning_rate.assign(phase.rates["main"].learning_rate)
        steps = -(-len(split) // self.batch)
        for epoch in range(phase.epochs):
            order, right = np.arange(len(split)), 0.0
            for step in range(steps):
                sums, done, bad, *_ = self.runner.train(
                    phase,
                    split,
                    order,
                    step,
                    step + 1,
                    self.batch,
                    [1, 2],
                    False,
                )
                assert (done, bad) == (step + 1, -1)
                losses.append(float(sums["loss"]))
                size = min(self.batch, len(split) - step * self.batch)
                right += size * float(sums["accuracy"])
                if on_step:
                    on_step(len(losses))
            if on_epoch:
                on_epoch(epoch, sum(losses[-steps:]), right / len(split))
        return losses

    def accumulate(self, phase, index):
        """An importance pass, with what it leaves behind."""
        size = phase.batch_size
        self.runner.accumulate(phase, self.tasks[index].train, size, [1, 2])
        phase.then()

    def end(self, index):
        self.banked[index] = self.method.bank_values()

    def importance(self):
        """gamma of the task, in the order of the golden files."""
        return [np.max(np.stack(each), axis=0) for each in zip(*self.scores)]

    def accumulated(self):
        return [1 - p.numpy() for p in self.method.plasticity]

    def weights(self):
        """Of backbone and head, by name in the order of the golden files."""
        head = self.method.head
        count = len(head.active_columns)
        return [v.numpy() for v in self.backbone] + [
            head.kernels[0].numpy()[:, :count],
            head.biases[0].numpy()[:count],
        ]

    def validate(self, images, labels):
        """`Evaluation` of the task in training."""
        split = running.plain_split(images, labels)
        return self.runner.measurement.evaluate(split, self.batch)

    def loss(self, index):
        """Sum over the batches of their mean losses now."""
        data = self.tasks[index].train
        found = self.runner.measurement.evaluate(data, self.batch)
        return found.batch_losses


def _padded(value, columns):
    missing = columns - value.shape[-1]
    return np.pad(value, [(0, 0)] * (value.ndim - 1) + [(0, missing)])


# Two convolutions with a pool between them, and a dense layer.
_LAYERS = ("c1", "c2", "fc1")


def _mini_backbone(image_shape, data):
    first, second, dense = (
        data[f"w.{name}.kernel"].shape[1:] for name in _LAYERS
    )
    relu, layers = {"activation": "relu"}, keras.layers
    model = keras.Sequential(
        [
            keras.Input(image_shape),
            layers.Conv2D(first[-1], first[:2], name="c1", **relu),
            layers.MaxPooling2D(2),
            layers.Conv2D(second[-1], second[:2], name="c2", **relu),
            layers.Flatten(),
            layers.Dense(dense[-1], name="fc1", **relu),
        ]
    )
    return keras.Model(model.inputs[0], model.outputs[0])


_NAMES = [f"{layer}.{kind}" for layer in _LAYERS for kind in ("kernel", "bias")]


@pytest.mark.parametrize("heads_per_pass", [1, 2, 10])
def test_the_mini_run(heads_per_pass):
    """Every weight after every step, every gradient of every head."""
    data = golden.load("spg/mini_run.npz")
    rate, batch, epochs = data["hyper"]
    count = len(data["ncls"])
    # Heads do not change before their task begins.
    heads = [
        tuple(data[f"w.head{k}.{kind}"][0] for kind in ("kernel", "bias"))
        for k in range(count)
    ]
    run = _Run(
        functools.partial(_mini_backbone, data=data),
        [data[f"w.{name}"][0] for name in _NAMES],
        heads,
        [(data[f"x.task{k}"], data[f"y.task{k}"]) for k in range(count)],
        int(batch),
        float(rate),
        int(epochs),
        heads_per_pass=heads_per_pass,
        # Not that of training: the weights of the own loss see to it.
        importance_batch_size=5,
    )
    total = 0
    for task in range(count):
        total = _learn_mini_task(run, data, task, total)
    assert total == len(data["step_loss"])


def _learn_mini_task(run, data, task, total):
    names = [*_NAMES, f"head{task}.kernel", f"head{task}.bias"]
    np.testing.assert_allclose(
        run.method.head_factor, data[f"head_factor.task{task}"], atol=_CLOSE
    )
    if task:
        _check(
            run.accumulated(), data, [f"amax.task{task}.{n}" for n in _NAMES]
        )

    def on_step(step):
        for name, found in zip(names, run.weights()):
            wanted = data[f"w.{name}"][total + step]
            np.testing.assert_allclose(found, wanted, atol=_CLOSE)

    def on_epoch(epoch, loss, accuracy):
        found = run.validate(data[f"xval.task{task}"], data[f"yval.task{task}"])
        wanted = data["epoch_metrics"][task * epochs + epoch]
        np.testing.assert_allclose(
            [loss, accuracy, found.batch_losses, found.accuracy],
            wanted,
            atol=_CLOSE,
        )
        validated.append(epoch)

    epochs, validated = int(data["hyper"][2]), []
    phases = run.begin(task)
    losses = run.train(next(phases), task, on_step, on_epoch)
    assert len(validated) == epochs
    assert len(data["epoch_metrics"]) == epochs * len(data["ncls"])
    steps = len(losses)
    np.testing.assert_allclose(
        losses, data["step_loss"][total : total + steps], atol=_CLOSE
    )
    importance = _check_importance(run, data, task, phases)
    _check(importance, data, [f"importance.task{task}.{n}" for n in _NAMES])
    run.end(task)
    for earlier in range(task + 1):
        run.method.activate(run.banked[earlier], earlier)
        logits = run.method.predict(data[f"xval.task{earlier}"]).numpy()
        wanted = data[f"logits_val.after{task}.task{earlier}"]
        np.testing.assert_allclose(
            logits[:, : wanted.shape[1]], wanted, atol=_CLOSE
        )
    return total + steps


def _check_importance(run, data, task, phases):
    """Goes through the passes of a task; returns its importance."""
    heads = [task, *range(task)]
    for phase in phases:
        first = len(run.scores)
        run.accumulate(phase, task)
        for number, head in enumerate(heads[first : len(run.scores)]):
            raw = run.method._pass.gradients(number, head == task)
            keys = [f"raw.task{task}.head{head}.{name}" for name in _NAMES]
            _check(raw, data, keys, 2e-5)
    assert len(run.scores) == task + 1
    return run.importance()


def _check(arrays, data, keys, tolerance=_IMPORTANCE_CLOSE):
    assert len(arrays) == len(keys)
    for found, key in zip(arrays, keys):
        np.testing.assert_allclose(
            found, data[key], atol=tolerance, rtol=tolerance, err_msg=key
        )


def test_the_alexnet_run():
    """Losses, importances and the factor of the head at full size."""
    data = golden.load("spg/alexnet_32.npz")
    weights, images = alexnet_weights(data)
    batch, rate = int(data["batch_size"]), float(data["lr"])
    run = _Run(
        spg_alexnet,
        [value for pair in weights[:5] for value in pair],
        weights[5:],
        list(zip(images, data["y"])),
        batch,
        rate,
        epochs=1,
    )
    for task in range(len(images)):
        prefix = f"f32.task{task}"
        np.testing.assert_allclose(
            run.method.head_factor, data[f"{prefix}.head_factor"], atol=_CLOSE
        )
        phases = run.begin(task)
        before = sum(run.train(next(phases), task))
        np.testing.assert_allclose(
            [before, run.loss(task)], data[f"{prefix}.losses"], atol=_CLOSE
        )
        _check_summaries(
            run.weights(), data, f"f64.task{task}.weights", task, _CLOSE
        )
        for phase in phases:
            run.accumulate(phase, task)
        _check_summaries(run.importance(), data, f"{prefix}.importance")
        run.end(task)
    learned = len(images)
    _check_summaries(run.accumulated(), data, f"f64.amax_task{learned}")
    np.testing.assert_allclose(
        run.method.head_factor,
        data[f"f32.task{learned}.head_factor"],
        atol=_CLOSE,
    )


def _check_summaries(
    arrays, data, prefix, task=None, tolerance=_IMPORTANCE_CLOSE
):
    names = ["c1", "c2", "c3", "fc1", "fc2"]
    names += [] if task is None else [f"head{task}"]
    names = [f"{name}.{kind}" for name in names for kind in ("kernel", "bias")]
    assert len(names) == len(arrays)
    for name, array in zip(names, arrays):
        flat = array.reshape(-1).astype(np.float64)
        count = len(data[f"{prefix}.{name}.sample"])
        places = (np.arange(count) * (flat.size - 1)) // (count - 1)
        found = {
            "mean": flat.mean(),
            "absmax": np.abs(flat).max(),
            "sample": flat[places],
        }
        for kind, value in found.items():
            key = f"{prefix}.{name}.{kind}"
            np.testing.assert_allclose(
                value, data[key], atol=tolerance, err_msg=key
            )
