"""Whose prompts an image gets: those of its task, told or found."""

from __future__ import annotations

import typing

import keras

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class TaskChoice(keras.layers.Layer):
    """A one in the place of an image's task, zeros elsewhere.

    In training that is the task in hand. Otherwise it is the one whose key is
    nearest, of those that have been learned.

    Weights, int32, not trained: `task` `()`, the number of the task in hand;
    `learned` `()`, how many first tasks have keys by now.

    Args:
        told: Whether an image comes with its task, which `task` then says
            outside of training, too.

    Input shape: `(batch, tasks)`, cosines of queries and the tasks' keys.
    Output shape: as of the input.

    Reference:
        Wang et al., "DualPrompt", ECCV 2022, sec. 4.1.
    """

    def __init__(self, told: bool = False, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.told = told
        self.task_initializer = keras.initializers.Zeros()
        self.learned_initializer = keras.initializers.Zeros()

    def build(self, input_shape: Shape) -> None:
        del input_shape
        for name in ("task", "learned"):
            weight = self.add_weight(
                name=name,
                shape=(),
                dtype="int32",
                initializer=getattr(self, f"{name}_initializer"),
                trainable=False,
            )
            setattr(self, name, weight)
        self.built = True

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        ops = keras.ops
        places = ops.arange(inputs.shape[-1], dtype="int32")
        if training or self.told:
            chosen = ops.convert_to_tensor(self.task)
            chosen = ops.repeat(chosen[None], ops.shape(inputs)[0], axis=0)
        else:
            known = places < ops.convert_to_tensor(self.learned)
            # Less than any cosine.
            chosen = ops.argmax(ops.where(known, inputs, -2.0), axis=-1)
            chosen = ops.cast(chosen, "int32")
        return ops.cast(chosen[:, None] == places, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "told": self.told}
