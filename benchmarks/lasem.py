"""CPU time of a training step: LASEM, DARTS, static sharing, plain Keras.

    python benchmarks/lasem.py --threads 1 [--case NAME]

Prints one JSON line per case with `case`, `threads`, `cpu_ms_per_step` and
`items_per_s` (pictures per second of wall time). Random pictures of
CIFAR-100's shape, the CIFAR-100 network of 4 layers, batch 10, dropout 0.5;
`plain_keras` is `keras.Model.train_on_batch` of the same network, the unit to
compare with on any machine.
"""

import argparse
import functools
import json
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from tfcl.data.synthetic import synthetic_stream  # noqa: E402
from tfcl.engine.steps import StepRunner  # noqa: E402
from tfcl.methods.darts import DARTS  # noqa: E402
from tfcl.methods.lasem import LASEM  # noqa: E402
from tfcl.methods.static_transfer import StaticTransfer  # noqa: E402
from tfcl.methods.task_training import TaskTraining  # noqa: E402
from tfcl.methods.transfers import (  # noqa: E402
    DeconvTransfer,
    TuckerTransfer,
)
from tfcl.models.lasem_cnn import lasem_cnn  # noqa: E402
from tfcl.optimizers.rmsprop import RMSPropTF1  # noqa: E402
from tfcl.optimizers.schedules import Constant  # noqa: E402

_BATCH = 10
_STEPS = 17  # per call: an epoch of 170 pictures


def main():
    """Measures the cases asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--case", choices=sorted(_CASES), default=None)
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)
    stream = synthetic_stream(
        class_counts=(10,),
        image_shape=(32, 32, 3),
        train_size=_BATCH * _STEPS,
        test_size=10,
        batch_size=_BATCH,
    )
    for name in [arguments.case] if arguments.case else _CASES:
        report(name, arguments, _CASES[name](stream))


def report(name, arguments, epoch):
    """Times `epoch()`, a function of `_STEPS` steps; median of repeats."""
    epoch()
    epoch()
    cpu, wall = [], []
    for _ in range(arguments.repeats):
        start = time.process_time(), time.perf_counter()
        epoch()
        cpu.append(time.process_time() - start[0])
        wall.append(time.perf_counter() - start[1])
    line = {
        "case": name,
        "threads": arguments.threads,
        "cpu_ms_per_step": round(1e3 * float(np.median(cpu)) / _STEPS, 3),
        "items_per_s": round(_BATCH * _STEPS / float(np.median(wall)), 1),
    }
    print(json.dumps(line), flush=True)


def method_epoch(make_method, stream):
    """An epoch of a method in the engine's traced loop."""
    task = stream.tasks[0]
    method = make_method(
        TaskTraining(
            backbone=lasem_cnn, epochs=1, schedule=Constant(1e-4)
        )
    )
    method.setup(stream.spec(), seed=0)
    method.begin_task(task)
    runner = StepRunner(
        method, tf.distribute.get_strategy(), (32, 32, 3), np.uint8
    )
    phase = next(method.phases(task))
    order = np.arange(len(task.train))

    def epoch():
        runner.train(
            phase, task.train, order, 0, _STEPS, _BATCH, [1, 2], False
        )

    return epoch


def plain_keras_epoch(stream):
    """The same network as an ordinary compiled Keras model."""
    trunk = lasem_cnn((32, 32, 3))
    hidden = keras.layers.Dropout(0.5)(trunk.outputs[0])
    hidden = keras.layers.Dense(64, activation="relu")(hidden)
    model = keras.Model(trunk.inputs[0], keras.layers.Dense(10)(hidden))
    model.compile(
        RMSPropTF1(1e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    split = stream.tasks[0].train
    images = (split.images / 255.0).astype(np.float32)

    def epoch():
        for step in range(_STEPS):
            rows = slice(step * _BATCH, (step + 1) * _BATCH)
            model.train_on_batch(images[rows], split.labels[rows])

    return epoch


_CASES = {
    "plain_keras": plain_keras_epoch,
    "hps_1111": functools.partial(
        method_epoch, functools.partial(StaticTransfer, configuration="1111")
    ),
    "hps_0011": functools.partial(
        method_epoch, functools.partial(StaticTransfer, configuration="0011")
    ),
    "lasem_hps": functools.partial(method_epoch, LASEM),
    "lasem_tf": functools.partial(
        method_epoch, functools.partial(LASEM, transfer=TuckerTransfer())
    ),
    "lasem_dfcnn": functools.partial(
        method_epoch,
        functools.partial(
            LASEM,
            transfer=DeconvTransfer(
                bases=((2, 16), (2, 24), (2, 32), (2, 36)),
                filters=((3, 24), (3, 48), (3, 64), (3, 72)),
            ),
        ),
    ),
    "darts_hps": functools.partial(method_epoch, DARTS),
}


if __name__ == "__main__":
    main()
