"""CPU time of SPG's steps, importance passes and evaluation.

    python benchmarks/spg.py --threads 1 [--case NAME]

Prints one JSON line per case with `case`, `threads`, `cpu_ms_per_step` and
`items_per_s` (images per second of wall time). Random images, the network
of C-10 (6.5 million parameters, dropout on), batch 64.

- `plain_keras`: `keras.Model.train_on_batch` of the same network with Keras'
  own dropout and SGD, the unit to compare with on any machine;
- `step`: a masked training step in the engine's traced loop;
- `importance_<k>`: per batch of 64 and head, the pass at the end of the k-th
  task, which has k heads, without the scores at its end;
- `scores`: these, per head and task (once in 71 batches of C-10);
- `one_pass_per_head`: the same at the tenth task by plain tapes, one forward
  and backward per head: what the published program computes;
- `evaluation`: a batch of 64 of the evaluation loop.
"""

import functools
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from benchmarks import timing  # noqa: E402
from tfcl.data.synthetic import synthetic_stream  # noqa: E402
from tfcl.engine.steps import StepRunner  # noqa: E402
from tfcl.methods.spg.spg import SPG  # noqa: E402
from tfcl.methods.task_training import TaskTraining  # noqa: E402
from tfcl.models.backbones.spg_alexnet import spg_alexnet  # noqa: E402
from tfcl.optimizers.plain_sgd import PlainSGD  # noqa: E402
from tfcl.optimizers.schedules import Constant  # noqa: E402

_SHAPE, _CLASSES, _BATCH, _STEPS, _TASKS = (32, 32, 3), 10, 64, 8, 10
_DROPOUT = (0.313455931477029, 0.40930567117056715)


def _stream():
    return synthetic_stream(
        class_counts=(_CLASSES,) * _TASKS,
        image_shape=_SHAPE,
        train_size=_BATCH * _STEPS,
        test_size=_BATCH * _STEPS,
        batch_size=_BATCH,
    )


def _method(stream):
    training = TaskTraining(
        backbone=functools.partial(
            spg_alexnet, early_dropout=_DROPOUT[0], late_dropout=_DROPOUT[1]
        ),
        hidden_units=(),
        dropout=0.0,
        epochs=1,
        schedule=Constant(1e-3),
        optimizer=PlainSGD,
        head_start="fan_in_uniform",
        shuffle=False,
    )
    method = SPG(training)
    method.setup(stream.spec(), seed=0)
    method.begin_task(stream.tasks[0])
    values = method.bank_values()
    method.recall = lambda index: values
    runner = StepRunner(method, tf.distribute.get_strategy(), _SHAPE, np.uint8)
    return method, runner


def step_epoch():
    """An epoch of masked steps."""
    stream = _stream()
    method, runner = _method(stream)
    task = stream.tasks[0]
    phase = next(method.phases(task))
    order = np.arange(len(task.train))

    def epoch():
        runner.train(phase, task.train, order, 0, _STEPS, _BATCH, [1, 2], False)

    return epoch


def importance_pass(heads):
    """The passes at the end of a task."""
    stream = _stream()
    method, runner = _method(stream)
    task = stream.tasks[heads - 1]

    def passes():
        phases = method.phases(task)
        next(phases)
        for phase in phases:
            runner.accumulate(phase, task.train, phase.batch_size, [1, 2])

    return passes


def scores():
    """What becomes of the gradients of ten heads."""
    stream = _stream()
    method, _ = _method(stream)
    *_, phase = method.phases(stream.tasks[-1])
    return phase.then


def one_pass_per_head():
    """A forward and a backward pass for every head, as published."""
    stream = _stream()
    method, _ = _method(stream)
    split = stream.tasks[0].train
    images = ((split.images / 255.0 - split.mean) / split.std).astype(
        np.float32
    )
    variables = [owned.variable.value for owned in method.shared]
    sums = [tf.Variable(tf.zeros_like(v)) for v in variables]
    backbone, head = method.network().backbone, method.head

    @tf.function(autograph=False)
    def add(batch):
        with tf.GradientTape() as tape:
            objective = tf.reduce_sum(head(backbone(batch, training=True)))
        for total, gradient in zip(sums, tape.gradient(objective, variables)):
            total.assign_add(gradient)

    def passes():
        for _ in range(_TASKS):
            for first in range(0, len(images), _BATCH):
                add(tf.constant(images[first : first + _BATCH]))

    return passes


def evaluation():
    """The evaluation loop of the engine."""
    stream = _stream()
    _, runner = _method(stream)
    return lambda: runner.measurement.evaluate(stream.tasks[0].test, _BATCH)


def plain_keras_epoch():
    """The same network as an ordinary compiled Keras model."""
    backbone = keras.models.clone_model(
        spg_alexnet(_SHAPE, *_DROPOUT),
        clone_function=lambda layer: (
            layer.lower()[0]
            if hasattr(layer, "lower")
            else type(layer).from_config(layer.get_config())
        ),
    )
    outputs = keras.layers.Dense(_CLASSES)(backbone.outputs[0])
    model = keras.Model(backbone.inputs[0], outputs)
    optimizer = keras.optimizers.SGD(1e-3)
    split = _stream().tasks[0].train
    return timing.plain_keras_steps(model, optimizer, split, _BATCH, _STEPS)


def _heads(count):
    return (
        _BATCH,
        _STEPS * count,
        functools.partial(importance_pass, count),
    )


_CASES = {
    "plain_keras": (_BATCH, _STEPS, plain_keras_epoch),
    "step": (_BATCH, _STEPS, step_epoch),
    "importance_1": _heads(1),
    "importance_10": _heads(_TASKS),
    "scores": (_BATCH * _STEPS, _TASKS, scores),
    "one_pass_per_head": (_BATCH, _STEPS * _TASKS, one_pass_per_head),
    "evaluation": (_BATCH, _STEPS, evaluation),
}

if __name__ == "__main__":
    timing.measure(__doc__, _CASES, repeats=3)
