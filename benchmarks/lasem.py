"""CPU time of a training step: the LASEM family beside plain Keras.

    python benchmarks/lasem.py --threads 1 [--case NAME]

Prints one JSON line per case with `case`, `threads`, `cpu_ms_per_step` and
`items_per_s` (images per second of wall time). Random images; the
CIFAR-100 network of 4 layers with batch 10, where a name ends so the
Office-Home network of 4 layers with batch 16 or the STL-10 network of 6 with
batch 10; dropout 0.5. `plain_keras` (and `plain_keras_office_home`, ...) is
`keras.Model.train_on_batch` of the same network, the unit to compare with on
any machine. `prognn_1` and `prognn_10` train the first and the tenth column.
"""

import functools
import os
import pathlib
import sys
import typing

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from benchmarks.timing import measure, plain_keras_steps  # noqa: E402
from tfcl.data.synthetic import synthetic_stream  # noqa: E402
from tfcl.engine.steps import StepRunner  # noqa: E402
from tfcl.methods.expansion.den import DEN  # noqa: E402
from tfcl.methods.expansion.prognn import ProgNN  # noqa: E402
from tfcl.methods.lasem.darts import DARTS  # noqa: E402
from tfcl.methods.lasem.lasem import LASEM  # noqa: E402
from tfcl.methods.lasem.static_transfer import StaticTransfer  # noqa: E402
from tfcl.methods.lasem.transfers import (  # noqa: E402
    DeconvTransfer,
    TuckerTransfer,
)
from tfcl.methods.regularization.ewc import EWC  # noqa: E402
from tfcl.methods.task_training import TaskTraining  # noqa: E402
from tfcl.models.backbones.lasem_cnn import lasem_cnn  # noqa: E402
from tfcl.optimizers.rmsprop import RMSPropTF1  # noqa: E402
from tfcl.optimizers.schedules import Constant  # noqa: E402


class Scene(typing.NamedTuple):
    """What is trained: images, network, batch."""

    image_shape: tuple
    classes: int
    batch: int
    hidden_units: tuple
    backbone: typing.Callable

    def stream(self, steps, num_tasks=1):
        """Made-up tasks of `steps` batches each."""
        return synthetic_stream(
            class_counts=(self.classes,) * num_tasks,
            image_shape=self.image_shape,
            train_size=self.batch * steps,
            test_size=self.classes,
            batch_size=self.batch,
        )


def _network(*rows):
    channels, sides, pools = zip(*rows)
    return functools.partial(
        lasem_cnn, channels=channels, kernel_sizes=sides, pool_sizes=pools
    )


CIFAR = Scene(
    (32, 32, 3),
    10,
    10,
    (64,),
    _network((32, 3, 1), (32, 3, 2), (64, 3, 1), (64, 3, 2)),
)
OFFICE_HOME = Scene(
    (128, 128, 3),
    13,
    16,
    (256, 64),
    _network((64, 11, 3), (256, 5, 3), (256, 3, 2), (256, 3, 2)),
)
STL10 = Scene(
    (96, 96, 3),
    3,
    10,
    (128, 16),
    _network(
        (32, 3, 1), (32, 3, 3), (64, 3, 1), (64, 3, 3), (128, 3, 1), (128, 3, 3)
    ),
)


def method_epoch(scene, steps, make_method, earlier_tasks=0):
    """An epoch of a method in the engine's traced loop."""
    stream = scene.stream(steps, earlier_tasks + 1)
    task = stream.tasks[-1]
    method = make_method(
        TaskTraining(
            backbone=scene.backbone,
            hidden_units=scene.hidden_units,
            epochs=1,
            schedule=Constant(1e-4),
        )
    )
    method.setup(stream.spec(), seed=0)
    for earlier in stream.tasks[:-1]:
        method.begin_task(earlier)
        method.end_task(earlier)
    method.begin_task(task)
    runner = StepRunner(
        method, tf.distribute.get_strategy(), scene.image_shape, np.uint8
    )
    phase = next(method.phases(task))
    order = np.arange(len(task.train))

    def epoch():
        runner.train(
            phase, task.train, order, 0, steps, scene.batch, [1, 2], False
        )

    return epoch


def plain_keras_epoch(scene, steps):
    """The same network as an ordinary compiled Keras model."""
    backbone = scene.backbone(scene.image_shape)
    hidden = keras.layers.Dropout(0.5)(backbone.outputs[0])
    for units in scene.hidden_units:
        hidden = keras.layers.Dense(units, activation="relu")(hidden)
    outputs = keras.layers.Dense(scene.classes)(hidden)
    model = keras.Model(backbone.inputs[0], outputs)
    optimizer = RMSPropTF1(1e-4)
    split = scene.stream(steps).tasks[0].train
    return plain_keras_steps(model, optimizer, split, scene.batch, steps)


def _method(make_method, **kwargs):
    return functools.partial(method_epoch, make_method=make_method, **kwargs)


def _static(configuration, transfer=None):
    return _method(
        functools.partial(
            StaticTransfer, configuration=configuration, transfer=transfer
        )
    )


def _lasem(transfer=None):
    return _method(functools.partial(LASEM, transfer=transfer))


_TF = TuckerTransfer()
_DFCNN = DeconvTransfer(
    bases=((2, 16), (2, 24), (2, 32), (2, 36)),
    filters=((3, 24), (3, 48), (3, 64), (3, 72)),
)
_DFCNN_OFFICE_HOME = DeconvTransfer(
    bases=((6, 24), (3, 64), (2, 64), (2, 64)),
    filters=((3, 48), (3, 128), (3, 128), (3, 128)),
)
_DFCNN_STL10 = DeconvTransfer(
    bases=((2, 12), (2, 24), (2, 32), (2, 48), (2, 64), (2, 96)),
    filters=((3, 24), (3, 48), (3, 64), (3, 96), (3, 128), (3, 192)),
)

# Name: scene, steps per call, maker of the call.
_CASES = {
    "plain_keras": (CIFAR, 17, plain_keras_epoch),
    "hps_1111": (CIFAR, 17, _static("1111")),
    "hps_0011": (CIFAR, 17, _static("0011")),
    "tf_0011": (CIFAR, 17, _static("0011", _TF)),
    "dfcnn_0011": (CIFAR, 17, _static("0011", _DFCNN)),
    "lasem_hps": (CIFAR, 17, _lasem()),
    "lasem_tf": (CIFAR, 17, _lasem(_TF)),
    "lasem_dfcnn": (CIFAR, 17, _lasem(_DFCNN)),
    "darts_hps": (CIFAR, 17, _method(DARTS)),
    "darts_dfcnn": (
        CIFAR,
        17,
        _method(functools.partial(DARTS, transfer=_DFCNN)),
    ),
    "prognn_1": (CIFAR, 17, _method(ProgNN)),
    "prognn_10": (CIFAR, 17, _method(ProgNN, earlier_tasks=9)),
    "den": (CIFAR, 17, _method(DEN)),
    "ewc": (CIFAR, 17, _method(EWC)),
    "plain_keras_office_home": (OFFICE_HOME, 2, plain_keras_epoch),
    "tf_1110_office_home": (OFFICE_HOME, 2, _static("1110", _TF)),
    "lasem_hps_office_home": (OFFICE_HOME, 2, _lasem()),
    "lasem_dfcnn_office_home": (OFFICE_HOME, 2, _lasem(_DFCNN_OFFICE_HOME)),
    "darts_hps_office_home": (OFFICE_HOME, 2, _method(DARTS)),
    "prognn_2_office_home": (
        OFFICE_HOME,
        2,
        _method(ProgNN, earlier_tasks=1),
    ),
    "plain_keras_stl10": (STL10, 2, plain_keras_epoch),
    "dfcnn_010101_stl10": (STL10, 2, _static("010101", _DFCNN_STL10)),
    "lasem_hps_stl10": (STL10, 2, _lasem()),
}


def _case(scene, steps, make_epoch):
    return scene.batch, steps, functools.partial(make_epoch, scene, steps)


if __name__ == "__main__":
    measure(
        __doc__,
        {name: _case(*case) for name, case in _CASES.items()},
        repeats=9,
    )
