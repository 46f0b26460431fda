"""Weights of other programs: safetensors, npz and PyTorch's files."""

from __future__ import annotations

import os
import typing

import ml_dtypes
import numpy as np
import safetensors.numpy

from tfcl.errors import UserError
from tfcl.models import start_files, torch_files
from tfcl.models.start_weights import note_source
from tfcl.models.variables import leaf_layers

if typing.TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable, Collection
    from typing import Any

    import keras


# SwAV's files end with .pth.tar, though they are no tar archives.
_OF_TORCH = (".pth", ".pt", ".bin", ".tar")
_FORMATS = (".safetensors", ".npz", *_OF_TORCH)
_BRIEF = (np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16))


def read_arrays(path: str | pathlib.Path) -> dict[str, np.ndarray]:
    """`{name: array}` of a `.safetensors`, `.npz` or PyTorch file.

    Nothing in the file is run: pickled arrays of `.npz` are refused, PyTorch's
    files (.pth, .pt, .bin, .pth.tar) are read by `torch_files`, which knows
    tensors alone. 16-bit numbers become float32.

    Args:
        path: Of the file.

    Raises:
        UserError: If there is no such file, or it cannot be read.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _FORMATS:
        raise UserError(
            f"Weights '{path}': give a file of type {', '.join(_FORMATS)}."
        )
    if not os.path.isfile(path):
        raise UserError(f"Weights '{path}': no such file. Check the path.")
    try:
        if suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return {key: file[key] for key in file.files}
        if suffix in _OF_TORCH:
            arrays = torch_files.state(torch_files.read(path))
        else:
            arrays = safetensors.numpy.load_file(path)
        return {name: _widened(array) for name, array in arrays.items()}
    except Exception as error:
        raise UserError(
            f"Weights '{path}' cannot be read ({error}). The file is damaged "
            f"or is no {suffix} file; get it again."
        ) from error


def _widened(array):
    """An array in a type that NumPy itself computes with."""
    return array.astype(np.float32) if array.dtype in _BRIEF else array


def assign_arrays(
    model: keras.Model,
    path: str | pathlib.Path,
    place: Callable[[str], tuple[str, str] | None],
    fitted: Callable[..., Any] | None = None,
    kept: Collection[tuple[str, str]] = (),
) -> None:
    """Gives a model the weights of a file.

    Args:
        model: A `keras.Model`.
        path: Of the file.
        place: Function from an array's name to `(layer name, weight name)`,
            or None for arrays that are none of the model's (a classifier).
        fitted: Optional function from such a pair, an array and the shape of
            the weight to the array in that shape, where that can be done.
        kept: Such pairs of weights that keep their values.

    Raises:
        UserError: If a weight of the model is missing in the file, has
            another shape, or an array belongs to a layer that the model does
            not have, or two to the same weight; names the layer.
    """
    arrays = read_arrays(start_files.given(path))
    given = {}
    for name, array in arrays.items():
        where = place(name)
        if where is None:
            continue
        if where in given:
            raise UserError(
                f"Weights '{path}': both '{given[where][0]}' and '{name}' are "
                f"the {where[1]} of layer '{where[0]}'. Leave one of them out."
            )
        given[where] = (name, _keras_order(array, where[1], name))
    wanted = {
        (layer.name, weight.name): weight
        for layer in leaf_layers(model)
        for weight in layer.weights
        if (layer.name, weight.name) not in kept
    }
    _require_the_same_layers(model, path, given, wanted, arrays)
    for where, weight in wanted.items():
        name, array = given[where]
        if fitted is not None:
            array = fitted(where, array, tuple(weight.shape))
        if array.shape != tuple(weight.shape):
            raise UserError(
                f"Weights '{path}' do not fit {model.name}: layer "
                f"'{where[0]}' has a {where[1]} of shape "
                f"{tuple(weight.shape)}, the file's '{name}' has "
                f"{array.shape}. Choose the network that the file is of."
            )
        weight.assign(array.astype(weight.dtype))
    note_source(model, f"the weights of '{path}'")


def _keras_order(array, weight, name):
    """An array of PyTorch (`....weight`) in Keras' order of axes."""
    if weight == "kernel" and name.endswith(".weight"):
        order = {4: (2, 3, 1, 0), 2: (1, 0)}.get(array.ndim)
        if order is not None:
            return array.transpose(order)
    return array


def _require_the_same_layers(model, path, given, wanted, names):
    for kind, missing in (
        ("the file has nothing for", wanted.keys() - given.keys()),
        ("the network has no", given.keys() - wanted.keys()),
    ):
        if missing:
            layer, weight = min(missing)
            raise UserError(
                f"Weights '{path}' do not fit {model.name}: {kind} "
                f"layer '{layer}' ({weight}; {len(missing)} weights in "
                f"all). The file's names: {_few(names)}. Choose the network "
                "that the file is of."
            )


def _few(names, count=4):
    shown = [repr(name) for name in list(names)[:count]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f", and {more} more" if more else "") or "none"
