"""Scaled products of queries and keys, without weights of their own."""

from __future__ import annotations

import typing

import keras

from tfcl.arguments import PositiveInt, checked

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Shape, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class SelfAttention(keras.layers.Layer):
    """Every token takes the values of the tokens that it attends to.

    Queries, keys and values come in one row per token: all heads' queries,
    then all keys, then all values. Each of h heads gives
    `softmax(q k^T / sqrt(width / h)) v`; the heads stand side by side again in
    the output. The dense layers before and after it are not part of it.

    A call may bring a prefix: further keys and values, of no token, that every
    token sees, too (prefix tuning).

    Args:
        heads: h; must divide the width.

    Input shape: `(batch, tokens, 3 * width)`; the optional `prefix`
        `(batch, 2, length, width)`, keys before values.
    Output shape: `(batch, tokens, width)`.

    Raises:
        ValueError: If `heads` is not positive, or does not fit the input.

    Reference:
        Vaswani et al., "Attention Is All You Need", NeurIPS 2017, sec. 3.2;
        Li and Liang, "Prefix-Tuning", ACL 2021.
    """

    @checked
    def __init__(self, heads: PositiveInt, **kwargs):
        super().__init__(**kwargs)
        self.heads = heads

    def build(self, input_shape: Shape) -> None:
        if input_shape[-1] % (3 * self.heads):
            raise ValueError(
                "Argument `heads` must divide the width, a third of the "
                f"input's {input_shape[-1]} values per token. Received: "
                f"heads={self.heads}"
            )
        self.built = True

    def call(self, inputs: Tensor, prefix: Tensor | None = None) -> Tensor:
        ops = keras.ops
        tokens, size = inputs.shape[1], inputs.shape[-1] // 3 // self.heads
        parts = ops.reshape(inputs, (-1, tokens, 3, self.heads, size))
        parts = ops.transpose(parts, (2, 0, 3, 1, 4))
        queries, keys, values = parts[0], parts[1], parts[2]
        if prefix is not None:
            shape = (-1, 2, prefix.shape[2], self.heads, size)
            before = ops.transpose(ops.reshape(prefix, shape), (1, 0, 3, 2, 4))
            keys = ops.concatenate([before[0], keys], axis=2)
            values = ops.concatenate([before[1], values], axis=2)
        scores = ops.matmul(queries * size**-0.5, ops.swapaxes(keys, -1, -2))
        mixed = ops.matmul(ops.softmax(scores, axis=-1), values)
        mixed = ops.transpose(mixed, (0, 2, 1, 3))
        return ops.reshape(mixed, (-1, tokens, self.heads * size))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], input_shape[-1] // 3)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "heads": self.heads}
