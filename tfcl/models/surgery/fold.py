"""Batch norm folded into the convolution before it, for serving."""

from __future__ import annotations

import typing

import keras
import numpy as np

from tfcl.layers.fast.small_map_conv2d import SmallMapConv2D
from tfcl.models.layer_names import layer_names, unused_name
from tfcl.models.surgery.rewire import rewire

if typing.TYPE_CHECKING:
    pass


# Layers whose output is linear in their kernel's last axes. Of subclasses it
# is not known what they do with kernel and inputs.
_FOLDABLE = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    SmallMapConv2D,
)


def serving_scale(norm: keras.layers.Layer) -> tuple[np.ndarray, np.ndarray]:
    """What a batch norm multiplies by and adds in inference.

    Args:
        norm: A built `keras.layers.BatchNormalization`.

    Returns:
        Two float32 arrays `(channels,)`.
    """
    mean, variance = (
        np.float64(v.numpy()) for v in (norm.moving_mean, norm.moving_variance)
    )
    scale = 1.0 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        scale = scale * np.float64(norm.gamma.numpy())
    shift = -mean * scale
    if norm.center:
        shift = shift + np.float64(norm.beta.numpy())
    return scale.astype(np.float32), shift.astype(np.float32)


def on_last_axis(norm: keras.layers.Layer, rank: int) -> bool:
    """Whether a layer normalises the last of `rank` axes."""
    axis = norm.axis[0] if isinstance(norm.axis, (list, tuple)) else norm.axis
    return axis in (-1, rank - 1)


def folded(model: keras.Model) -> keras.Model:
    """A copy of a plain model without the batch norms behind convolutions.

    The outputs in inference are the same but for rounding: a convolution's
    padding comes before its bias, so that borders are right, too.

    Args:
        model: A functional model of plain Keras layers, not to be trained.

    Returns:
        A functional model; layers that are not concerned are the model's.
    """
    return rewire(model, _Folding(layer_names(model)))


class _Folding:
    """Calls each layer; a batch norm goes back before its convolution."""

    def __init__(self, names):
        self._names = names
        self._inner = {}
        self._waiting = {}
        self._called = set()
        self._kept = []

    def __call__(self, layer, *args, **kwargs):
        if isinstance(layer, keras.Model):
            if id(layer) not in self._inner:
                self._inner[id(layer)] = folded(layer)
            return self._inner[id(layer)](*args, **kwargs)
        if isinstance(layer, keras.layers.BatchNormalization):
            conv, inputs = self._waiting.get(id(args[0]), (None, None))
            if conv is not None and on_last_axis(layer, len(args[0].shape)):
                name = unused_name(f"{conv.name}_folded", self._names)
                return _joined(conv, layer, name)(inputs)
        outputs = layer(*args, **kwargs)
        if _is_linear(layer) and id(layer) not in self._called:
            self._called.add(id(layer))
            self._waiting[id(outputs)] = (layer, args[0])
            self._kept.append(outputs)  # so that the id is not used again
        return outputs


def _is_linear(layer):
    return (
        type(layer) in _FOLDABLE
        and layer.activation is keras.activations.linear
        and layer.data_format == "channels_last"
    )


def _joined(conv, norm, name):
    """A convolution that does what both did."""
    scale, shift = serving_scale(norm)
    # The convolution itself may have another reader.
    config = {**conv.get_config(), "use_bias": True, "name": name}
    new = type(conv).from_config(config)
    kernel, *bias = (v.numpy() for v in conv.weights)
    if isinstance(conv, keras.layers.DepthwiseConv2D):
        kernel = kernel * scale.reshape(kernel.shape[2:])
    else:
        kernel = kernel * scale
    if bias:
        shift = shift + bias[0] * scale
    new.build(conv.input.shape)
    new.set_weights([kernel, shift])
    return new
