"""Images that are decoded when they are asked for."""

from __future__ import annotations

import abc
import dataclasses
import hashlib
import typing

import gin
import numpy as np

from tfcl.arguments import require

if typing.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from tfcl.types import Shape


# Larger sets stay encoded, and go through memory window by window.
LARGEST_IN_MEMORY = 2**30
# Tasks of a stream beyond this many decoded bytes wait until they are used.
LARGEST_STREAM = 2**32
_PART = 1024


@gin.configurable
@dataclasses.dataclass(frozen=True)
class MemoryLimits:
    """How much memory decoded images may take; nothing else depends on it.

    Args:
        task: Bytes of a task of folders, or of a part of a data set, up to
            which its images are held decoded. Those of a larger one are
            decoded each time they are needed.
        stream: Bytes of decoded tasks from which on further ones wait until
            they are used, and then share room for `task` bytes.
        encoded: Bytes of a part of a prepared data set up to which its files
            are read into memory, encoded. Those of a larger one are read each
            time they are decoded.
    """

    task: int = LARGEST_IN_MEMORY
    stream: int = LARGEST_STREAM
    encoded: int = LARGEST_IN_MEMORY

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            require(
                isinstance(value, int) and value >= 0,
                name,
                "must be a number of bytes, at least 0",
                value,
            )

    def after(self, held: int, holds: bool = True) -> tuple[bool, int]:
        """`(now, largest)` of `images_of` once tasks take `held` bytes.

        Args:
            held: Decoded bytes of the tasks before.
            holds: False holds nothing.
        """
        return held < self.stream, self.task if holds else -1


class HeldTasks:
    """Counts what the tasks of a stream hold decoded, one after another.

    Only what came before decides on a task, so that a longer stream goes on.

    Args:
        limits: `MemoryLimits`; None for its defaults.

    Attributes:
        limits: `MemoryLimits`.
    """

    def __init__(self, limits: MemoryLimits | None = None):
        self.limits = limits or MemoryLimits()
        self._held = 0

    def next(self, holds: bool = True) -> tuple[bool, int]:
        """`(now, largest)` of `images_of` for the next task.

        Args:
            holds: False holds nothing.
        """
        return self.limits.after(self._held, holds)

    def add(self, splits: Any) -> Any:
        """Counts the `(images, labels)` pairs of a task; returns them."""
        self._held += decoded_bytes(splits)
        return splits


def decoded_bytes(splits: Any) -> int:
    """Bytes in memory of the decoded ones of `(images, labels)` pairs."""
    return sum(x.nbytes for x, _ in splits if isinstance(x, np.ndarray))


class Images(abc.ABC):
    """Stands for a uint8 array `(n, height, width, channels)` in a `Split`.

    Args:
        count: Number of images.
        image_shape: `(height, width, channels)`.
    """

    ndim = 4
    dtype = np.dtype(np.uint8)
    draws = False
    """Whether training sees other pixels, drawn at random."""

    def __init__(self, count: int, image_shape: Shape):
        self._count = count
        self._image_shape = tuple(image_shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """`(n, height, width, channels)`."""
        return (self._count, *self._image_shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the images once they are decoded."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __len__(self):
        return self._count

    @abc.abstractmethod
    def __getitem__(self, rows):
        """Pixels, uint8 `(k, height, width, channels)`.

        Args:
            rows: Slice or `(k,)` integers.
        """

    def drawn(self, rows: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """Pixels for training, uint8 `(k, height, width, channels)`.

        Args:
            rows: `(k,)` integers.
            seeds: A seed for each, int32 `(k, 2)`.
        """
        del seeds
        return self[rows]

    def uncached(self) -> Images:
        """The same, without what is kept decoded."""
        return self

    @abc.abstractmethod
    def taken(self, rows: np.ndarray) -> np.ndarray | Images:
        """The images at `rows`, `(k,)` integers, as a `Split` holds them."""

    @abc.abstractmethod
    def digest(self) -> str:
        """Text that differs where images do."""


class LazyImages(Images):
    """Some images of a source, as an array that decodes when indexed.

    Args:
        source: Object with `image_shape`, `images(indices)` that returns
            uint8 `(k, height, width, channels)`, and `digest(indices)`, text
            that differs where images do.
        indices: Images of the source, `(n,)` integers.
    """

    def __init__(self, source: Any, indices: np.ndarray):
        super().__init__(len(indices), source.image_shape)
        self._source = source
        self._indices = np.asarray(indices, np.int64)

    def __getitem__(self, rows):
        return self._source.images(np.atleast_1d(self._indices[rows]))

    def taken(self, rows: np.ndarray) -> LazyImages:
        """The images at `rows`, not decoded."""
        return LazyImages(self._source, self._indices[rows])

    def digest(self) -> str:
        return self._source.digest(self._indices)


class CachedImages(LazyImages):
    """Lazy images that are decoded at once and kept while they are in use.

    All of them share the room, so that the tasks of a long stream follow each
    other; what was used least recently makes room.

    Args:
        source, indices: As of `LazyImages`.
        room: Bytes in which all have to fit; None for `LARGEST_IN_MEMORY`.
    """

    _decoded: typing.ClassVar[dict] = {}

    def __init__(
        self, source: Any, indices: np.ndarray, room: int | None = None
    ):
        super().__init__(source, indices)
        self._room = room

    def __getitem__(self, rows):
        return self._whole()[rows]

    def taken(self, rows: np.ndarray) -> CachedImages:
        """The images at `rows`, not decoded."""
        return CachedImages(self._source, self._indices[rows], self._room)

    def again(self, source: Any, indices: np.ndarray) -> CachedImages:
        """Images of another source that share the same room."""
        return CachedImages(source, indices, self._room)

    def uncached(self) -> LazyImages:
        """The same, decoded anew whenever they are asked for."""
        return LazyImages(self._source, self._indices)

    def _whole(self):
        kept = self._decoded
        pixels = kept.pop(id(self), (None, None))[1]
        if pixels is None:
            pixels = self._source.images(self._indices)
        # The last one is the newest; the owner is kept for its id.
        kept[id(self)] = (self, pixels)
        room = LARGEST_IN_MEMORY if self._room is None else self._room
        while len(kept) > 1 and self._used() > room:
            kept.pop(next(iter(kept)))
        return pixels

    def _used(self):
        return sum(pixels.nbytes for _, pixels in self._decoded.values())


class ImagesSource:
    """`Images` as the source of others, see `LazyImages`."""

    def __init__(self, images: Images):
        self._images = images
        self.image_shape = images.shape[1:]

    def images(self, indices: np.ndarray) -> np.ndarray:
        """Pixels, uint8 `(k, height, width, channels)`."""
        return self._images[indices]

    def digest(self, indices: np.ndarray) -> str:
        """Text that differs where images do."""
        return image_digest(self._images.taken(indices))


class JoinedImages(Images):
    """Several arrays or `Images` of one shape, one after another.

    Args:
        parts: Non-empty iterable of them.
        order: Which of all images, `(n,)` integers; None for all in order.
    """

    def __init__(self, parts: Any, order: np.ndarray | None = None):
        self._parts = list(parts)
        self._ends = np.cumsum([len(part) for part in self._parts])
        self._order = np.arange(self._ends[-1]) if order is None else order
        self._whole = order is None
        self.draws = any(getattr(part, "draws", False) for part in self._parts)
        super().__init__(len(self._order), self._parts[0].shape[1:])
        if self.nbytes > LARGEST_IN_MEMORY:
            # A batch may ask all parts for a few images: parts that take
            # turns in memory would be decoded whole for each.
            self._parts = [_uncached(part) for part in self._parts]

    def __getitem__(self, rows):
        return self._of_parts(rows, lambda part, mine, _: part[mine])

    def drawn(self, rows: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """Pixels for training; arrays have no others."""
        return self._of_parts(
            rows,
            lambda part, mine, which: (
                part.drawn(mine, seeds[which])
                if isinstance(part, Images)
                else part[mine]
            ),
        )

    def _of_parts(self, rows, pixels_of):
        rows = np.atleast_1d(self._order[rows])
        owner = np.searchsorted(self._ends, rows, side="right")
        result = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for number, part in enumerate(self._parts):
            mine = owner == number
            if mine.any():
                first = self._ends[number] - len(part)
                result[mine] = pixels_of(part, rows[mine] - first, mine)
        return result

    def taken(self, rows: np.ndarray) -> np.ndarray | Images:
        """The images at `rows`: decoded, unless training sees others."""
        if self.draws:
            return JoinedImages(self._parts, self._order[rows])
        return self[rows]

    def digest(self) -> str:
        digests = "".join(map(image_digest, self._parts))
        if self._whole:
            return digests
        order = np.asarray(self._order, np.int64).tobytes()
        return digests + hashlib.sha256(order).hexdigest()


def _uncached(part):
    return part.uncached() if isinstance(part, Images) else part


def images_of(
    source: Any,
    indices: np.ndarray,
    now: bool = True,
    largest: int | None = None,
) -> np.ndarray | Images:
    """Images of a source: in memory if the whole source would fit.

    Args:
        source: As for `LazyImages`, with a length.
        indices: `(n,)` integers.
        now: False decodes when the images are first asked for.
        largest: Bytes of a decoded source up to which it is held; None for
            `LARGEST_IN_MEMORY`.

    Returns:
        uint8 array if the source has at most `largest` bytes when decoded.
        Else, or not `now`, `CachedImages`; `LazyImages` if these images of a
        larger source are more than half of that: those of a task's other
        splits shall stay, too.
    """
    largest = LARGEST_IN_MEMORY if largest is None else largest
    each = int(np.prod(source.image_shape))
    whole = len(source) * each <= largest
    if whole and now:
        return source.images(indices)
    if whole or len(indices) * each <= largest // 2:
        return CachedImages(source, indices, largest)
    return LazyImages(source, indices)


def concatenated(
    parts: Sequence[Any],
) -> np.ndarray | Images:
    """Arrays or lazy images as one."""
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts)
    return JoinedImages(parts)


def parts_of(images: np.ndarray | Images) -> Iterator[np.ndarray]:
    """Iterates over decoded parts of images, each `(k, ...)`."""
    for first in range(0, len(images), _PART):
        yield images[first : first + _PART]


def image_digest(images: np.ndarray | Images) -> str:
    """Text that differs where pixels do (for lazy ones: where files do)."""
    if isinstance(images, Images):
        return images.digest()
    sha = hashlib.sha256()
    add_images(sha, images)
    return sha.hexdigest()


def add_images(sha: Any, images: np.ndarray | Images) -> None:
    """Updates a hash, as `hashlib` makes it, by an array or `Images`."""
    if isinstance(images, Images):
        sha.update(images.digest().encode())
        return
    sha.update(str(images.shape).encode())
    sha.update(np.ascontiguousarray(images))
