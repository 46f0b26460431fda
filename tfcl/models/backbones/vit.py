"""Vision transformer with the weights that timm's programs have trained."""

from __future__ import annotations

import functools
import re
import typing
from typing import Annotated

import gin
import keras
import numpy as np
import tensorflow as tf

from tfcl.arguments import PositiveInt, checked, one_of
from tfcl.layers.attention.class_token import ClassToken
from tfcl.layers.attention.self_attention import SelfAttention
from tfcl.layers.attention.token_embedding import TokenEmbedding
from tfcl.models.weight_files import assign_arrays
from tfcl.types import StartFile

if typing.TYPE_CHECKING:
    from tfcl.types import Shape


_DENSE = {"weight": "kernel", "bias": "bias"}
_NORM = {"weight": "gamma", "bias": "beta"}
_TOKENS = {
    "cls_token": ("tokens", "class_token"),
    "pos_embed": ("tokens", "positions"),
}
_LAYER = re.compile(r"(patch_embed\.proj|norm|blocks\.\d+\..+)\.(weight|bias)")
_FRESH_EPSILON = 1e-5


@gin.configurable(denylist=["image_shape"])
@checked
def vit(
    image_shape: Shape,
    patch: PositiveInt = 16,
    width: PositiveInt = 768,
    depth: PositiveInt = 12,
    heads: PositiveInt = 12,
    mlp_ratio: float = 4.0,
    image_size: int | None = None,
    final_norm: Annotated[str, one_of("weights", "fresh")] = "weights",
    weights: StartFile | None = None,
) -> keras.Model:
    """Vision transformer in the form of timm's; by default ViT-B/16.

    Patches, class token, positions; `depth` blocks of attention and a
    perceptron with exact GELU, each behind its layer norm (epsilon 1e-6) and
    beside a skip; the normed class token is the feature. No dropout, no
    stochastic depth.

    Args:
        image_shape: `(height, width, channels)` of the input.
        patch: Side of a patch, in pixels; must divide height and width.
        width: Numbers per token.
        depth: Blocks.
        heads: Attention heads per block; must divide `width`.
        mlp_ratio: Hidden units of the perceptron, over `width`.
        image_size: Side to which images are brought first (bicubic, with
            antialiasing), in pixels: 224 for small images and weights of
            that size. None takes them as they are.
        final_norm: "weights" reads the last layer norm with the others.
            "fresh" leaves the file's out: gain 1, offset 0, epsilon 1e-5, as
            in the program of Memory Head.
        weights: Path of a state dict with timm's names
            ("blocks.0.attn.qkv.weight"), as `.safetensors` or `.npz`; the
            classifier and other arrays are left out. None draws new weights.

    Returns:
        A functional `keras.Model`: `(batch, height, width, channels)`,
        standardised, to `(batch, width)`.

    Raises:
        UserError: If the file cannot be read or its weights do not fit; names
            the layer.
        ValueError: If an argument breaks its rule.

    Note:
        Position embeddings of another image size are resized as a square
        map, bicubic with antialiasing.

    Reference:
        Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021;
        `timm.models.vision_transformer`.
    """
    shape = tuple(image_shape)
    if image_size is not None:
        shape = (image_size, image_size, shape[-1])
    _check(shape, patch, width, heads, mlp_ratio)
    inputs = hidden = keras.Input(image_shape)
    if shape != tuple(image_shape):
        hidden = keras.layers.Resizing(
            *shape[:2], interpolation="bicubic", antialias=True, name="resized"
        )(hidden)
    hidden = _embedded(hidden, shape, patch, width)
    for block in range(depth):
        hidden = _block(hidden, f"block_{block}", width, heads, mlp_ratio)
    # Only the class token goes on; every token is normed by itself.
    hidden = ClassToken(name="class_token")(hidden)
    fresh = final_norm == "fresh"
    outputs = _norm("norm", _FRESH_EPSILON if fresh else 1e-6)(hidden)
    model = keras.Model(inputs, outputs, name=f"vit{depth}_{patch}")
    if weights is not None:
        place = functools.partial(timm_place, fresh_norm=fresh)
        kept = [("norm", name) for name in _NORM.values()] if fresh else ()
        assign_arrays(model, weights, place, _fitted, kept)
    return model


def _check(shape, patch, width, heads, mlp_ratio):
    if shape[0] % patch or shape[1] % patch:
        raise ValueError(
            f"Argument `patch` must divide the images' {shape[0]} x "
            f"{shape[1]} pixels; set `image_size` to bring them to another "
            f"size. Received: patch={patch}"
        )
    if width % heads:
        raise ValueError(
            f"Argument `heads` must divide width={width}. Received: "
            f"heads={heads}"
        )
    if mlp_ratio * width < 1:
        raise ValueError(
            "Argument `mlp_ratio` must leave the perceptron a hidden unit. "
            f"Received: mlp_ratio={mlp_ratio}"
        )


def _embedded(hidden, shape, patch, width):
    """Tokens `(batch, patches + 1, width)` of images."""
    hidden = keras.layers.Conv2D(
        width, patch, strides=patch, name="patch_embed"
    )(hidden)
    patches = (shape[0] // patch) * (shape[1] // patch)
    hidden = keras.layers.Reshape((patches, width), name="patches")(hidden)
    return TokenEmbedding(name="tokens")(hidden)


def _block(hidden, name, width, heads, mlp_ratio):
    """Attention, then the perceptron; each adds to what it got."""
    inner = _norm(f"{name}_norm1")(hidden)
    inner = _dense(3 * width, f"{name}_attn_qkv")(inner)
    inner = SelfAttention(heads, name=f"{name}_attn")(inner)
    inner = _dense(width, f"{name}_attn_proj")(inner)
    hidden = keras.layers.Add(name=f"{name}_attended")([hidden, inner])
    inner = _norm(f"{name}_norm2")(hidden)
    units = int(width * mlp_ratio)
    inner = _dense(units, f"{name}_mlp_fc1", activation="gelu")(inner)
    inner = _dense(width, f"{name}_mlp_fc2")(inner)
    return keras.layers.Add(name=f"{name}_out")([hidden, inner])


def _dense(units, name, **kwargs):
    start = keras.initializers.TruncatedNormal(stddev=0.02)
    return keras.layers.Dense(
        units, kernel_initializer=start, name=name, **kwargs
    )


def _norm(name, epsilon=1e-6):
    return keras.layers.LayerNormalization(epsilon=epsilon, name=name)


def timm_place(name: str, fresh_norm: bool = False) -> tuple[str, str] | None:
    """`(layer, weight)` of timm's name of an array, or None.

    A leading "module." (of training on several devices) does not count.
    Parts of blocks that `vit` lacks get the place that they would have, so
    that other networks are refused.

    Args:
        name: Of the array.
        fresh_norm: The last layer norm is not the file's.
    """
    name = name.removeprefix("module.")
    if name in _TOKENS:
        return _TOKENS[name]
    found = _LAYER.fullmatch(name)
    if found is None:
        # "ls1.gamma" of a block is no part of this network.
        unknown = re.fullmatch(r"blocks\.(.+)\.(\w+)", name)
        return _in_block(unknown[1], unknown[2]) if unknown else None
    layer, weight = found.groups()
    if layer == "patch_embed.proj":
        return "patch_embed", _DENSE[weight]
    if layer == "norm":
        return None if fresh_norm else ("norm", _NORM[weight])
    is_norm = re.search(r"norm\d?$", layer)
    weight = (_NORM if is_norm else _DENSE)[weight]
    return _in_block(layer.removeprefix("blocks."), weight)


def _in_block(layer, weight):
    return f"block_{layer.replace('.', '_')}", weight


def _fitted(where, array, shape):
    """Position embeddings `(1, 1 + n, width)` for another number of patches.

    A map that is no square stays as it is, and so do other arrays.
    """
    if where != _TOKENS["pos_embed"] or array.shape == shape:
        return array
    if array.ndim != 3 or array.shape[::2] != shape[::2]:
        return array
    old, new = (_side(a[1] - 1) for a in (array.shape, shape))
    if old is None or new is None:
        return array
    token, grid = array[:, :1], array[:, 1:].reshape(1, old, old, -1)
    grid = tf.image.resize(
        grid.astype(np.float32), (new, new), "bicubic", antialias=True
    )
    grid = np.reshape(grid, (1, new * new, -1))
    return np.concatenate([token, grid], axis=1)


def _side(count):
    """Side of a square of so many patches, None if it is none."""
    side = round(count**0.5)
    return side if count and side * side == count else None
