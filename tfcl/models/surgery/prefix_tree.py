"""All transfer configurations of a network in one batched pass."""

from __future__ import annotations

import math
import typing

import keras
import numpy as np
import tensorflow as tf

from tfcl.layers.transfer.branch_conv2d import BranchConv2D, Unpack
from tfcl.layers.transfer.divided_conv2d import DividedConv2D
from tfcl.layers.transfer.selective_conv2d import CHOSEN, SelectiveConv2D
from tfcl.models.surgery.rewire import rewire
from tfcl.models.variables import leaf_layers

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


# These treat every channel alone, so both halves can pass them together;
# unpacking after the pool moves fewer numbers.
_CHANNELWISE = (
    keras.layers.AveragePooling2D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.MaxPooling2D,
    keras.layers.ReLU,
    keras.layers.ZeroPadding2D,
)


def layer_groups(
    groups: Sequence[int] | None, num_layers: int
) -> tuple[int, ...]:
    """Sizes of the groups of consecutive layers that are chosen together.

    Args:
        groups: Sequence of positive integers, None for a choice per layer.
        num_layers: Layers with a choice.

    Returns:
        Tuple of integers.

    Raises:
        ValueError: If the sizes are not positive or do not sum to the layers.
    """
    if groups is None:
        return (1,) * num_layers
    sizes = tuple(groups) if isinstance(groups, (tuple, list)) else ()
    proper = all(isinstance(n, int) and n >= 1 for n in sizes)
    if not proper or sum(sizes) != num_layers:
        raise ValueError(
            "Argument `groups` must list the sizes of consecutive groups of "
            "layers, input to output: positive integers whose sum is the "
            f"number of convolutions, {num_layers}. Received: groups={groups}"
        )
    return sizes


def configurations(
    num_layers: int, groups: Sequence[int] | None = None
) -> np.ndarray:
    """The 2^L transfer configurations, True = shared.

    Configuration i has layer l (from 1) task-specific exactly if bit l - 1 of
    i is set; configuration 0 shares everything. The order fixes ties and the
    order of the leaves of `prefix_tree`.

    Args:
        num_layers: L.
        groups: See `layer_groups`. Of the full list those that are constant
            inside every group are left, in its order.

    Returns:
        Boolean array `(2^groups, L)`.
    """
    sizes = layer_groups(groups, num_layers)
    indices = np.arange(2 ** len(sizes))[:, None]
    by_group = (indices >> np.arange(len(sizes))) & 1 == 0
    return np.repeat(by_group, sizes, axis=1)


def configuration_name(sharing: Any) -> str:
    """Layers from input to output, 1 = shared: e.g. "0011"."""
    return "".join("1" if shared else "0" for shared in sharing)


def chosen_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers of a lifted model with a choice, input to output.

    Those of inner models are among them.
    """
    return [
        layer
        for layer in leaf_layers(model)
        if isinstance(layer, SelectiveConv2D) and layer.sharing == CHOSEN
    ]


def prefix_tree(
    model: keras.Model, groups: Sequence[int] | None = None
) -> keras.Model:
    """A model that computes every configuration's output at once.

    Layer l has only 2^l different activations, one per prefix of the
    configuration, not 2^L: the batch doubles at each layer with a choice.
    In a group of layers only the first doubles it; the others run the shared
    kernel on one half of the blocks and the task's kernel on the other. The
    new model shares all variables with `model`.

    Args:
        model: A lifted functional model with L layers of
            `SelectiveConv2D(sharing="chosen")`.
        groups: See `layer_groups`; None chooses for every layer.

    Returns:
        A functional model `(batch, ...)` to `(C * batch, ...)`, C = 2^L or
        2^groups; rows `c * batch ... (c + 1) * batch - 1` belong to
        configuration c in the order of `configurations`.

    Raises:
        ValueError: If a layer keeps statistics of the batch or draws random
            numbers, which would have to be kept per configuration; if a
            layer with a choice sits in an inner model or is used twice; or if
            the groups do not fit the layers.
    """
    branching = _Branching(model, groups)
    return rewire(
        model,
        branching,
        lambda last: _reordered(branching.aligned(last), branching.choices),
    )


def tree_bytes(
    model: keras.Model, batch_size: int, groups: Sequence[int] | None = None
) -> int:
    """Memory of the activations that a prefix tree keeps for one step.

    Counts the output of every layer of the tree, as a forward pass under a
    gradient tape keeps them, from their shapes: nothing is allocated. A whole
    step takes about twice as much, for the backward pass and the head.

    Args:
        model, groups: As for `prefix_tree`.
        batch_size: Images per step.

    Returns:
        Bytes, an integer.
    """
    branching = _Branching(model, groups)
    rewire(model, branching, branching.aligned)
    return branching.bytes_per_image() * batch_size


def _reordered(leaves, called):
    """Leaves numbered by the layers' order in the model, not of the calls.

    Keras lists parallel branches in one order and runs them in another.

    Args:
        leaves: Output of the tree.
        called: Numbers of the choices in the order of the calls.
    """
    if called == sorted(called):
        return leaves
    wanted = np.arange(2 ** len(called))
    source = sum(
        ((wanted >> choice) & 1) << position
        for position, choice in enumerate(called)
    )
    shape = leaves.shape[1:]
    blocks = keras.ops.reshape(leaves, (len(wanted), -1, *shape))
    blocks = keras.ops.take(blocks, source, axis=0)
    return keras.ops.reshape(blocks, (-1, *shape))


def _refuse_hidden_choice(layer):
    if isinstance(layer, keras.Model) and any(
        isinstance(inner, SelectiveConv2D) and inner.sharing == CHOSEN
        for inner in leaf_layers(layer)
    ):
        raise ValueError(
            f"Layer '{layer.name}' is a model with convolutions of its own, "
            "between which no configuration can choose. Build the backbone "
            "from single layers: call the inner model's layers one by one."
        )


def _refuse_stateful(layer):
    if isinstance(layer, SelectiveConv2D):
        return
    if layer.non_trainable_variables and layer.trainable:
        raise ValueError(
            f"Layer '{layer.name}' ({type(layer).__name__}) keeps statistics "
            "or random state, which every transfer configuration would need "
            "for itself. Use a backbone without such layers (dropout belongs "
            "to the head)."
        )


class _Branching:
    """Calls each layer of the clone; doubles the batch where there is a choice.

    For every tensor it knows how many choices lie before it (`depth`) and
    whether the last one still sits in the channels (`packed`).
    """

    def __init__(self, model, groups):
        for layer in model.layers:
            _refuse_hidden_choice(layer)
            _refuse_stateful(layer)
        layers = chosen_layers(model)
        sizes = layer_groups(groups, len(layers))
        numbers = np.repeat(np.arange(len(sizes)), sizes).tolist()
        self.choices = []
        self._choice_of = {id(la): n for la, n in zip(layers, numbers)}
        self._called = []
        self._states = {}
        self._kept = []

    def __call__(self, layer, *args, **kwargs):
        arguments = keras.tree.flatten((args, kwargs))
        tensors = [a for a in arguments if _is_tensor(a)]
        if id(layer) in self._choice_of:
            return self._branch(layer, tensors[0])
        if len(tensors) == 1 and isinstance(layer, _CHANNELWISE):
            depth, packed = self._state(tensors[0])
            return self._note(layer(*args, **kwargs), depth, packed)
        depth = max(self._state(t)[0] for t in tensors)
        args, kwargs = keras.tree.map_structure(
            lambda a: self._at(a, depth) if _is_tensor(a) else a,
            (args, kwargs),
        )
        return self._note(layer(*args, **kwargs), depth, packed=False)

    def _branch(self, layer, tensor):
        if layer in self._called:
            raise ValueError(
                f"Layer '{layer.name}' is used twice, but its choice can "
                "be made only once. Use a backbone without such layers."
            )
        self._called.append(layer)
        choice = self._choice_of[id(layer)]
        if choice not in self.choices:
            inputs = self.aligned(tensor)
            self.choices.append(choice)
            branch = BranchConv2D(layer, name=f"{layer.name}_branches")
            return self._note(branch(inputs), self.depth, packed=True)
        position = self.choices.index(choice)
        depth = max(self._state(tensor)[0], position + 1)
        # Bit `position` of a block's number says whose kernel it gets.
        divided = DividedConv2D(
            layer, 2 ** (depth - position - 1), name=f"{layer.name}_divided"
        )
        outputs = divided(self._at(tensor, depth))
        return self._note(outputs, depth, packed=False)

    @property
    def depth(self):
        """Choices made so far."""
        return len(self.choices)

    def aligned(self, tensor):
        """The tensor with one block of the batch per choice made so far."""
        return self._at(tensor, self.depth)

    def bytes_per_image(self):
        """Bytes of all tensors, per image of the batch."""
        total = 0
        for tensor in self._kept:
            depth, packed = self._states[id(tensor)]
            numbers = 2 ** (depth - packed) * math.prod(tensor.shape[1:])
            total += numbers * tf.as_dtype(tensor.dtype).size
        return total

    def _at(self, tensor, depth):
        own, packed = self._state(tensor)
        if packed:
            tensor = self._note(Unpack()(tensor), own, packed=False)
        if own < depth:
            # Lower bits vary fastest from block to block, so a shallower
            # tensor's blocks simply repeat.
            repeats = [2 ** (depth - own)] + [1] * (len(tensor.shape) - 1)
            tensor = keras.ops.tile(tensor, repeats)
            self._note(tensor, depth, packed=False)
        return tensor

    def _state(self, tensor):
        return self._states.get(id(tensor), (0, False))

    def _note(self, outputs, depth, packed):
        for tensor in keras.tree.flatten(outputs):
            self._states[id(tensor)] = (depth, packed)
            self._kept.append(tensor)  # so that the id is not used again
        return outputs


def _is_tensor(value):
    return isinstance(value, keras.KerasTensor)
