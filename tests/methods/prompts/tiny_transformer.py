"""A transformer of one or two blocks, as methods that prompt it take it."""

import functools

import numpy as np

from tfcl.models.backbones.vit import vit
from tfcl.testing import tiny_training

PLAIN = functools.partial(vit, patch=4, width=16, depth=1, heads=2)


def sighted(image_shape, depth=1):
    """One whose weights make images differ, as if it had been trained."""
    model = PLAIN(image_shape, depth=depth)
    generator = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name in ("kernel", "class_token", "positions"):
            weight.assign(generator.normal(0.0, 0.1, weight.shape))
    return model


def training(epochs=40, learning_rate=0.01, **kwargs):
    """A `TaskTraining` of what never changes: `sighted`, frozen."""
    settings = {
        "backbone": sighted,
        "pretrained": True,
        "hidden_units": (),
        "dropout": 0.0,
    }
    return tiny_training(epochs, learning_rate, **{**settings, **kwargs})
