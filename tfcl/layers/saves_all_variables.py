"""Saving of layers that hold more than a kernel and a bias."""

from __future__ import annotations

import typing

import keras

if typing.TYPE_CHECKING:
    from typing import Any

    from keras.layers import Layer as _Layer
else:
    _Layer = object


class SavesAllVariables(_Layer):
    """Mixin for subclasses of `Conv2D` and `Dense`.

    Keras' own layers save their kernel and bias; here every variable counts.
    """

    def save_own_variables(self, store: Any) -> None:
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store: Any) -> None:
        keras.layers.Layer.load_own_variables(self, store)
