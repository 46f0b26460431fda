"""Pictures that are decoded when they are asked for."""

import hashlib

import numpy as np

# Larger sets stay encoded, and go through memory window by window.
LARGEST_IN_MEMORY = 2**30
_PART = 1024


class LazyPictures:
    """Some pictures of a source, as an array that decodes when indexed.

    Stands for a uint8 array `(n, height, width, channels)` in a `Split`.

    Args:
        source: Object with `image_shape`, `images(indices)` that returns
            uint8 `(k, height, width, channels)`, and `digest(indices)`, text
            that differs where pictures do.
        indices: Pictures of the source, `(n,)` integers.
    """

    ndim = 4
    dtype = np.dtype(np.uint8)

    def __init__(self, source, indices):
        self._source = source
        self._indices = np.asarray(indices, np.int64)

    @property
    def shape(self):
        return (len(self._indices), *self._source.image_shape)

    @property
    def nbytes(self):
        """Bytes of the pictures once they are decoded."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __len__(self):
        return len(self._indices)

    def __getitem__(self, rows):
        """Decodes: uint8, for a slice or an integer array."""
        return self._source.images(np.atleast_1d(self._indices[rows]))

    def taken(self, rows):
        """The pictures at `rows`, not decoded."""
        return LazyPictures(self._source, self._indices[rows])

    def digest(self):
        """Text that differs where pictures do."""
        return self._source.digest(self._indices)


class JoinedPictures:
    """Several arrays or `LazyPictures` of one shape, one after another."""

    ndim = 4
    dtype = np.dtype(np.uint8)

    def __init__(self, parts):
        self._parts = list(parts)
        self._ends = np.cumsum([len(part) for part in self._parts])

    @property
    def shape(self):
        return (len(self), *self._parts[0].shape[1:])

    @property
    def nbytes(self):
        """Bytes of the pictures once they are decoded."""
        return sum(part.nbytes for part in self._parts)

    def __len__(self):
        return int(self._ends[-1])

    def __getitem__(self, rows):
        rows = np.atleast_1d(np.arange(len(self))[rows])
        owner = np.searchsorted(self._ends, rows, side="right")
        result = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for number, part in enumerate(self._parts):
            mine = owner == number
            if mine.any():
                first = self._ends[number] - len(part)
                result[mine] = part[rows[mine] - first]
        return result

    def taken(self, rows):
        """The pictures at `rows`, decoded."""
        return self[rows]

    def digest(self):
        """Text that differs where pictures do."""
        return "".join(map(picture_digest, self._parts))


def pictures_of(source, indices):
    """Pictures of a source: in memory if the whole source would fit.

    Args:
        source: As for `LazyPictures`, with a length.
        indices: `(n,)` integers.

    Returns:
        uint8 array, or `LazyPictures` if the source is larger than
        `LARGEST_IN_MEMORY` when decoded.
    """
    size = len(source) * int(np.prod(source.image_shape))
    if size > LARGEST_IN_MEMORY:
        return LazyPictures(source, indices)
    return source.images(indices)


def concatenated(parts):
    """Arrays or lazy pictures as one."""
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts)
    return JoinedPictures(parts)


def parts_of(pictures):
    """Iterates over decoded parts of pictures, each `(k, ...)`."""
    for first in range(0, len(pictures), _PART):
        yield pictures[first : first + _PART]


def picture_digest(pictures):
    """Text that differs where pixels do (for lazy ones: where files do)."""
    if not isinstance(pictures, np.ndarray):
        return pictures.digest()
    sha = hashlib.sha256(str(pictures.shape).encode())
    sha.update(np.ascontiguousarray(pictures))
    return sha.hexdigest()
