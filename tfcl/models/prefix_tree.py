"""All transfer configurations of a network in one batched pass."""

import keras
import numpy as np

from tfcl.layers.branch_conv2d import BranchConv2D, Unpack
from tfcl.layers.selective_conv2d import CHOSEN, SelectiveConv2D
from tfcl.models.variables import leaf_layers

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


def configurations(num_layers):
    """The 2^L transfer configurations, True = shared.

    Configuration i has layer l (from 1) task-specific exactly if bit l - 1 of
    i is set; configuration 0 shares everything. The order fixes ties and the
    order of the leaves of `prefix_tree`.

    Returns:
        Boolean array `(2^L, L)`.
    """
    indices = np.arange(2**num_layers)[:, None]
    return (indices >> np.arange(num_layers)) & 1 == 0


def configuration_name(sharing):
    """Layers from input to output, 1 = shared: e.g. "0011"."""
    return "".join("1" if shared else "0" for shared in sharing)


def chosen_layers(model):
    """The layers of a lifted model with a choice, input to output."""
    return [
        layer
        for layer in model.layers
        if isinstance(layer, SelectiveConv2D) and layer.sharing == CHOSEN
    ]


def prefix_tree(model):
    """A model that computes every configuration's output at once.

    Layer l has only 2^l different activations, one per prefix of the
    configuration, not 2^L: the batch doubles at each layer with a choice.
    The new model shares all variables with `model`.

    Args:
        model: A lifted functional model with L layers of
            `SelectiveConv2D(sharing="chosen")`.

    Returns:
        A functional model `(batch, ...)` to `(2^L * batch, ...)`; rows
        `c * batch ... (c + 1) * batch - 1` belong to configuration c in the
        order of `configurations`.

    Raises:
        ValueError: If a layer keeps statistics of the batch or draws random
            numbers, which would have to be kept per configuration; or if a
            layer with a choice sits in an inner model or is used twice.
    """
    for layer in model.layers:
        _refuse_hidden_choice(layer)
        _refuse_stateful(layer)
    if isinstance(model, keras.Sequential):
        # Keras lets nobody else call a sequential model's layers.
        model = keras.Model(model.inputs, model.outputs, name=model.name)
    branching = _Branching()
    tree = keras.models.clone_model(
        model,
        # The same layers, so the same variables.
        clone_function=lambda layer: layer,
        call_function=branching,
    )
    outputs = _reordered(
        branching.aligned(tree.outputs[0]),
        branching.choices,
        chosen_layers(model),
    )
    return keras.Model(tree.inputs[0], outputs, name=f"{model.name}_tree")


def _reordered(leaves, called, listed):
    """Leaves numbered by the layers' order in the model, not of the calls.

    Keras lists parallel branches in one order and runs them in another.
    """
    if called == listed:
        return leaves
    wanted = np.arange(2 ** len(listed))
    source = sum(
        ((wanted >> listed.index(layer)) & 1) << position
        for position, layer in enumerate(called)
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

    def __init__(self):
        self.choices = []
        self._states = {}
        self._kept = []

    def __call__(self, layer, *args, **kwargs):
        arguments = keras.tree.flatten((args, kwargs))
        tensors = [a for a in arguments if _is_tensor(a)]
        if isinstance(layer, SelectiveConv2D) and layer.sharing == CHOSEN:
            if layer in self.choices:
                raise ValueError(
                    f"Layer '{layer.name}' is used twice, but its choice can "
                    "be made only once. Use a backbone without such layers."
                )
            inputs = self.aligned(tensors[0])
            self.choices.append(layer)
            branch = BranchConv2D(layer, name=f"{layer.name}_branches")
            return self._note(branch(inputs), self.depth, packed=True)
        if len(tensors) == 1 and isinstance(layer, _CHANNELWISE):
            depth, packed = self._state(tensors[0])
            return self._note(layer(*args, **kwargs), depth, packed)
        depth = max(self._state(t)[0] for t in tensors)
        args, kwargs = keras.tree.map_structure(
            lambda a: self._at(a, depth) if _is_tensor(a) else a,
            (args, kwargs),
        )
        return self._note(layer(*args, **kwargs), depth, packed=False)

    @property
    def depth(self):
        """Choices made so far."""
        return len(self.choices)

    def aligned(self, tensor):
        """The tensor with one block of the batch per choice made so far."""
        return self._at(tensor, self.depth)

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
