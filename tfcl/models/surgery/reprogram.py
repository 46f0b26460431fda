"""Puts a filter per channel behind a backbone's convolutions."""

from __future__ import annotations

import typing

import keras

from tfcl.layers.reprogram.channel_reprogram import ChannelReprogram
from tfcl.layers.reprogram.gated_reprogram import GatedReprogram
from tfcl.models.layer_names import layer_names, unused_name
from tfcl.models.surgery.lift import lift
from tfcl.models.surgery.rewire import rewire
from tfcl.models.surgery.selective import warn_of_wrapped
from tfcl.models.variables import leaf_layers

CLR, FULL, SCALE, GATED = "clr", "full", "scale", "gated"
MODES = (CLR, FULL, SCALE, GATED)

# Transposed convolutions are subclasses of Conv2D, but no sites.
_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)

_GLOBAL_POOLINGS = (
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
)


class Site(typing.NamedTuple):
    """A convolution and the layer behind it.

    Attributes:
        conv: The frozen convolution.
        layer: The `ChannelReprogram`.
    """

    conv: keras.layers.Layer
    layer: keras.layers.Layer


def reprogram(
    backbone: keras.Model,
    mode: str = CLR,
    kernel_size: int = 3,
    squeeze_excite: bool = False,
) -> tuple[keras.Model, list[Site]]:
    """A copy of a backbone with a reprogramming layer behind convolutions.

    The layers start as the identity, so that the copy computes what the
    backbone computed. They stand right behind the linear convolution, before
    normalisation and activation; an activation inside a convolution is split
    off. Separable convolutions count as one, transposed ones and dense layers
    have none.

    Args:
        backbone: A functional or built sequential model. Inner models are
            gone through, too.
        mode: Behind which convolutions: "clr" those larger than 1 x 1;
            "full" all; "scale" all, but behind 1 x 1 convolutions one factor
            per channel instead of a filter; "gated" all, in the form of
            `GatedReprogram`.
        kernel_size: Side of the filters in pixels, odd.
        squeeze_excite: False leaves out 1 x 1 convolutions behind a global
            pooling (squeeze and excite), where a filter is but a factor.

    Returns:
        The copy, and a list of `Site` in the order of the calls.

    Raises:
        ValueError: If the mode is unknown, or no convolution takes part.

    Reference:
        Ge et al., "CLR: Channel-wise Lightweight Reprogramming for Continual
        Learning", ICCV 2023: CLR and CLR-Full.
    """
    if mode not in MODES:
        raise ValueError(
            f"Argument `mode` must be one of {MODES}. Received: mode={mode!r}"
        )
    warn_of_wrapped(backbone, "filters")
    copy = lift(backbone, {})
    names = layer_names(copy)
    insertion = _Insertion(mode, kernel_size, squeeze_excite, names)
    model = insertion.applied(copy)
    if not insertion.sites:
        found = [la.name for la in leaf_layers(copy) if _is_conv(la)]
        raise ValueError(
            f"Backbone '{backbone.name}' has no convolution to reprogram "
            f"(mode '{mode}'; its convolutions: {found}). Choose a "
            "convolutional backbone, or mode 'full' if all are 1 x 1."
        )
    return model, insertion.sites


def _is_conv(layer):
    return isinstance(layer, _CONVOLUTIONS) and not isinstance(
        layer, keras.layers.Conv2DTranspose
    )


class _Insertion:
    """Calls each layer of the clone; notes the sites."""

    def __init__(self, mode, kernel_size, squeeze_excite, names):
        self.sites = []
        self._mode = mode
        self._kernel_size = kernel_size
        self._squeeze_excite = squeeze_excite
        self._names = names
        self._behind = {}
        self._inner = {}
        # Tensors that know the image as a whole only, by their ids; kept,
        # so that an id is not used again.
        self._pooled = {}
        self._all_pooled = False

    def applied(self, model):
        return rewire(model, self)

    def __call__(self, layer, *args, **kwargs):
        pooled = self._all_pooled or self._are_pooled((args, kwargs))
        if isinstance(layer, keras.Model):
            return self._through(layer, pooled, args, kwargs)
        outputs = self._called(layer, pooled, args, kwargs)
        if pooled or _is_global_pooling(layer):
            self._note_pooled(outputs)
        return outputs

    def _through(self, model, pooled, args, kwargs):
        """The changed form of an inner model, called."""
        if id(model) not in self._inner:
            around, self._all_pooled = self._all_pooled, pooled
            self._inner[id(model)] = self.applied(model)
            self._all_pooled = around
        inner = self._inner[id(model)]
        outputs = inner(*args, **kwargs)
        for own, output in zip(inner.outputs, keras.tree.flatten(outputs)):
            if id(own) in self._pooled:
                self._note_pooled(output)
        return outputs

    def _are_pooled(self, arguments):
        tensors = [
            value
            for value in keras.tree.flatten(arguments)
            if isinstance(value, keras.KerasTensor)
        ]
        return bool(tensors) and all(id(t) in self._pooled for t in tensors)

    def _note_pooled(self, outputs):
        for tensor in keras.tree.flatten(outputs):
            self._pooled[id(tensor)] = tensor

    def _called(self, layer, pooled, args, kwargs):
        """The outputs of a layer, or of a site and what is put behind it."""
        if not _is_conv(layer) or not self._selects(layer, pooled):
            return layer(*args, **kwargs)
        # Also a convolution that is used twice has one filter.
        if id(layer) not in self._behind:
            self._behind[id(layer)] = self._split(layer)
        outputs = layer(*args, **kwargs)
        for following in self._behind[id(layer)]:
            outputs = following(outputs)
        return outputs

    def _selects(self, conv, pooled):
        if conv.data_format != "channels_last":
            raise ValueError(
                f"Convolution '{conv.name}' must have data_format="
                "'channels_last'. "
                f"Received: data_format={conv.data_format!r}"
            )
        if _is_larger(conv):
            return True
        if self._mode == CLR:
            return False
        return self._squeeze_excite or not pooled

    def _split(self, conv):
        """The layers behind a convolution, which becomes linear."""
        size = self._kernel_size
        if self._mode == SCALE and not _is_larger(conv):
            size = 1
        kind = GatedReprogram if self._mode == GATED else ChannelReprogram
        name = unused_name(f"{conv.name}_clr", self._names)
        own = kind(size, name=name, dtype=conv.dtype_policy)
        self.sites.append(Site(conv, own))
        activation = conv.activation
        if activation is keras.activations.linear:
            return [own]
        conv.activation = keras.activations.linear
        after = keras.layers.Activation(
            activation,
            name=unused_name(f"{conv.name}_activation", self._names),
            dtype=conv.dtype_policy,
        )
        return [own, after]


def _is_global_pooling(layer):
    """A layer, or a bare mean or maximum over height and width."""
    if isinstance(layer, _GLOBAL_POOLINGS):
        return True
    if type(layer).__name__ not in ("Mean", "Max"):  # operations of Keras
        return False
    return sorted(axis % 4 for axis in layer.axis or ()) == [1, 2]


def _is_larger(conv):
    return any(side > 1 for side in conv.kernel_size)
