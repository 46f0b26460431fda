"""The small network of the golden runs of CPG and PackNet."""

import re

import keras
import numpy as np

from tfcl.layers.masked.masked_conv2d import MaskedConv2D
from tfcl.layers.masked.masked_dense import MaskedDense
from tfcl.layers.unbiased_batch_norm import UnbiasedBatchNorm
from tfcl.models.surgery.growing_chain import NEW, regrown, unit_view
from tfcl.optimizers.owned_weights import claimed, without_foreign

_NAMES = {
    "w": "kernel",
    "b": "bias",
    "gamma": "gamma",
    "beta": "beta",
    "mean": "moving_mean",
    "var": "moving_variance",
    "owner": "owner",
    "pig": "scores",
}


def masked_names(layers):
    """Of a file's layers those with masks: conv1, conv2, ..., fc1, ...."""
    kinds = [
        sorted(
            (name for name in layers if re.fullmatch(rf"{kind}\d+", name)),
            key=lambda name, kind=kind: int(name.removeprefix(kind)),
        )
        for kind in ("conv", "fc")
    ]
    return tuple(kinds[0] + kinds[1])


class MiniNetwork:
    """3 x 3 convolutions with 2 x 2 pools, dense layers, one classifier.

    Args:
        names: Of the masked layers, as `masked_names` gives them.
        units: Their channels or units.
        classes: Outputs of the classifier.
        dtype: Of all layers.
        picks: Whether masked layers have scores.
    """

    def __init__(self, image_shape, names, units, classes, dtype, picks=True):
        self.names = names
        self.units = tuple(units)
        self.below = (image_shape[-1], *units[:-1])
        options = {"dtype": dtype, "picks": picks}
        hidden = inputs = keras.Input(image_shape, dtype=dtype)
        depth = sum(name.startswith("conv") for name in names)
        for k, filters in enumerate(units[:depth], start=1):
            hidden = MaskedConv2D(
                filters,
                3,
                padding="same",
                use_bias=False,
                name=f"conv{k}",
                **options,
            )(hidden)
            norm = UnbiasedBatchNorm(name=f"bn{k}", dtype=dtype)
            hidden = keras.layers.ReLU(dtype=dtype)(norm(hidden))
            hidden = keras.layers.MaxPooling2D(2, dtype=dtype)(hidden)
        hidden = keras.layers.Flatten(dtype=dtype)(hidden)
        for k, width in enumerate(units[depth:], start=1):
            hidden = MaskedDense(
                width, activation="relu", name=f"fc{k}", **options
            )(hidden)
        self.backbone = keras.Model(inputs, hidden)
        self.classifier = keras.layers.Dense(classes, name="cls", dtype=dtype)
        self.classifier.build(hidden.shape)
        self.layers = {
            layer.name: layer
            for layer in (*self.backbone.layers, self.classifier)
            if layer.weights
        }
        self.masked = [self.layers[name] for name in names]
        self.kernels = [layer.kernel for layer in self.masked]
        self.owners = [layer.owner for layer in self.masked]
        self.scores = [la.scores for la in self.masked if la.scores is not None]

    @property
    def plain(self):
        """What SGD trains besides the kernels."""
        taken = {id(v) for v in (*self.kernels, *self.scores)}
        return [
            variable
            for layer in self.layers.values()
            for variable in layer.trainable_variables
            if id(variable) not in taken
        ]

    def logits(self, images, training=False):
        return self.classifier(self.backbone(images, training=training))

    def begin_task(self, task, kernel):
        """Claims what is free, picks everything, takes a new classifier."""
        self.claim(task)
        self.pick_all()
        self.use(task)
        self.classifier.kernel.assign(kernel)
        self.classifier.bias.assign(np.zeros(kernel.shape[-1]))

    def claim(self, task):
        for owner in self.owners:
            owner.assign(claimed(owner, task))

    def pick_all(self):
        for layer in self.masked:
            if layer.scores is not None:
                start = np.full(layer.scores.shape, layer.initial_score)
                layer.scores.assign(start)

    def use(self, task):
        for layer in self.masked:
            layer.task.assign(task)

    def zero_free(self, task):
        for kernel, owner in zip(self.kernels, self.owners):
            kernel.assign(without_foreign(kernel, owner, task))

    def state(self):
        """`{layer: {golden name: array}}`."""
        return {
            name: {
                short: getattr(layer, attribute).numpy()
                for short, attribute in _NAMES.items()
                if getattr(layer, attribute, None) is not None
            }
            for name, layer in self.layers.items()
        }

    def assign(self, state):
        for name, arrays in state.items():
            for short, value in arrays.items():
                getattr(self.layers[name], _NAMES[short]).assign(value)

    def grow_from(self, old, fresh):
        """Old units lead, what is new has its fresh values.

        Args:
            old: The `MiniNetwork` before it grew.
            fresh: `{layer name: kernel}`.
        """
        for name, below, units, old_below, old_units in zip(
            self.names, self.below, self.units, old.below, old.units
        ):
            layer, before = self.layers[name], old.layers[name]
            sources = [_sources(old_below, below), _sources(old_units, units)]

            def grown(old_value, value, old_below=old_below, sources=sources):
                view = unit_view(old_value, old_below)
                return regrown(view, *sources, value)

            layer.kernel.assign(grown(before.kernel.numpy(), fresh[name]))
            zeros = np.zeros(layer.owner.shape, np.uint8)
            layer.owner.assign(grown(before.owner.numpy(), zeros))
        for name, layer in old.layers.items():
            if name in self.names or name.startswith("bn"):
                for variable in layer.weights:
                    if len(variable.shape) == 1:  # Biases and norms.
                        _lead(self.layers[name], variable)

    def narrow(self, task, state, units):
        """The network of a task that was learned before the growth.

        Args:
            task: Its number.
            state: Its own values: scores, biases, norms, classifier.
            units: Units of the layers when it was learned.
        """
        shape = self.backbone.input_shape[1:]
        kernel = state["cls"]["w"]
        dtype = self.classifier.dtype
        small = MiniNetwork(shape, self.names, units, kernel.shape[-1], dtype)
        for name, inputs, outputs in zip(self.names, small.below, small.units):
            layer = self.layers[name]
            layer.task.assign(task)
            scores = np.zeros(layer.scores.shape)
            own = state[name]["pig"]
            window = tuple(slice(n) for n in own.shape)
            scores[window] = own
            layer.scores.assign(scores)
            small.layers[name].kernel.assign(
                layer.served_kernel(inputs, outputs)
            )
        masks = ("w", "owner", "pig")
        small.assign(
            {
                name: {
                    short: value
                    for short, value in arrays.items()
                    if name == "cls" or short not in masks
                }
                for name, arrays in state.items()
            }
        )
        return small


def _sources(old, new):
    return [*range(old), *[NEW] * (new - old)]


def _lead(layer, variable):
    found = next(v for v in layer.weights if v.name == variable.name)
    value = found.numpy()
    value[: variable.shape[0]] = variable.numpy()
    found.assign(value)
