"""Networks that learn example by example, as functions of their values."""

from __future__ import annotations

import dataclasses
import typing

import keras
import tensorflow as tf

from tfcl.layers.memory.memory_dense import MemoryDense
from tfcl.models.surgery.lift import lower, require_graphs
from tfcl.models.variables import Owned, leaf_layers, owned_variables

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from tfcl.types import Tensor


class OnlineNetwork:
    """One or several members, each a backbone with a head; their mean logits.

    A step reads all variables into `values()`, passes them from one
    `learn` to the next, and assigns what `changes` returns: so it may learn
    several batches before anything is applied, and a `MemoryDense` head makes
    its own update after each.

    Args:
        members: `(backbone, head)` pairs: `keras.Model` from images to features
            `(batch, features)`, and a `keras.layers.Dense` or `MemoryDense`.
        trains_backbone: False freezes the backbones.
        pretrained: Whether the backbones' present weights are their start
            values; those of frozen layers always are.
        serve: Optional function from the copy of a head that `lower` makes to
            the layer that stands in its place.
        update_first: Whether a `MemoryDense` makes its own update before it
            is read, so that outputs and gradients are those of the moved
            keys: algorithm 1 of "Continual Neural Computation" (ECML-PKDD
            2024). By default after, as in the program of Memory Head.

    A `MemoryDense` with a `key_shape` has its keys matched to the images.

    Attributes:
        owned: `Owned` variables of all members.
        trained: Those that gradients train.
    """

    def __init__(
        self,
        members: Sequence[Any],
        trains_backbone: bool = True,
        pretrained: bool = False,
        serve: Any | None = None,
        update_first: bool = False,
    ):
        self.members = list(members)
        self.update_first = update_first
        self._serve = serve or (lambda head: head)
        self.trains_backbone = trains_backbone
        self.pretrained = pretrained
        self.owned, self._live = [], []
        for number, (backbone, head) in enumerate(self.members):
            require_graphs(backbone)
            if not head.built:
                head.build(backbone.output_shape)
            if not trains_backbone:
                backbone.trainable = False
            mine = _backbone_variables(backbone, pretrained)
            self._live += mine if trains_backbone else []
            mine += _head_variables(head)
            self._live += _head_variables(head)
            prefix = f"member_{number}/" if len(self.members) > 1 else ""
            self.owned += [
                dataclasses.replace(o, name=prefix + o.name) for o in mine
            ]
        self._variables = [o.variable for o in self._live]
        self._trained = [
            k for k, v in enumerate(self._variables) if v.trainable
        ]
        places = {id(v): k for k, v in enumerate(self._variables)}
        self._memories = [
            [places[id(v)] for v in head.state_variables]
            if isinstance(head, MemoryDense)
            else None
            for _, head in self.members
        ]

    @property
    def trained(self) -> list[Owned]:
        """`Owned` variables that gradients train, in their order."""
        chosen = {id(self._variables[k]) for k in self._trained}
        return [o for o in self.owned if id(o.variable) in chosen]

    @property
    def variables(self) -> list[tf.Variable]:
        """The tf.Variables of `trained`."""
        return [self._variables[k].value for k in self._trained]

    @property
    def memory_heads(self) -> list[MemoryDense]:
        """The `MemoryDense` heads among the members."""
        return [h for _, h in self.members if isinstance(h, MemoryDense)]

    @property
    def memory_places(self) -> list[int]:
        """Places of the memories' variables among the `values`."""
        return [k for places in self._memories if places for k in places]

    def values(self) -> list[Tensor]:
        """The present value of every variable that may change, tensors."""
        values = [tf.convert_to_tensor(v) for v in self._variables]
        for (_, head), places in zip(self.members, self._memories):
            if places is not None:
                for place, value in zip(places, head.prepared(head.state())):
                    values[place] = value
        return values

    def learn(
        self,
        values: Sequence[Tensor],
        images: Tensor,
        objective: Callable[..., Any],
        seed: Tensor,
        present: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, list[Any], Callable[..., Any]]:
        """Loss and gradients of a batch, and the values after it.

        Args:
            values: List of tensors, see `values`.
            images: `(b, height, width, channels)`.
            objective: Function from logits `(b, classes)` to a scalar.
            seed: int32 pair.
            present: Optional booleans `(b,)`: whether an example counts in
                the networks' own updates.

        Returns:
            Loss; logits; gradients in the order of `variables`, that of a
            memory a `tf.IndexedSlices` of rows; and a function to the values
            after the networks' own updates (keys and counters of memories,
            moving averages), without the gradients. Called where these are
            assigned, it copies no memory. It takes changes of the memories'
            `UpdateRule`.
        """
        before = list(values)
        watched = [values[k] for k in self._trained]
        with tf.GradientTape() as tape:
            tape.watch(watched)
            with self._scope(values) as scope:
                logits, readings, moved = self._read(
                    images, tape, seed, present
                )
            loss = objective(logits)
        gradients = tape.gradient(
            loss,
            [moved.get(k, values[k]) for k in self._trained],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        own = [scope.get_current_value(v) for v in self._variables]

        def after(values=None, **changes):
            if values is None:
                values = self.values()
            result = [
                new if new is not old else value
                for new, old, value in zip(own, before, values)
            ]
            for (_, head), places, reading in zip(
                self.members, self._memories, readings
            ):
                if places is not None:
                    state = head.state_of([values[p] for p in places])
                    state = head.updated(
                        state, reading, seed, present, **changes
                    )
                    if head.renews_keys:  # To be assigned, too.
                        state = state._replace(keys=tf.identity(state.keys))
                    for place, value in zip(places, state):
                        result[place] = value
            return result

        return loss, logits, gradients, after

    def logits(self, values: Sequence[Tensor], images: Tensor) -> Tensor:
        """Logits of a network with other values, outside training."""
        with self._scope(values):
            return self(images)

    def moved(
        self, values: Sequence[Tensor], gradients: Sequence[Tensor], rate: Any
    ) -> list[Tensor]:
        """Values after a plain gradient step."""
        values = list(values)
        for k, gradient in zip(self._trained, gradients):
            values[k] = values[k] - rate * tf.convert_to_tensor(gradient)
        return values

    def assign(self, before: Any, after: Any) -> None:
        """Assigns the values that have changed."""
        for variable, old, new in zip(self._variables, before, after):
            if new is not old:
                variable.assign(new)

    def __call__(self, images: Tensor) -> Any:
        logits = [
            head(backbone(images, training=False), **_key_input(head, images))
            for backbone, head in self.members
        ]
        return sum(logits) / len(logits)

    def _read(self, images, tape, seed, present):
        """Logits in training; the reading by which each memory updates
        itself; and what `tape` watches in place of values, by their place."""
        logits, readings, moved = [], [], {}
        for (backbone, head), places in zip(self.members, self._memories):
            features = backbone(images, training=self.trains_backbone)
            if places is None:
                logits.append(head(features))
                readings.append(None)
                continue
            state, keys = head.state(), _key_input(head, images)
            if self.update_first:
                with tape.stop_recording():
                    _, reading = head.read(features, state, **keys)
                    state = head.updated(state, reading, seed, present)
                tape.watch([state.keys, state.memories])
                moved.update(zip(places, state))
                found, _ = head.read(features, state, **keys)
            else:
                found, reading = head.read(features, state, **keys)
            logits.append(found)
            readings.append(reading)
        return sum(logits) / len(logits), readings, moved

    def _pairs(self, values):
        return list(zip(self._variables, values))

    def _scope(self, values):
        return keras.StatelessScope(self._pairs(values))

    def forms(self) -> dict[str, Callable[[], Any]]:
        """See `TaskNetwork.forms`."""
        return {"folded": self.lower}

    def lower(self) -> Any:
        """The plain Keras model from images to logits."""
        outputs = []
        inputs = keras.Input(self.members[0][0].input_shape[1:])
        for number, (backbone, head) in enumerate(self.members):
            backbone = lower(backbone)
            backbone = keras.Model(
                backbone.inputs, backbone.outputs[0], name=f"backbone_{number}"
            )
            served = self._serve(_served(head, number))
            outputs.append(served(backbone(inputs), **_key_input(head, inputs)))
        if len(outputs) > 1:
            return keras.Model(inputs, keras.layers.Average()(outputs))
        return keras.Model(inputs, outputs[0])


def _backbone_variables(backbone, pretrained):
    """`Owned` of a backbone; frozen layers keep their values."""
    frozen = {
        id(weight)
        for layer in leaf_layers(backbone)
        if not layer.trainable
        for weight in layer.weights
    }
    return [
        Owned.of(o.name, o.variable)
        if pretrained or id(o.variable) in frozen
        else o
        for o in owned_variables(backbone)
    ]


def _head_variables(head):
    if isinstance(head, MemoryDense):
        return [
            Owned.of(f"{head.name}/{name}", variable, initializer)
            for name, variable, initializer in head.owned_variables()
        ]
    return [
        Owned.of(f"{head.name}/{v.name}", v, start)
        for v, start in (
            (head.kernel, head.kernel_initializer),
            *([(head.bias, head.bias_initializer)] if head.use_bias else []),
        )
    ]


def _key_input(head, images):
    """What a head is called with beside the features."""
    own = isinstance(head, MemoryDense) and head.key.key_shape
    return {"key_input": images} if own else {}


def _served(head, number):
    """A copy of a head without what only training needs."""
    config = {**head.get_config(), "name": f"served_{number}"}
    if not isinstance(head, MemoryDense):
        copy = type(head).from_config(config)
        copy.build((None, head.kernel.shape[0]))
        copy.set_weights(head.get_weights())
        return copy
    copy = type(head).from_config(
        {**config, "scramble": False, "count_evaluations": False}
    )
    copy.build((None, head.features))
    copy.keys.assign(head.keys)
    copy.memories.assign(head.memories)
    return copy
