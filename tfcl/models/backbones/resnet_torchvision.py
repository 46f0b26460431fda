"""ResNet v1.5 with the weights that PyTorch's programs have trained."""

from __future__ import annotations

import typing

import gin

from tfcl.arguments import StartFile
from tfcl.layers.fast.small_map_conv2d import SmallMapConv2D
from tfcl.models.backbones.cpg_resnet import cpg_resnet
from tfcl.models.backbones.torchvision_names import part
from tfcl.models.weight_files import assign_arrays

if typing.TYPE_CHECKING:
    import keras

    from tfcl.types import Shape


_KINDS = {"conv": "conv", "bn": "norm"}


@gin.configurable(denylist=["image_shape"])
def resnet_torchvision(
    image_shape: Shape, depth: int = 50, weights: StartFile | None = None
) -> keras.Model:
    """Residual network v1.5 in the form of torchvision's.

    The stride is in the 3 x 3 convolutions, these have no biases, padding is
    symmetric, batch norm keeps the unbiased variance with epsilon 1e-5.

    Args:
        image_shape: `(height, width, channels)` of the input.
        depth: 18, 34 or 50.
        weights: Path of a state dict with torchvision's names
            ("layer1.0.conv1.weight"), as `.safetensors` or `.npz`; the
            classifier and other arrays are left out. None draws new weights.
            They are start values with `TaskTraining.pretrained = True` only.

    Returns:
        A functional `keras.Model`: `(batch, height, width, channels)`,
        standardised, to `(batch, features)`, the mean of the last map (512 or
        2,048 features).

    Raises:
        UserError: If the file cannot be read or its weights do not fit; names
            the layer.
        ValueError: If `depth` is none of the three.

    Reference:
        He et al., "Deep Residual Learning for Image Recognition", CVPR 2016;
        `torchvision.models.resnet50`.
    """
    model = cpg_resnet(
        image_shape,
        depth=depth,
        initial_stddev=None,
        convolution=SmallMapConv2D,
    )
    model.name = f"resnet{depth}"
    if weights is not None:
        assign_arrays(model, weights, torchvision_place)
    return model


def torchvision_place(name: str) -> tuple[str, str] | None:
    """`(layer, weight)` of torchvision's name of an array, or None."""
    found = part(name)
    if found is None:
        return None
    layer = "stem"
    if found.stage is not None:
        layer = f"block_{found.stage - 1}_{found.block}"
        layer += "_shortcut" if found.number is None else f"_{found.number - 1}"
    return f"{layer}_{_KINDS[found.kind]}", found.weight
