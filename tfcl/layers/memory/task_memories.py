"""Memory heads of several tasks as one layer."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tfcl.layers.memory.memory_dense import MemoryDense
from tfcl.layers.memory.memory_options import (
    KeyOptions,
    MemoryOptions,
    ScramblingOptions,
)

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.layers.memory.memory_update import MemoryState, Reading
    from tfcl.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class TaskMemories(MemoryDense):
    """A `MemoryDense` with one key set per task, each with its own outputs.

    A task of fewer outputs than the largest has units as long as the others;
    what is too much of them is never read and never trained.

    Args:
        sizes: Outputs of each task.
        memory, key, scrambling: As for `MemoryDense`; `key_sets` is None.

    Input shape: `(batch, features)`.
    Output shape: `(batch, sum(sizes))`, task after task.

    Raises:
        ValueError: If a size is not positive, or `key_sets` is given.

    Note:
        Units are drawn from a range that depends on their length, so that
        those of a smaller task start a little smaller than on their own.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        memory: MemoryOptions | None = None,
        key: KeyOptions | None = None,
        scrambling: ScramblingOptions | None = None,
        **kwargs,
    ):
        sizes = tuple(int(size) for size in sizes)
        if not sizes or min(sizes) < 1:
            raise ValueError(
                "Argument `sizes` must have a positive number per task. "
                f"Received: sizes={sizes}"
            )
        key = key or KeyOptions()
        if key.key_sets is not None:
            raise ValueError(
                "Argument `key_sets` must be None, there is one per task. "
                f"Received: key_sets={key.key_sets}"
            )
        width = max(sizes)
        super().__init__(
            len(sizes) * width,
            memory,
            dataclasses.replace(key, key_sets=len(sizes)),
            scrambling,
            **kwargs,
        )
        self.sizes = sizes
        self._columns = np.concatenate(
            [task * width + np.arange(size) for task, size in enumerate(sizes)]
        )

    def call(self, inputs: Tensor, key_input: Tensor | None = None) -> Tensor:
        return self._real(super().call(inputs, key_input))

    def read(
        self,
        inputs: Tensor,
        state: MemoryState | None = None,
        key_input: Tensor | None = None,
    ) -> tuple[Tensor, Reading]:
        outputs, reading = super().read(inputs, state, key_input)
        return self._real(outputs), reading

    def _real(self, outputs):
        if len(self._columns) == self.units:
            return outputs
        return tf.gather(outputs, self._columns, axis=-1)

    def compute_output_shape(
        self, inputs_shape: Shape, key_input_shape: Shape | None = None
    ) -> Shape:
        del key_input_shape
        return (*inputs_shape[:-1], len(self._columns))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["units"], config["key_sets"]
        return {**config, "sizes": self.sizes}
