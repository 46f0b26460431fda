"""The vision transformer against plain NumPy, with weights of timm's names."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tests.models.backbones.imported_networks_test import save_safetensors
from tfcl.errors import UserError
from tfcl.models.backbones.vit import timm_place, vit
from tfcl.models.surgery.lift import lower
from tfcl.models.variables import leaf_layers, owned_variables

_SHAPE = (12, 8, 3)
_SIZES = {"patch": 4, "width": 12, "depth": 2, "heads": 3}


def state_dict(patches, patch=4, width=12, depth=2, hidden=48, channels=3):
    """Random arrays with timm's names and order of axes."""
    shapes = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, patches + 1, width),
        "patch_embed.proj.weight": (width, channels, patch, patch),
        "patch_embed.proj.bias": (width,),
    }
    for block in range(depth):
        for layer, shape in (
            ("norm1", (width,)),
            ("attn.qkv", (3 * width, width)),
            ("attn.proj", (width, width)),
            ("norm2", (width,)),
            ("mlp.fc1", (hidden, width)),
            ("mlp.fc2", (width, hidden)),
        ):
            shapes[f"blocks.{block}.{layer}.weight"] = shape
            shapes[f"blocks.{block}.{layer}.bias"] = shape[:1]
    shapes["norm.weight"] = shapes["norm.bias"] = (width,)
    generator = np.random.default_rng(0)
    return {
        name: generator.normal(0.0, 0.4, shape).astype(np.float32)
        for name, shape in shapes.items()
    }


def forward(
    arrays, images, heads, norm_epsilon=1e-6, prompts=None, prefixes=()
):
    """Class token of the transformer, as its paper writes it, in float64.

    With `prompts` `(b, n, width)`, which go before the tokens, the mean of
    what becomes of them. `prefixes` are `{block: (b, 2, n, width)}`, keys and
    values of no token.
    """
    w = {name: array.astype(np.float64) for name, array in arrays.items()}

    def norm(x, name, epsilon=1e-6):
        mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        x = (x - mean) / np.sqrt(variance + epsilon)
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    def dense(x, name):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    erf = np.vectorize(math.erf)
    kernel = w["patch_embed.proj.weight"]
    width, channels, side, _ = kernel.shape
    b, height, breadth, _ = images.shape
    cut = images.reshape(
        b, height // side, side, breadth // side, side, channels
    )
    cut = cut.transpose(0, 1, 3, 5, 2, 4).reshape(b, -1, channels * side**2)
    x = cut @ kernel.reshape(width, -1).T + w["patch_embed.proj.bias"]
    token = np.broadcast_to(w["cls_token"], (b, 1, width))
    x = np.concatenate([token, x], axis=1) + w["pos_embed"]
    if prompts is not None:
        x = np.concatenate([prompts, x], axis=1)
    depth = sum(name.endswith("attn.qkv.bias") for name in w)
    for number in range(depth):
        block = f"blocks.{number}"
        qkv = dense(norm(x, f"{block}.norm1"), f"{block}.attn.qkv")
        mixed = []
        for head in range(heads):
            size = width // heads
            q, k, v = (
                qkv[..., start : start + size]
                for start in range(head * size, 3 * width, width)
            )
            if number in prefixes:
                own = prefixes[number][..., head * size : (head + 1) * size]
                k = np.concatenate([own[:, 0], k], axis=1)
                v = np.concatenate([own[:, 1], v], axis=1)
            scores = q @ k.transpose(0, 2, 1) / math.sqrt(size)
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            mixed.append(scores / scores.sum(-1, keepdims=True) @ v)
        x = x + dense(np.concatenate(mixed, -1), f"{block}.attn.proj")
        inner = dense(norm(x, f"{block}.norm2"), f"{block}.mlp.fc1")
        inner = inner * 0.5 * (1.0 + erf(inner / math.sqrt(2.0)))
        x = x + dense(inner, f"{block}.mlp.fc2")
    x = norm(x, "norm", norm_epsilon)
    return x[:, 0] if prompts is None else x[:, : prompts.shape[1]].mean(1)


@pytest.fixture(name="images", scope="module")
def _images():
    return np.random.default_rng(1).normal(size=(2, *_SHAPE))


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_features_are_those_of_the_formulas(images, suffix, tmp_path):
    arrays = state_dict(patches=6)
    path = tmp_path / f"vit{suffix}"
    more = {"head.weight": np.zeros((5, 12)), "pre_logits.fc.bias": images}
    if suffix == ".npz":
        np.savez(path, **arrays, **more)
    else:
        # As PyTorch names them after training on several devices.
        save_safetensors(
            path, {f"module.{k}": v for k, v in (arrays | more).items()}
        )
    model = vit(_SHAPE, **_SIZES, weights=str(path))
    wanted = forward(arrays, images, heads=3)
    for each in (model, lower(model)):
        found = each(tf.constant(images, tf.float32))
        np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_the_last_norm_may_be_a_fresh_one(images, tmp_path):
    arrays = state_dict(patches=6)
    path = tmp_path / "vit.npz"
    np.savez(path, **arrays)
    model = vit(_SHAPE, **_SIZES, weights=str(path), final_norm="fresh")
    plain = {"norm.weight": np.ones(12), "norm.bias": np.zeros(12)}
    wanted = forward(arrays | plain, images, 3, norm_epsilon=1e-5)
    found = model(tf.constant(images, tf.float32))
    np.testing.assert_allclose(found, wanted, atol=2e-5)
    # A file without any fits as well.
    for name in plain:
        del arrays[name]
    np.savez(path, **arrays)
    vit(_SHAPE, **_SIZES, weights=str(path), final_norm="fresh")
    with pytest.raises(UserError, match="nothing for layer 'norm'"):
        vit(_SHAPE, **_SIZES, weights=str(path))


def test_every_name_of_timm_has_a_place():
    model = vit((224, 224, 3), depth=3)
    owned = {
        (layer.name, weight.name): tuple(weight.shape)
        for layer in leaf_layers(model)
        for weight in layer.weights
    }
    arrays = state_dict(196, patch=16, width=768, depth=3, hidden=3072)
    assert {timm_place(name) for name in arrays} == set(owned)
    # All twelve blocks of ViT-B/16 and the rest: 85,798,656 numbers.
    block = sum(
        np.prod(shape)
        for (layer, _), shape in owned.items()
        if layer.startswith("block_0_")
    )
    assert model.count_params() + 9 * block == 85_798_656
    assert all(o.initializer for o in owned_variables(model))


def test_positions_fit_images_of_another_size(tmp_path):
    """A smooth map stays what it is: here one that rises to the right."""
    arrays = state_dict(patches=16)
    rising = np.broadcast_to(np.arange(4.0)[:, None], (4, 4, 12))
    arrays["pos_embed"][0, 1:] = rising.reshape(16, 12)
    path = tmp_path / "vit.npz"
    np.savez(path, **arrays)
    model = vit((32, 32, 3), **_SIZES, weights=str(path))
    positions = model.get_layer("tokens").positions.numpy()[0]
    np.testing.assert_array_equal(positions[0], arrays["pos_embed"][0, 0])
    grid = positions[1:].reshape(8, 8, 12)
    for row in grid[1:]:
        np.testing.assert_allclose(row, grid[0], atol=1e-5)
    wanted = (np.arange(8) + 0.5) / 2 - 0.5
    np.testing.assert_allclose(grid[0, 3:5, 0], wanted[3:5], atol=1e-5)


def test_small_images_are_brought_to_the_size(tmp_path):
    path = tmp_path / "vit.npz"
    np.savez(path, **state_dict(patches=16))
    options = {**_SIZES, "weights": str(path)}
    small = vit((8, 8, 3), image_size=16, **options)
    large = vit((16, 16, 3), **options)
    images = np.random.default_rng(2).normal(size=(2, 8, 8, 3))
    images = images.astype(np.float32)
    resized = tf.image.resize(images, (16, 16), "bicubic", antialias=True)
    np.testing.assert_allclose(small(images), large(resized), atol=1e-5)


def test_weights_that_do_not_fit_name_their_layer(tmp_path):
    arrays, path = state_dict(patches=6), tmp_path / "vit.npz"

    def refused(match, **more):
        np.savez(path, **{**arrays, **more})
        with pytest.raises(UserError, match=match):
            vit(_SHAPE, **_SIZES, weights=str(path))

    refused(
        r"'block_1_mlp_fc1'.*\(12, 48\).*\(12, 20\)",
        **{"blocks.1.mlp.fc1.weight": np.zeros((20, 12))},
    )
    # 6 patches are no square, so that they cannot stand for 5.
    refused(r"'tokens'.*positions", pos_embed=np.zeros((1, 6, 12)))
    # Parts of other transformers.
    refused(
        "network has no layer 'block_0_ls1'",
        **{"blocks.0.ls1.gamma": np.zeros(12)},
    )
    refused(
        "network has no layer 'block_0_attn_q_norm'",
        **{"blocks.0.attn.q_norm.weight": np.zeros(4)},
    )
    with pytest.raises(UserError, match="nothing for layer 'block_2"):
        vit(_SHAPE, **{**_SIZES, "depth": 3}, weights=str(path))


@pytest.mark.parametrize(
    "name, value",
    [
        ("patch", 5),
        ("patch", 0),
        ("heads", 5),
        ("heads", 0),
        ("depth", 1.5),
        ("mlp_ratio", 0.01),
        ("final_norm", "none"),
        ("image_size", 10),
    ],
)
def test_arguments_that_do_not_fit_are_refused(name, value):
    named = "patch" if name == "image_size" else name
    with pytest.raises(ValueError, match=f"`{named}`.*Received"):
        vit(_SHAPE, **{**_SIZES, name: value})
