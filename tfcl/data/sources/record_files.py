"""Encoded images that stay in their TFRecord files."""

from __future__ import annotations

import hashlib
import os
import struct
import typing

import numpy as np
import tensorflow as tf

if typing.TYPE_CHECKING:
    from typing import Any


# A record: length (8 bytes), its checksum (4), data, checksum of the data (4).
_HEADER = 12
_FOOTER = 4


class EncodedInMemory:
    """Encoded images held as bytes.

    Args:
        encoded: `(n,)` array of bytes.
    """

    def __init__(self, encoded: np.ndarray):
        self._encoded = encoded

    def __len__(self):
        return len(self._encoded)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """`(k,)` array of bytes."""
        return self._encoded[indices]

    def ordered(self, order: np.ndarray) -> EncodedInMemory:
        """The same images in another order."""
        return EncodedInMemory(self._encoded[order])

    def digest(self, indices: np.ndarray) -> str:
        """Text that differs where files differ."""
        sha = hashlib.sha256()
        for index in indices:
            sha.update(self._encoded[index])
        return sha.hexdigest()


class EncodedInFiles:
    """Encoded images read from their TFRecord files when asked for.

    Only the place of each record is in memory (24 bytes). Whoever makes one
    has read the files once, checksums and all; single reads do not verify
    them again.

    Args:
        instructions: `(path, records to skip, records to take or -1)` per
            file, in order.
        feature: Name of the image in the stored `tf.train.Example`s.
    """

    def __init__(self, instructions: Any, feature: str):
        self._paths = [os.fspath(path) for path, _, _ in instructions]
        self._feature = feature
        places = []
        for number, (path, skip, take) in enumerate(instructions):
            found = _places(path)
            end = len(found) if take < 0 else skip + take
            for place in found[skip:end]:
                places.append((number, *place))
        # File, offset, length, checksum.
        self._places = np.array(places, np.int64).reshape(-1, 4)

    def __len__(self):
        return len(self._places)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """`(k,)` array of bytes."""
        records = np.empty(len(indices), object)
        places = self._places[indices]
        # File by file, each from its begin to its end.
        order = np.lexsort((places[:, 1], places[:, 0]))
        current: int | None = None
        file: typing.BinaryIO | None = None
        try:
            for row in order:
                number, offset, length, _ = places[row]
                if number != current:
                    if file is not None:
                        file.close()
                    file = open(self._paths[number], "rb")
                    current = number
                assert file is not None
                file.seek(offset)
                records[row] = file.read(length)
        finally:
            if file is not None:
                file.close()
        feature = tf.io.FixedLenFeature([], tf.string)
        parsed = tf.io.parse_example(
            tf.constant(list(records), tf.string, [len(records)]),
            {self._feature: feature},
        )
        return parsed[self._feature].numpy()

    def ordered(self, order: np.ndarray) -> EncodedInFiles:
        """The same images in another order."""
        other = object.__new__(EncodedInFiles)
        other._paths, other._feature = self._paths, self._feature
        other._places = self._places[order]
        return other

    def digest(self, indices: np.ndarray) -> str:
        """Text that differs where records differ: from their checksums."""
        stored = self._places[indices][:, 2:]
        return hashlib.sha256(np.ascontiguousarray(stored).data).hexdigest()


def _places(path):
    """(offset, length, checksum) of the data of each record of a file."""
    places, position = [], 0
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        while position < size:
            file.seek(position)
            (length,) = struct.unpack("<Q", file.read(_HEADER)[:8])
            file.seek(position + _HEADER + length)
            (checksum,) = struct.unpack("<I", file.read(_FOOTER))
            places.append((position + _HEADER, length, checksum))
            position += _HEADER + length + _FOOTER
    return places
