"""CPU time of CPG's and PackNet's steps beside plain Keras.

    python benchmarks/cpg.py --threads 1 [--case NAME]

Prints one JSON line per case with `case`, `threads`, `cpu_ms_per_step` and
`items_per_s` (images per second of wall time). Random images, VGG16 with
batch norm for 32 x 32 at width 1 (33.6 million masked weights), batch 32.
`plain_keras` is `keras.Model.train_on_batch` of the same network with Nesterov
momentum, the unit to compare with on any machine:

- `finetune`: the first task, or PackNet's any;
- `picking`: a later task, with the gradients of scores and their Adam;
- `picked`: a later task whose picks are frozen;
- `prune_first`, `prune`: a step of a pruning run, of the first and of a later
  task, without an event;
- `event`: one pruning event alone.
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
from tfcl.methods.cpg.accuracy_goals import OwnGoal  # noqa: E402
from tfcl.methods.cpg.cpg import CPG  # noqa: E402
from tfcl.methods.cpg.cpg_phases import PruningLadder  # noqa: E402
from tfcl.methods.task_training import TaskTraining  # noqa: E402
from tfcl.methods.work import Phase  # noqa: E402
from tfcl.models.backbones.cpg_vgg import cpg_vgg  # noqa: E402
from tfcl.optimizers.magnitude_pruning import GradualSparsity  # noqa: E402
from tfcl.optimizers.schedules import Constant  # noqa: E402
from tfcl.optimizers.sgd_nesterov import SGDNesterov  # noqa: E402

_SHAPE, _CLASSES, _BATCH, _STEPS = (32, 32, 3), 5, 32, 3


def _stream():
    return synthetic_stream(
        class_counts=(_CLASSES, _CLASSES),
        image_shape=_SHAPE,
        train_size=_BATCH * _STEPS,
        test_size=_CLASSES,
        batch_size=_BATCH,
    )


def _method(later):
    """CPG in the middle of its first task or, half of it freed, a later."""
    training = TaskTraining(
        backbone=cpg_vgg,
        hidden_units=(),
        dropout=0.0,
        epochs=1,
        schedule=Constant(1e-3),
        optimizer=SGDNesterov,
        weight_decay=4e-5,
    )
    ladder = PruningLadder(Constant(1e-3))
    method = CPG(training, OwnGoal(), ladder, Constant(1e-3))
    stream = _stream()
    method.setup(stream.spec(), seed=0)
    method.begin_task(stream.tasks[0])
    if later:
        values = method.bank_values()
        method.recall = lambda index: values
        for layer in method.masked:
            kernel = np.abs(layer.kernel.numpy())
            owner = layer.owner.numpy()
            owner[kernel < np.median(kernel)] = 0
            layer.owner.assign(owner)
        method.begin_task(stream.tasks[1])
    return method, stream.tasks[int(later)]


def step_epoch(step, later=False):
    """An epoch of one kind of step in the engine's traced loop."""
    method, task = _method(later)
    # A ramp without an event.
    method.steps.begin_ramp(GradualSparsity(0.0, 0.1, 0, 10**6, 10**6))
    runner = StepRunner(method, tf.distribute.get_strategy(), _SHAPE, np.uint8)
    phase = Phase("timed", 1, {}, steps=(getattr(method.steps, step),))
    order = np.arange(len(task.train))

    def epoch():
        runner.train(phase, task.train, order, 0, _STEPS, _BATCH, [1, 2], False)

    return epoch


def pruning_event():
    """One event of every layer."""
    method, _ = _method(later=True)
    method.steps.begin_ramp(GradualSparsity(0.0, 0.5, 0, 10**6, 1))
    method.steps.ramp_step.assign(10**5)
    return tf.function(method.steps._prune, autograph=False)


def plain_keras_epoch():
    """The same network as an ordinary compiled Keras model."""
    backbone = cpg_vgg(_SHAPE)
    outputs = keras.layers.Dense(_CLASSES)(backbone.outputs[0])
    model = keras.Model(backbone.inputs[0], outputs)
    optimizer = keras.optimizers.SGD(1e-3, momentum=0.9, nesterov=True)
    split = _stream().tasks[0].train
    return timing.plain_keras_steps(model, optimizer, split, _BATCH, _STEPS)


def _case(step, later):
    return (_BATCH, _STEPS, functools.partial(step_epoch, step, later))


_CASES = {
    "plain_keras": (_BATCH, _STEPS, plain_keras_epoch),
    "finetune": _case("first", False),
    "picking": _case("pick", True),
    "picked": _case("own", True),
    "prune_first": _case("first_prune", False),
    "prune": _case("prune", True),
    "event": (_BATCH, 1, pruning_event),
}

if __name__ == "__main__":
    timing.measure(__doc__, _CASES, repeats=5)
