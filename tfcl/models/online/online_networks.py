"""Small networks for online learning: linear, two layers, Memory Head.

Each factory takes `image_shape` and the number of `classes` from the stream
and returns an `OnlineNetwork`.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable

import gin
import keras

from tfcl.arguments import PositiveInt, checked
from tfcl.layers.fan_in_uniform import FanInUniform
from tfcl.layers.memory.memory_dense import MemoryDense
from tfcl.layers.memory.memory_options import GROUPS, WINNER, grouped
from tfcl.models.layer_names import (
    layer_names,
    unused_name,
    with_own_names,
)
from tfcl.models.online.online_network import OnlineNetwork
from tfcl.models.online.pixels import pixels
from tfcl.models.start_weights import starts_from_its_weights

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape, Tensor


@gin.configurable(denylist=["image_shape", "classes"])
def linear_network(
    image_shape: Shape,
    classes: int,
    use_bias: bool = True,
    backbone: Callable[..., keras.Model] | None = None,
    frozen: bool = True,
    pretrained: bool | None = None,
) -> OnlineNetwork:
    """LP: one dense layer, on pixels or on a backbone's features.

    Args:
        image_shape: `(height, width, channels)`.
        classes: Number of outputs.
        use_bias: Whether it has biases.
        backbone: Function from `image_shape` to a `keras.Model` that ends in
            features; None takes the values of an image as they are.
        frozen: Whether a backbone is frozen.
        pretrained: Whether one that is trained starts from the weights that it
            comes with; False draws new ones. None does so if it comes with
            some; a line of the log says what was done.
    """
    network, kept = _backbone(image_shape, backbone, frozen, pretrained)
    head = torch_dense(classes, network.output_shape[-1], use_bias, name="head")
    return OnlineNetwork(
        [(network, head)], backbone is not None and not frozen, kept
    )


@gin.configurable(denylist=["image_shape", "classes"])
@checked
def mlp_network(
    image_shape: Shape,
    classes: int,
    hidden_units: PositiveInt = 10,
    use_bias: bool = True,
    backbone: Callable[..., keras.Model] | None = None,
    frozen: bool = True,
    pretrained: bool | None = None,
) -> OnlineNetwork:
    """MLP: dense, tanh, dense.

    Args:
        image_shape: `(height, width, channels)`.
        classes: Number of outputs.
        hidden_units: Width of the hidden layer.
        use_bias: Whether both layers have biases.
        backbone, frozen, pretrained: See `linear_network`.

    Raises:
        ValueError: If `hidden_units` is not positive.
    """
    network, kept = _backbone(image_shape, backbone, frozen, pretrained)
    hidden = torch_dense(
        hidden_units,
        network.output_shape[-1],
        use_bias,
        name=unused_name("hidden", layer_names(network)),
        activation="tanh",
    )
    network = keras.Model(network.inputs[0], hidden(network.outputs[0]))
    head = torch_dense(classes, hidden_units, use_bias, name="head")
    return OnlineNetwork([(network, head)], True, kept)


def _with_memory_options(factory):
    """Shows the options of a `MemoryDense` in the signature of a factory.

    gin takes names, types and defaults of what a file may bind from there.
    So the options need not be listed again, and no default stands twice.
    """
    signature = inspect.signature(factory)
    *own, _ = signature.parameters.values()  # Without `**options`.
    options = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=field.type,
        )
        for group in GROUPS.values()
        for field in dataclasses.fields(group)
        if field.name not in ("key_sets", "key_shape")  # The network says.
    ]
    factory.__signature__ = signature.replace(parameters=[*own, *options])
    return factory


@gin.configurable(denylist=["image_shape", "classes"])
@_with_memory_options
def memory_network(
    image_shape: tuple[int, ...],
    classes: int,
    *,
    key_input: bool = False,
    update_first: bool = False,
    dtype: str = "float32",
    backbone: Callable[..., keras.Model] | None = None,
    frozen: bool = True,
    pretrained: bool | None = None,
    **options,
) -> OnlineNetwork:
    """MH: a `MemoryDense`, on pixels or on a backbone's features.

    Args:
        image_shape: `(height, width, channels)`.
        classes: Number of outputs.
        key_input: Whether keys are matched to the images themselves, not to
            the backbone's features; "resize2d" is a projection for that.
        update_first: See `OnlineNetwork`.
        dtype: "float64" follows the published runs to the last digits.
        backbone, frozen, pretrained: See `linear_network`.
        **options: Of `MemoryOptions`, `KeyOptions` and `ScramblingOptions`
            (`tfcl.layers.memory.memory_options`) by their names, with the
            defaults that they have there.

    Raises:
        ValueError: If an argument is out of range, or keys are to be
            scrambled that gradients train.
    """
    if key_input:
        options["key_shape"] = tuple(image_shape)
    options = grouped(options)
    scramble = options["scrambling"].scramble
    key_update = options["key"].key_update
    if scramble and key_update != WINNER:
        raise ValueError(
            "Argument `scramble` needs keys that move by their own rule: set "
            "memory_network.key_update = 'winner' or scramble = False. "
            f"Received: scramble={scramble}, key_update={key_update!r}"
        )
    network, kept = _backbone(image_shape, backbone, frozen, pretrained)
    head = MemoryDense(classes, name="head", dtype=dtype, **options)
    return OnlineNetwork(
        [(network, head)],
        backbone is not None and not frozen,
        kept,
        update_first=update_first,
    )


@gin.configurable(denylist=["image_shape", "classes"])
@checked
def ensemble_network(
    image_shape: Shape,
    classes: int,
    network: Callable[..., Any] = gin.REQUIRED,
    models: PositiveInt = 8,
) -> OnlineNetwork:
    """Several networks of one kind, each drawn by itself; their mean logits.

    Args:
        image_shape: `(height, width, channels)`.
        classes: Number of outputs.
        network: Factory of one of them.
        models: How many.
    """
    made = [
        network(image_shape=image_shape, classes=classes) for _ in range(models)
    ]
    members = [member for each in made for member in each.members]
    return OnlineNetwork(
        members,
        made[0].trains_backbone,
        made[0].pretrained,
        update_first=made[0].update_first,
    )


def torch_dense(
    units: int, features: Tensor, use_bias: bool = True, **kwargs
) -> keras.layers.Dense:
    """A dense layer that starts as PyTorch's: all U(+-1/sqrt(features))."""
    start = FanInUniform(features)
    return keras.layers.Dense(
        units,
        use_bias=use_bias,
        kernel_initializer=start,
        bias_initializer=start,
        **kwargs,
    )


def _backbone(image_shape, backbone, frozen, pretrained):
    """The backbone, and whether its present weights are its start values."""
    if backbone is None:
        return pixels(image_shape), bool(pretrained)
    network = with_own_names(backbone, image_shape=image_shape)
    if frozen:
        # Layer by layer: what stands behind them may be trained.
        network.trainable = False
        return network, bool(pretrained)  # Frozen ones keep theirs anyway.
    asked, option = pretrained, "pretrained"
    return network, starts_from_its_weights(network, asked, option)
