"""ResNet for images of 32 x 32, as the paper trains it on CIFAR-10."""

from __future__ import annotations

import typing
from typing import Annotated

import gin
import keras

from tfcl.arguments import Range, checked
from tfcl.layers.unbiased_batch_norm import UnbiasedBatchNorm
from tfcl.models.backbones.torchvision_names import part
from tfcl.models.weight_files import assign_arrays
from tfcl.types import StartFile

if typing.TYPE_CHECKING:
    from tfcl.types import Shape


_CHANNELS = (16, 32, 64)
_HEADS = ("classifier", "head")  # Of other files, and of a run's bank.
_Depth = Annotated[
    int, Range("of 6 n + 2: 20, 56, ...", lambda n: n > 2 and n % 6 == 2)
]


@gin.configurable(denylist=["image_shape"])
@checked
def cifar_resnet(
    image_shape: Shape, depth: _Depth = 20, weights: StartFile | None = None
) -> keras.Model:
    """Residual network of three stages with 16, 32 and 64 channels.

    The first blocks of the second and third stage have stride 2; their
    shortcut takes every second pixel and adds channels of zeros on both sides
    (option A). Convolutions pad one pixel all around and have no biases.

    Args:
        image_shape: `(height, width, channels)` of the input, (32, 32, 3)
            for CIFAR.
        depth: 6 n + 2 for n blocks per stage: 20, 32, 44, 56, 110, ....
        weights: Path of a `.npz` file with "stage1/block1/conv1/kernel", ...,
            such as the `values.npz` that a run of `gin/cifar10_resnet20.gin`
            keeps, or of a state dict with "layer1.0.conv1.weight", ... as
            `.pth`, `.safetensors` or `.npz`; the head is left out. None draws
            new weights. They are start values unless
            `TaskTraining.pretrained` is False.

    Returns:
        A functional `keras.Model`: `(batch, height, width, channels)`,
        standardised, to `(batch, 64)`, the mean of the last map.

    Raises:
        UserError: If the file cannot be read or its weights do not fit; names
            the layer.
        ValueError: If `depth` is not 6 n + 2.

    Reference:
        He et al., "Deep Residual Learning for Image Recognition", CVPR 2016,
        section 4.2.
    """
    inputs = keras.Input(image_shape)
    hidden = _normalized(inputs, 16, 1, "stem_conv", "stem_bn")
    hidden = keras.layers.ReLU()(hidden)
    for stage, channels in enumerate(_CHANNELS):
        for block in range((depth - 2) // 6):
            stride = 2 if stage > 0 and block == 0 else 1
            name = f"stage{stage + 1}_block{block + 1}"
            hidden = _block(hidden, channels, stride, name)
    features = keras.layers.GlobalAveragePooling2D(name="features")(hidden)
    model = keras.Model(inputs, features, name=f"cifar_resnet{depth}")
    if weights is not None:
        assign_arrays(model, weights, _place)
    return model


def _block(inputs, channels, stride, name):
    hidden = _normalized(
        inputs, channels, stride, f"{name}_conv1", f"{name}_bn1"
    )
    hidden = keras.layers.ReLU()(hidden)
    hidden = _normalized(hidden, channels, 1, f"{name}_conv2", f"{name}_bn2")
    shortcut = inputs
    if stride > 1:
        shortcut = keras.layers.MaxPooling2D(1, stride)(shortcut)
        more = (channels - inputs.shape[-1]) // 2
        # Taken for an image whose rows are channels, to pad those.
        shortcut = keras.layers.ZeroPadding2D(
            ((0, 0), (more, more)),
            data_format="channels_first",
            name=f"{name}_channels",
        )(shortcut)
    added = keras.layers.Add(name=f"{name}_add")([hidden, shortcut])
    return keras.layers.ReLU()(added)


def _normalized(hidden, channels, stride, conv, norm):
    """A 3 x 3 convolution and its batch norm."""
    padding = "same"
    if stride > 1:
        # "same" would pad one side only.
        hidden = keras.layers.ZeroPadding2D(1)(hidden)
        padding = "valid"
    hidden = keras.layers.Conv2D(
        channels,
        3,
        strides=stride,
        padding=padding,
        use_bias=False,
        kernel_initializer="he_normal",
        name=conv,
    )(hidden)
    return UnbiasedBatchNorm(name=norm)(hidden)


def _place(name):
    """`(layer, weight)` of an array, or None for the classifier's."""
    if "/" in name:
        layer, weight = name.rsplit("/", 1)
        layer = layer.replace("/", "_")
        return None if layer in _HEADS else (layer, weight)
    found = part(name)
    if found is None:
        return None
    layer = f"stem_{found.kind}"
    if found.stage is not None:
        layer = f"stage{found.stage}_block{found.block + 1}"
        layer += f"_{found.kind}{found.number}"
    return layer, found.weight
