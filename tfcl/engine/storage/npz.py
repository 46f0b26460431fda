"""Dictionaries of arrays as bytes; no pickled objects."""

from __future__ import annotations

import io
import typing
import zipfile

import numpy as np

if typing.TYPE_CHECKING:
    from collections.abc import Mapping


def to_npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """`{name: array}` as the content of an uncompressed .npz file."""
    buffer = io.BytesIO()
    # Without their type: NumPy's stubs take them for its own keywords, too.
    named: dict[str, typing.Any] = dict(arrays)
    np.savez(buffer, **named)
    return buffer.getvalue()


def from_npz(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of `to_npz`.

    Raises:
        ValueError: If the content is damaged or holds pickled objects.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError) as error:
        raise ValueError(f"not a readable .npz content ({error})") from error
