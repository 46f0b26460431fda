"""What pixels a user's model takes."""

from __future__ import annotations

import keras

# Mean and deviation of pixels / 255 that give pixels from 0 to 255.
RAW = (0.0, 1.0 / 255.0)
_CONVERT = (keras.layers.Rescaling, keras.layers.Normalization)
# What may stand before them, and changes no range of pixels.
_KEEP = (
    keras.layers.InputLayer,
    keras.layers.Resizing,
    keras.layers.CenterCrop,
    keras.layers.RandomCrop,
    keras.layers.RandomFlip,
    keras.layers.RandomRotation,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
)


def own_preprocessing(model: keras.Model) -> keras.layers.Layer | None:
    """The layer by which a model converts pixels itself, None without one.

    `Rescaling` and `Normalization` count, where nothing but resizing and
    augmentation stands before them; also inside of inner models.

    Args:
        model: Functional or sequential.
    """
    for layer in model.layers:
        if isinstance(layer, _CONVERT):
            return layer
        if isinstance(layer, keras.Model):
            return own_preprocessing(layer)
        if not isinstance(layer, _KEEP):
            return None
    return None
