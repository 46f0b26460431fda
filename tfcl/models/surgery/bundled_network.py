"""One network for all learned tasks: the backbone once, a row per task."""

from __future__ import annotations

import typing

import keras
import numpy as np

from tfcl.layers.reprogram.banked_layers import (
    BankedDense,
    BankedFilter,
    BankedScale,
    ChosenTasks,
)
from tfcl.layers.reprogram.channel_reprogram import ChannelReprogram
from tfcl.models.layer_names import layer_names, unused_name
from tfcl.models.surgery.fold import on_last_axis, serving_scale
from tfcl.models.surgery.rewire import rewire
from tfcl.models.variables import leaf_layers

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.models.network import TaskNetwork
    from tfcl.types import Tensor


_NO_CLASS = -1e9  # Logit of places that a task does not use.


class BundledNetwork:
    """Serves batches whose examples belong to different learned tasks.

    The frozen layers of a backbone are shared by all tasks; filters,
    normalisations and head are gathered for each example. A batch norm right
    behind a filter is folded into it, exactly but for rounding; one behind
    another layer becomes a scale and a shift.

    Args:
        network: `TaskNetwork` whose tasks differ in `ChannelReprogram`
            layers, normalisations and head alone.
        activations: Iterator that puts one task after another into the
            network before it yields.

    Raises:
        ValueError: If there is no task, or a layer cannot be bundled.
    """

    def __init__(self, network: TaskNetwork, activations: Any):
        states = [_state(network) for _ in activations]
        if not states:
            raise ValueError("A bundle needs at least one learned task.")
        self._chosen = ChosenTasks()
        rows = {
            name: [np.stack(each) for each in zip(*(s[name] for s in states))]
            for name in states[0]
        }
        banking = _Banking(self._chosen, rows, layer_names(network.backbone))
        backbone = rewire(network.backbone, banking)
        outputs = backbone.outputs[0]
        names = layer_names(backbone)
        depths = len(network.head.kernels)
        for depth in range(depths):
            outputs = BankedDense(
                self._chosen,
                *rows[_head_name(depth)],
                name=unused_name(_head_name(depth), names),
                dtype="float32",
            )(outputs)
            if depth < depths - 1:
                outputs = keras.layers.ReLU(
                    name=unused_name(f"banked_relu_{depth}", names),
                    dtype="float32",
                )(outputs)
        self._model = keras.Model(backbone.inputs[0], outputs)

    @property
    def weights(self) -> list[keras.Variable]:
        """The `keras.Variable`s, each once."""
        return self._model.weights

    def __call__(self, images: Tensor, tasks: Tensor) -> Any:
        """Logits `(batch, classes of the widest task)`, float32; traced.

        Args:
            images: Standardised images, float32 `(batch, height, width,
                channels)`.
            tasks: Number of each one's task in the order of the activations,
                int32 `(batch,)`.
        """
        self._chosen.numbers = tasks
        try:
            return self._model(images, training=False)
        finally:
            self._chosen.numbers = None


def _head_name(depth):
    return f"banked_head_{depth}"


def _state(network):
    """`{layer: arrays}` of all that belongs to the active task."""
    state = {}
    for layer in leaf_layers(network.backbone):
        if isinstance(layer, ChannelReprogram):
            state[layer.name] = (layer.filter_value()[..., 0],)
        elif isinstance(layer, keras.layers.BatchNormalization):
            state[layer.name] = serving_scale(layer)
        elif isinstance(layer, _AFFINE):
            state[layer.name] = _affine(layer)
    head = network.head
    columns = head.columns.numpy()
    for depth, (kernel, bias) in enumerate(zip(head.kernels, head.biases)):
        kernel, bias = kernel.numpy(), bias.numpy()
        if depth == len(head.kernels) - 1:
            used = columns >= 0
            places = np.maximum(columns, 0)
            kernel = np.where(used, kernel[:, places], 0.0)
            bias = np.where(used, bias[places], _NO_CLASS)
        arrays = (np.float32(kernel), np.float32(bias))
        state[_head_name(depth)] = arrays
    return state


# Normalise by the example's own statistics, then scale and shift.
_AFFINE = (keras.layers.LayerNormalization, keras.layers.GroupNormalization)


def _affine(layer):
    channels = layer.weights[0].shape[-1] if layer.weights else 1
    scale, shift = np.ones(channels), np.zeros(channels)
    if layer.gamma is not None:
        scale = layer.gamma.numpy()
    if layer.beta is not None:
        shift = layer.beta.numpy()
    return np.float32(scale), np.float32(shift)


class _Banking:
    """Calls each layer of the backbone, those of the tasks in a banked form."""

    def __init__(self, chosen, rows, names):
        self._chosen = chosen
        self._rows = rows
        self._filtered = {}
        self._kept = []
        self._names = names
        self._inner = {}

    def __call__(self, layer, *args, **kwargs):
        if isinstance(layer, keras.Model):
            if id(layer) not in self._inner:
                self._inner[id(layer)] = rewire(layer, self)
            return self._inner[id(layer)](*args, **kwargs)
        rank = len(getattr(args[0], "shape", ())) if args else 0
        if isinstance(layer, ChannelReprogram):
            return self._filter(layer, args[0])
        if isinstance(layer, keras.layers.BatchNormalization):
            _require_last_axis(layer, rank)
            return self._normalize(layer, args[0])
        if isinstance(layer, _AFFINE):
            _require_last_axis(layer, rank)
            return self._affine(layer, args[0])
        return layer(*args, **kwargs)

    def _filter(self, layer, inputs):
        (kernel,) = self._rows[layer.name]
        bias = np.zeros((len(kernel), kernel.shape[-1]), np.float32)
        outputs = self._made(BankedFilter, layer, kernel, bias)(inputs)
        self._filtered[id(outputs)] = (kernel, inputs)
        self._kept.append(outputs)  # so that the id is not used again
        return outputs

    def _normalize(self, layer, inputs):
        scale, shift = self._rows[layer.name]
        before = self._filtered.get(id(inputs))
        if before is None:
            return self._made(BankedScale, layer, scale, shift)(inputs)
        kernel, inputs = before
        kernel = kernel * scale[:, None, None, :]
        return self._made(BankedFilter, layer, kernel, shift)(inputs)

    def _affine(self, layer, inputs):
        config = {**layer.get_config(), "center": False, "scale": False}
        bare = type(layer).from_config(config)
        scaled = self._made(BankedScale, layer, *self._rows[layer.name])
        return scaled(bare(inputs))

    def _made(self, kind, layer, *values):
        name = unused_name(f"{layer.name}_banked", self._names)
        return kind(self._chosen, *values, name=name, dtype=layer.dtype_policy)


def _require_last_axis(layer, rank):
    if not on_last_axis(layer, rank):
        raise ValueError(
            f"Layer '{layer.name}' does not normalise the last axis: its "
            "network cannot be bundled. Export its tasks one by one. "
            f"Received: axis={layer.axis}"
        )
