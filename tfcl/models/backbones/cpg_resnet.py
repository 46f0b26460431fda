"""ResNet as the CPG line uses it: stride in the 3 x 3 convolutions."""

from __future__ import annotations

import typing
from typing import Annotated

import gin
import keras

from tfcl.arguments import checked, one_of
from tfcl.layers.unbiased_batch_norm import UnbiasedBatchNorm
from tfcl.models.backbones.cpg_vgg import fan_out_normal
from tfcl.models.width import Width

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape


# Blocks per stage, and whether they are bottlenecks.
_DEPTHS = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
}
_PLANES = (64, 128, 256, 512)


@gin.configurable(denylist=["image_shape"])
@checked
def cpg_resnet(
    image_shape: Shape,
    width: float = 1.0,
    depth: Annotated[int, one_of(*_DEPTHS)] = 50,
    initial_stddev: float | None = 0.001,
    convolution: Any = keras.layers.Conv2D,
) -> keras.Model:
    """Residual network v1.5 for images like ImageNet's.

    Args:
        image_shape: `(height, width, channels)` of the input.
        width: q, multiple of the parameters; every channel count v becomes
            `floor(v sqrt(q))`.
        depth: 18, 34 or 50.
        initial_stddev: Deviation of the normal start kernels; None for
            `sqrt(2 / (kernel height * kernel width * out))`, as PackNet has
            it.
        convolution: `keras.layers.Conv2D` or a subclass with its arguments.

    Returns:
        A functional `keras.Model` of plain layers: `(batch, height, width,
        channels)` to `(batch, features)`.

    Raises:
        ValueError: If `depth` is none of the three, or `width` not positive.

    Note:
        Keras' own ResNet50 weights do not fit: its stride is in the first
        1 x 1 convolution, its convolutions have biases, its epsilon is
        another. Padding is symmetric at stride 2, as torchvision's.

    Reference:
        He et al., "Deep Residual Learning for Image Recognition", CVPR 2016,
        in the form of Hung et al., NeurIPS 2019.
    """
    counts, bottleneck = _DEPTHS[depth]
    return residual_network(
        image_shape,
        tuple(zip(_PLANES, counts)),
        bottleneck,
        width=width,
        initial_stddev=initial_stddev,
        convolution=convolution,
        name=f"cpg_resnet{depth}",
    )


def residual_network(
    image_shape: Shape,
    stages: Any,
    bottleneck: bool,
    name: str,
    stem_channels: int = 64,
    width: float = 1.0,
    initial_stddev: float | None = None,
    convolution: Any = keras.layers.Conv2D,
) -> keras.Model:
    """The same for any stages.

    Args:
        image_shape, width, initial_stddev, convolution: As of `cpg_resnet`.
        stages: `((planes, blocks), ...)`; every stage but the first opens
            with stride 2.
        bottleneck: Whether blocks are bottlenecks, `4 * planes` wide at their
            end, or two 3 x 3 convolutions.
        name: Of the model.
        stem_channels: Channels of the first convolution.

    Returns:
        As of `cpg_resnet`.
    """
    net = _Builder(Width(width), initial_stddev, convolution)
    inputs = keras.Input(image_shape)
    hidden = net.convolved(inputs, stem_channels, 7, 2, "stem")
    # No value after a ReLU is below the zeros of the border.
    hidden = keras.layers.ZeroPadding2D(1)(keras.layers.ReLU()(hidden))
    hidden = keras.layers.MaxPooling2D(3, 2)(hidden)
    block = net.bottleneck if bottleneck else net.basic_block
    for stage, (planes, count) in enumerate(stages):
        for number in range(count):
            stride = 2 if stage > 0 and number == 0 else 1
            hidden = block(hidden, planes, stride, f"block_{stage}_{number}")
    features = keras.layers.GlobalAveragePooling2D(name="features")(hidden)
    return keras.Model(inputs, features, name=name)


class _Builder:
    """Blocks at one width."""

    def __init__(self, scaled, initial_stddev, convolution):
        self._scaled = scaled
        self._stddev = initial_stddev
        self._convolution = convolution

    def _initializer(self):
        if self._stddev is None:
            return fan_out_normal()
        return keras.initializers.RandomNormal(stddev=self._stddev)

    def convolved(self, hidden, channels, side, stride, name):
        """Convolution, padded by half its side all around, and norm."""
        padding = "same"
        if stride > 1 and side > 1:
            # "same" would pad one side more than the other.
            hidden = keras.layers.ZeroPadding2D(side // 2)(hidden)
            padding = "valid"
        hidden = self._convolution(
            self._scaled(channels),
            side,
            strides=stride,
            padding=padding,
            use_bias=False,
            kernel_initializer=self._initializer(),
            name=f"{name}_conv",
        )(hidden)
        return UnbiasedBatchNorm(name=f"{name}_norm")(hidden)

    def bottleneck(self, inputs, planes, stride, name):
        """1 x 1, 3 x 3 (with the stride), 1 x 1 with four times the planes."""
        hidden = self.convolved(inputs, planes, 1, 1, f"{name}_0")
        hidden = keras.layers.ReLU()(hidden)
        hidden = self.convolved(hidden, planes, 3, stride, f"{name}_1")
        hidden = keras.layers.ReLU()(hidden)
        hidden = self.convolved(hidden, 4 * planes, 1, 1, f"{name}_2")
        return self._joined(inputs, hidden, 4 * planes, stride, name)

    def basic_block(self, inputs, planes, stride, name):
        """Two 3 x 3 convolutions, the stride in the first."""
        hidden = self.convolved(inputs, planes, 3, stride, f"{name}_0")
        hidden = keras.layers.ReLU()(hidden)
        hidden = self.convolved(hidden, planes, 3, 1, f"{name}_1")
        return self._joined(inputs, hidden, planes, stride, name)

    def _joined(self, inputs, hidden, channels, stride, name):
        shortcut = inputs
        if stride > 1 or inputs.shape[-1] != hidden.shape[-1]:
            shortcut = self.convolved(
                inputs, channels, 1, stride, f"{name}_shortcut"
            )
        added = keras.layers.Add(name=f"{name}_add")([shortcut, hidden])
        return keras.layers.ReLU()(added)
