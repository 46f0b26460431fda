"""The layers of the vision transformer that Keras does not have."""

import numpy as np
import pytest

from tests.testing.layers import run_layer_test
from tfcl.layers.attention.class_token import ClassToken
from tfcl.layers.attention.self_attention import SelfAttention
from tfcl.layers.attention.token_embedding import TokenEmbedding


def test_all_are_layers():
    run_layer_test(SelfAttention, {"heads": 2}, (3, 5, 12), (3, 5, 4))
    run_layer_test(TokenEmbedding, {}, (3, 5, 4), (3, 6, 4))
    run_layer_test(ClassToken, {}, (3, 5, 4), (3, 4))


def test_a_token_attends_by_the_products_of_queries_and_keys():
    queries = [[[0.0], [1e3]]]
    keys, values = [[[0.0], [1.0]]], [[[2.0], [6.0]]]
    inputs = np.concatenate([queries, keys, values], axis=-1)
    # The first likes both alike, the second only the second.
    found = SelfAttention(1)(np.float32(inputs))
    np.testing.assert_allclose(found, [[[4.0], [6.0]]])


def test_every_token_sees_a_prefix_too():
    rows = np.random.default_rng(0).normal(size=(2, 3, 12))
    prefix = np.random.default_rng(1).normal(size=(2, 2, 5, 4))
    found = SelfAttention(2)(np.float32(rows), np.float32(prefix))
    for image in range(2):
        for head in range(2):
            at = slice(2 * head, 2 * head + 2)
            q, k, v = (rows[image, :, s : s + 4][:, at] for s in (0, 4, 8))
            k = np.concatenate([prefix[image, 0, :, at], k])
            v = np.concatenate([prefix[image, 1, :, at], v])
            scores = np.exp(q @ k.T / np.sqrt(2))
            wanted = scores / scores.sum(-1, keepdims=True) @ v
            np.testing.assert_allclose(found[image, :, at], wanted, atol=1e-5)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="`heads`.*Received: heads=0"):
        SelfAttention(0)
    with pytest.raises(ValueError, match="`heads`.*Received: heads=5"):
        SelfAttention(5)(np.zeros((1, 2, 12), np.float32))
