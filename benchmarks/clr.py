"""CPU time of CLR's steps and of its serving beside plain Keras.

    python benchmarks/clr.py --threads 1 [--case NAME]

Prints one JSON line per case with `case`, `threads`, `cpu_ms_per_step` and
`items_per_s` (images per second of wall time). Random images and weights,
heads of 10 classes. ResNet-50 (v1.5) with 8 images of 224 x 224 or 32 of
64 x 64, ResNet-20 with 32 of 32 x 32:

- `keras_*`: `keras.Model.train_on_batch` of the same network with Adam, all
  weights trained: the unit to compare with on any machine;
- `train_*`, `full_*`: a step of CLR and of CLR-Full in the engine's loop;
- `probe_*`: a step of a linear probe (forward pass without statistics);
- `keras_forward_*`: the plain network in inference, as a traced function;
- `forward_*`: images to logits, as the engine evaluates;
- `*_bfloat16`: the same in `Runtime.precision = "mixed_bfloat16"`, for
  processors that multiply it (AMX, AVX512-BF16);
- `switch`: another finished task is put into the slot of the ResNet-50.
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
from tfcl.methods.baselines.frozen_backbone import FrozenBackbone  # noqa: E402
from tfcl.methods.clr.clr import CLR  # noqa: E402
from tfcl.methods.task_training import TaskTraining  # noqa: E402
from tfcl.methods.tensor_norms import TensorNorms  # noqa: E402
from tfcl.models.backbones.cifar_resnet import cifar_resnet  # noqa: E402
from tfcl.models.backbones.resnet_torchvision import resnet_torchvision  # noqa: E402
from tfcl.optimizers.adam_torch import AdamTorch  # noqa: E402
from tfcl.optimizers.schedules import Constant  # noqa: E402

_CLASSES, _STEPS = 10, 2
# Network, side of the images, images per step.
_SIZES = {
    "224": (resnet_torchvision, 224, 8),
    "64": (resnet_torchvision, 64, 32),
    "cifar": (cifar_resnet, 32, 32),
}
# Measured again with `Runtime.precision = "mixed_bfloat16"`.
_HALF_PRECISION = [
    f"{case}_{size}"
    for case in ("keras", "train", "keras_forward", "forward")
    for size in ("224", "64")
]


def _stream(size):
    _, side, batch = _SIZES[size]
    return synthetic_stream(
        class_counts=(_CLASSES, _CLASSES),
        image_shape=(side, side, 3),
        train_size=batch * _STEPS,
        test_size=_CLASSES,
        batch_size=batch,
    )


def _method(size, make):
    training = TaskTraining(
        backbone=_SIZES[size][0],
        hidden_units=(),
        dropout=0.0,
        epochs=1,
        schedule=Constant(1e-3),
        optimizer=AdamTorch,
        pretrained=True,
        head_start="fan_in_uniform",
    )
    stream = _stream(size)
    method = make(training, tensor_norms=TensorNorms())
    method.setup(stream.spec(), seed=0)
    method.begin_task(stream.tasks[0])
    return method, stream


def step_epoch(size, make):
    """An epoch in the engine's traced loop."""
    method, stream = _method(size, make)
    _, side, batch = _SIZES[size]
    runner = StepRunner(
        method, tf.distribute.get_strategy(), (side, side, 3), np.uint8
    )
    task = stream.tasks[0]
    phase = next(method.phases(task))
    order = np.arange(len(task.train))

    def epoch():
        runner.train(phase, task.train, order, 0, _STEPS, batch, [1, 2], False)

    return epoch


def _images(size):
    _, side, batch = _SIZES[size]
    images = np.random.default_rng(0).normal(size=(batch, side, side, 3))
    return tf.constant(images, tf.float32)


def forward(size):
    """Images to logits by `predict`."""
    method, _ = _method(size, CLR)
    predict = tf.function(method.predict, autograph=False)
    images = _images(size)
    return lambda: predict(images).numpy()


def plain_forward(size):
    """The same by the network as Keras has it."""
    model = _plain(size)
    call = tf.function(lambda x: model(x, training=False), autograph=False)
    images = _images(size)
    return lambda: call(images).numpy()


def _plain(size):
    network, side, _ = _SIZES[size]
    backbone = network((side, side, 3))
    # Batch norm and convolutions as Keras has them.
    backbone = keras.models.clone_model(backbone, clone_function=_keras_own)
    outputs = keras.layers.Dense(_CLASSES)(backbone.outputs[0])
    return keras.Model(backbone.inputs[0], outputs)


def _keras_own(layer):
    kind = type(layer)
    for own in (keras.layers.BatchNormalization, keras.layers.Conv2D):
        if isinstance(layer, own):
            kind = own
    return kind.from_config(layer.get_config())


def plain_step(size):
    """Training steps of all weights."""
    model = _plain(size)
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    images = _images(size).numpy()
    labels = np.arange(len(images)) % _CLASSES

    def steps():
        for _ in range(_STEPS):
            model.train_on_batch(images, labels)

    return steps


def switch():
    """Another task's values into the slot; the graph stays."""
    method, _ = _method("64", CLR)
    predict = tf.function(method.predict, autograph=False)
    banked, logits = [], []
    images = _images("64")[:1]
    for index in range(2):
        method.redraw(method.slot, "slot", index)
        banked.append(method.bank_values())
        logits.append(predict(images).numpy())

    def turn():
        for index in range(2):
            method.activate(banked[index], index)

    turn()
    np.testing.assert_array_equal(predict(images), logits[1])
    assert predict.experimental_get_tracing_count() == 1
    return turn


def _cases():
    cases = {}
    for size, (_, _, batch) in _SIZES.items():
        for name, make in (
            ("keras", functools.partial(plain_step, size)),
            ("train", functools.partial(step_epoch, size, CLR)),
            (
                "full",
                functools.partial(
                    step_epoch, size, functools.partial(CLR, mode="full")
                ),
            ),
            ("probe", functools.partial(step_epoch, size, FrozenBackbone)),
        ):
            cases[f"{name}_{size}"] = (batch, _STEPS, make)
        for name, make in (
            ("keras_forward", functools.partial(plain_forward, size)),
            ("forward", functools.partial(forward, size)),
        ):
            cases[f"{name}_{size}"] = (batch, 1, make)
    for name in _HALF_PRECISION:
        items, steps, make = cases[name]
        cases[f"{name}_bfloat16"] = (items, steps, _in_half_precision(make))
    cases["switch"] = (1, 2, switch)
    return cases


def _in_half_precision(make):
    def made():
        keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            call = make()
            call()  # traced while the policy holds
        finally:
            keras.config.set_dtype_policy("float32")
        return call

    return made


if __name__ == "__main__":
    timing.measure(__doc__, _cases(), repeats=5)
