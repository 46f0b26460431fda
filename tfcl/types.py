"""Names of the types that annotations use again and again."""

import os
from typing import Any, TypeAlias

import numpy as np

Tensor: TypeAlias = Any
"""A `tf.Tensor`, or a `keras.KerasTensor` while a model is put together.

Neither TensorFlow nor Keras ships types, so a checker can tell nothing of them.
"""

Folder: TypeAlias = str | os.PathLike
"""The path of a folder."""

Shape: TypeAlias = tuple[Any, ...]
"""The shape of a tensor: integers, and None for an axis that varies."""

Values: TypeAlias = dict[str, np.ndarray]
"""Values of variables by name, as the bank keeps them."""

Lowered: TypeAlias = tuple[Any, list[np.ndarray]]
"""The plain `keras.layers.Layer` that stands for one of ours, its weights."""

Structure: TypeAlias = Any
"""What the shapes of a growing method's variables depend on, JSON-ready."""
