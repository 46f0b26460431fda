"""Whether a backbone comes with weights, which are then its start values."""

from __future__ import annotations

import typing
import weakref

import keras
import numpy as np
from absl import logging

from tfcl.models.variables import owned_variables

if typing.TYPE_CHECKING:
    from typing import Any


_SOURCES: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def note_source(model: keras.Model, source: str) -> None:
    """Notes where a model's weights come from, for `starts_from_its_weights`.

    Args:
        model: The model, or one made of its layers.
        source: What the log calls it, such as "the file 'x.keras'".
    """
    _SOURCES[model] = source


def starts_from_its_weights(
    backbone: keras.Model, asked: bool | None, option: str
) -> bool:
    """Whether a backbone's present weights are its start values.

    They are if it comes with weights, unless the user asks otherwise: from a
    file or a download, or from a function of the user's whose biases or
    statistics differ from what their initializers give. Says in one line of
    the log what was done.

    Args:
        backbone: As its function has made it.
        asked: What the user has bound; None for nothing.
        option: What messages call that.
    """
    source = _SOURCES.get(backbone)
    if source is None and isinstance(backbone, keras.Model):
        source = _unlike_new(backbone)
    kept = source is not None if asked is None else asked
    if kept:
        line = f"starts from {source or 'the weights that it comes with'}"
    elif source is not None:
        line = f"starts from new weights, not from {source}: {option} = False"
    else:
        line = "starts from new weights, drawn by its initializers"
    logging.info("Backbone '%s' %s.", getattr(backbone, "name", ""), line)
    return kept


def _unlike_new(model):
    """A text if some weight is not as a new layer has it, else None."""
    for owned in owned_variables(model):
        initializer: Any = owned.initializer
        # Weights that are drawn say nothing; all others start alike.
        if not isinstance(initializer, keras.initializers.Initializer):
            continue
        if "seed" in initializer.get_config():
            continue
        if not np.array_equal(owned.fresh(0), owned.variable.numpy()):
            return "the weights that its function gives it"
    return None
