"""A vision transformer run a second time, with prompts."""

from __future__ import annotations

import typing

import keras

from tfcl.arguments import require
from tfcl.layers.attention.class_token import ClassToken
from tfcl.layers.attention.self_attention import SelfAttention
from tfcl.layers.attention.token_embedding import TokenEmbedding
from tfcl.models.surgery.rewire import rewire

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tfcl.types import Tensor


def attention_layers(model: keras.Model) -> list[SelfAttention]:
    """The attention of each block of a vision transformer, first to last.

    Args:
        model: Functional model without inner models.

    Raises:
        ValueError: If it is no transformer in the form of
            `tfcl.models.backbones.vit`.
    """

    def of(kind):
        return [layer for layer in model.layers if isinstance(layer, kind)]

    require(
        len(of(TokenEmbedding)) == len(of(ClassToken)) == 1
        and bool(of(SelfAttention)),
        "TaskTraining.backbone",
        "must be a vision transformer of tfcl.models.backbones.vit, whose "
        "tokens prompts are put before; name one: --network=vit_b16, "
        "vit_digits, or TaskTraining.backbone = @vit",
        model.name,
    )
    return of(SelfAttention)


def with_tokens(model: keras.Model, prompts: Tensor) -> Tensor:
    """Features of a run with prompts before the embedded tokens.

    Args:
        model: Vision transformer, see `attention_layers`.
        prompts: Symbolic, made of `model.output`: `(batch, n, width)`.

    Returns:
        Symbolic features of the model's own input: the mean of what has
        become of the prompts, each normed as the class token is,
        `(batch, width)`.
    """

    def call(layer, *args, **kwargs):
        if isinstance(layer, ClassToken):
            (tokens,) = args
            others = tokens.shape[1] - prompts.shape[1]
            return keras.layers.Cropping1D((0, others), name="prompt_tokens")(
                tokens
            )
        outputs = layer(*args, **kwargs)
        if isinstance(layer, TokenEmbedding):
            joined = keras.layers.Concatenate(axis=1, name="prompted")
            outputs = joined([prompts, outputs])
        return outputs

    mean = keras.layers.GlobalAveragePooling1D(name="prompt_mean")
    return rewire(model, call, mean, model.input).outputs[0]


def with_prefixes(
    model: keras.Model,
    prefixes: Mapping[SelfAttention, Callable[[Tensor], Tensor]],
) -> Tensor:
    """Features of a run in which some attention sees prefixes, too.

    Args:
        model: Vision transformer, see `attention_layers`.
        prefixes: By the layer that sees it, a function from what the layer
            gets to the prefix, `(batch, 2, length, width)`.

    Returns:
        Symbolic features of the model's own input, `(batch, width)`.
    """

    def call(layer, *args, **kwargs):
        if layer in prefixes:
            return layer(*args, prefixes[layer](*args), **kwargs)
        return layer(*args, **kwargs)

    return rewire(model, call, inputs=model.input).outputs[0]
