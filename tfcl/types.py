"""Names of the types that annotations use again and again."""

import os
from typing import Annotated, Any, TypeAlias

import numpy as np

Tensor: TypeAlias = Any
"""A `tf.Tensor`, or a `keras.KerasTensor` while a model is put together.

Neither TensorFlow nor Keras ships types, so a checker can tell nothing of them.
"""

Folder: TypeAlias = str | os.PathLike
"""The path of a folder."""

StartFile: TypeAlias = Annotated[str, "a start file"]
"""The path of a file that a network begins with.

It is read when the network is built, which is after the data have been
prepared: who starts a run asks for it before.
"""

Shape: TypeAlias = tuple[Any, ...]
"""The shape of a tensor: integers, and None for an axis that varies."""

Values: TypeAlias = dict[str, np.ndarray]
"""Values of variables by name, as the bank keeps them."""

Lowered: TypeAlias = tuple[Any, list[np.ndarray]]
"""The plain `keras.layers.Layer` that stands for one of ours, its weights."""

Structure: TypeAlias = Any
"""What the shapes of a growing method's variables depend on, JSON-ready."""
