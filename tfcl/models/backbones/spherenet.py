"""SphereNet, the residual network for aligned faces."""

from __future__ import annotations

import re
import typing

import gin
import keras

from tfcl.models.backbones.cpg_vgg import fan_out_normal
from tfcl.models.weight_files import assign_arrays
from tfcl.models.width import Width
from tfcl.types import StartFile

if typing.TYPE_CHECKING:
    import numpy as np

    from tfcl.types import Shape


@gin.configurable(denylist=["image_shape"])
def spherenet(
    image_shape: Shape,
    width: float = 1.0,
    channels: tuple = (64, 128, 256, 512),
    units: tuple = (1, 2, 4, 1),
    weights: StartFile | None = None,
) -> keras.Model:
    """Stages of residual units with PReLU and without batch norm.

    A stage opens with a convolution of stride 2; a unit is `x + f(conv(f(
    conv(x))))`, f a PReLU with a slope per channel, nothing after the sum.

    Args:
        image_shape: `(height, width, channels)` of the input, (112, 112, 3)
            for aligned faces.
        width: q, multiple of the parameters; every channel count v becomes
            `floor(v sqrt(q))`.
        channels: Channels of each stage.
        units: Residual units of each stage; the default makes SphereNet-20.
        weights: Path of a state dict with SphereFace's names ("conv1_1.weight",
            "relu1_1.weight"), as `.pth`, `.safetensors` or `.npz`; dense layers
            are left out. None draws new weights. They are start values unless
            `TaskTraining.pretrained` is False.

    Returns:
        A functional `keras.Model` of plain layers: `(batch, height, width,
        channels)` to flattened features `(batch, features)`, row by row and
        column by column, channel fastest.

    Raises:
        UserError: If the file cannot be read or its weights do not fit; names
            the layer.
        ValueError: If `width` is not positive, or the tuples differ in
            length.

    Reference:
        Liu et al., "SphereFace: Deep Hypersphere Embedding for Face
        Recognition", CVPR 2017, table 2, in the form of Hung et al., NeurIPS
        2019. Kernels N(0, 2 / (9 out)), biases 0, slopes 0.25.
    """
    if len(channels) != len(units):
        raise ValueError(
            "Arguments `channels` and `units` must have one entry per stage. "
            f"Received: channels={channels}, units={units}"
        )
    scaled = Width(width)
    hidden = inputs = keras.Input(image_shape)
    for stage, (count, depth) in enumerate(zip(channels, units)):
        name = f"stage_{stage}"
        # "same" would pad one side only at even sizes.
        hidden = keras.layers.ZeroPadding2D(1)(hidden)
        hidden = _activated(hidden, scaled(count), name, strides=2)
        for unit in range(depth):
            part = f"{name}_unit_{unit}"
            residual = _activated(hidden, scaled(count), f"{part}_0")
            residual = _activated(residual, scaled(count), f"{part}_1")
            hidden = keras.layers.Add(name=f"{part}_add")([hidden, residual])
    features = keras.layers.Flatten(name="features")(hidden)
    model = keras.Model(inputs, features, name="spherenet")
    if weights is not None:
        assign_arrays(model, weights, sphereface_place, _fitted)
    return model


_PART = re.compile(
    r"(?:module\.)?(?P<kind>conv|relu)(?P<stage>\d+)_(?P<number>\d+)"
    r"\.(?P<weight>weight|bias)"
)


def sphereface_place(name: str) -> tuple[str, str] | None:
    """`(layer, weight)` of SphereFace's name of an array, or None.

    In "conv2_3" the first number is the stage, from 1; the second counts its
    convolutions from 1: one that opens the stage, then two for each unit.
    """
    found = _PART.fullmatch(name)
    if found is None:
        return None
    layer = f"stage_{int(found['stage']) - 1}"
    if (inner := int(found["number"]) - 2) >= 0:
        layer += f"_unit_{inner // 2}_{inner % 2}"
    if found["kind"] == "relu":
        return f"{layer}_slope", "alpha"
    weight = {"weight": "kernel", "bias": "bias"}[found["weight"]]
    return f"{layer}_conv", weight


def _fitted(
    where: tuple[str, str], array: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """A slope per channel in the three axes of Keras."""
    if where[1] == "alpha" and array.ndim == 1 and array.size == shape[-1]:
        return array.reshape(shape)
    return array


def _activated(hidden, channels, name, strides=1):
    hidden = keras.layers.Conv2D(
        channels,
        3,
        strides=strides,
        padding="same" if strides == 1 else "valid",
        kernel_initializer=fan_out_normal(),
        name=f"{name}_conv",
    )(hidden)
    return keras.layers.PReLU(
        alpha_initializer=keras.initializers.Constant(0.25),
        shared_axes=[1, 2],
        name=f"{name}_slope",
    )(hidden)
