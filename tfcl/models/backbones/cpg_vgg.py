"""VGG16 with batch normalisation, as the CPG line uses it."""

from __future__ import annotations

import typing

import gin
import keras

from tfcl.layers.unbiased_batch_norm import UnbiasedBatchNorm
from tfcl.models.width import Width

if typing.TYPE_CHECKING:
    from tfcl.types import Shape


_POOL = "M"
_VGG16 = (
    *(64, 64, _POOL, 128, 128, _POOL, 256, 256, 256, _POOL),
    *(512, 512, 512, _POOL, 512, 512, 512, _POOL),
)


@gin.configurable(denylist=["image_shape"])
def cpg_vgg(
    image_shape: Shape,
    width: float = 1.0,
    layers: tuple = _VGG16,
    hidden_units: tuple = (4096, 4096),
    dropout: float = 0.0,
) -> keras.Model:
    """Convolution, batch norm, ReLU per layer; dense layers with ReLU on top.

    Args:
        image_shape: `(height, width, channels)` of the input. (32, 32, 3)
            gives maps of 1 x 1 before the dense layers, (224, 224, 3) of
            7 x 7.
        width: q, multiple of the parameters; every channel and unit count v
            becomes `floor(v sqrt(q))`.
        layers: Channels of each 3 x 3 convolution, and "M" for a 2 x 2
            max-pool.
        hidden_units: Units of the dense layers.
        dropout: Share of units dropped after each dense layer; 0.5 in the
            network for 224 x 224.

    Returns:
        A functional `keras.Model` of plain layers: `(batch, height, width,
        channels)` to `(batch, features)`.

    Raises:
        ValueError: If `width` is not positive, or the pools leave nothing.

    Reference:
        Hung et al., "Compacting, Picking and Growing for Unforgetting
        Continual Learning", NeurIPS 2019. Kernels N(0, 2 / (9 out)), dense
        ones N(0, 0.01^2).
    """
    scaled = Width(width)
    pools = layers.count(_POOL)
    if min(image_shape[:2]) < 2**pools:
        raise ValueError(
            f"Argument `layers` has {pools} pools, which leave nothing of "
            f"images {tuple(image_shape[:2])}; take out some 'M'. "
            f"Received: layers={layers}"
        )
    hidden = inputs = keras.Input(image_shape)
    convolutions = 0
    for entry in layers:
        if entry == _POOL:
            hidden = keras.layers.MaxPooling2D(2)(hidden)
            continue
        hidden = keras.layers.Conv2D(
            scaled(entry),
            3,
            padding="same",
            use_bias=False,
            kernel_initializer=fan_out_normal(),
            name=f"conv_{convolutions}",
        )(hidden)
        hidden = UnbiasedBatchNorm(name=f"norm_{convolutions}")(hidden)
        hidden = keras.layers.ReLU()(hidden)
        convolutions += 1
    hidden = keras.layers.Flatten(name="flatten")(hidden)
    for depth, units in enumerate(hidden_units):
        hidden = keras.layers.Dense(
            scaled(units),
            activation="relu",
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            name=f"dense_{depth}",
        )(hidden)
        if dropout:
            hidden = keras.layers.Dropout(dropout, name=f"dropout_{depth}")(
                hidden
            )
    return keras.Model(inputs, hidden, name="cpg_vgg")


def fan_out_normal() -> keras.Initializer:
    """N(0, 2 / (kernel height * kernel width * out)), not truncated."""
    return keras.initializers.VarianceScaling(
        scale=2.0, mode="fan_out", distribution="untruncated_normal"
    )
