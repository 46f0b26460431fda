"""Puts a filter per channel behind a backbone's convolutions."""

import typing

import keras

from tfcl.layers.channel_reprogram import ChannelReprogram
from tfcl.layers.gated_reprogram import GatedReprogram
from tfcl.models.lift import lift
from tfcl.models.rewire import rewire
from tfcl.models.variables import leaf_layers

CLR, FULL, SCALE, GATED = "clr", "full", "scale", "gated"
MODES = (CLR, FULL, SCALE, GATED)

# Transposed convolutions are subclasses of Conv2D, but no sites.
_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)


class Site(typing.NamedTuple):
    """A convolution and the layer behind it.

    Attributes:
        conv: The frozen convolution.
        layer: The `ChannelReprogram`.
    """

    conv: keras.layers.Layer
    layer: keras.layers.Layer


def reprogram(backbone, mode=CLR, kernel_size=3, squeeze_excite=False):
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
        squeeze_excite: False leaves out 1 x 1 convolutions on maps of 1 x 1
            (squeeze and excite), where a filter is but a factor.

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
    copy = lift(backbone, {})
    insertion = _Insertion(mode, kernel_size, squeeze_excite)
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

    def __init__(self, mode, kernel_size, squeeze_excite):
        self.sites = []
        self._mode = mode
        self._kernel_size = kernel_size
        self._squeeze_excite = squeeze_excite
        self._behind = {}
        self._inner = {}

    def applied(self, model):
        return rewire(model, self)

    def __call__(self, layer, *args, **kwargs):
        if isinstance(layer, keras.Model):
            if id(layer) not in self._inner:
                self._inner[id(layer)] = self.applied(layer)
            return self._inner[id(layer)](*args, **kwargs)
        if not _is_conv(layer) or not self._selects(layer, args[0]):
            return layer(*args, **kwargs)
        # Also a convolution that is used twice has one filter.
        if id(layer) not in self._behind:
            self._behind[id(layer)] = self._split(layer)
        outputs = layer(*args, **kwargs)
        for following in self._behind[id(layer)]:
            outputs = following(outputs)
        return outputs

    def _selects(self, conv, inputs):
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
        return self._squeeze_excite or tuple(inputs.shape[1:3]) != (1, 1)

    def _split(self, conv):
        """The layers behind a convolution, which becomes linear."""
        size = self._kernel_size
        if self._mode == SCALE and not _is_larger(conv):
            size = 1
        kind = GatedReprogram if self._mode == GATED else ChannelReprogram
        own = kind(size, name=f"{conv.name}_clr", dtype=conv.dtype_policy)
        self.sites.append(Site(conv, own))
        activation = conv.activation
        if activation is keras.activations.linear:
            return [own]
        conv.activation = keras.activations.linear
        after = keras.layers.Activation(
            activation,
            name=f"{conv.name}_activation",
            dtype=conv.dtype_policy,
        )
        return [own, after]


def _is_larger(conv):
    return any(side > 1 for side in conv.kernel_size)
