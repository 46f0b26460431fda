"""Domains made of one task: all its images, changed alike."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import typing

import numpy as np

from tfcl.data.lazy_images import (
    Images,
    MemoryLimits,
    image_digest,
    images_of,
    parts_of,
)
from tfcl.data.scenario import DOMAIN
from tfcl.data.task import TaskStream

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tfcl.data.split import Split
    from tfcl.data.task import Task
    from tfcl.types import Shape


class Change(typing.NamedTuple):
    """What makes a domain out of images.

    Attributes:
        name: End of its task's name.
        function: From pixels to pixels, uint8
            `(k, height, width, channels)`; None leaves them as they are.
        digest: Text that differs where functions do.
    """

    name: str
    function: Callable[[np.ndarray], np.ndarray] | None = None
    digest: str = ""


class ChangedSource:
    """Changed images as the source of others, see `LazyImages`.

    The images themselves are there once, for all changes.

    Args:
        original: The images before.
        change: `Change` with a function.
    """

    def __init__(self, original: _Original, change: Change):
        assert change.function is not None
        self.image_shape = original.images.shape[1:]
        self._original, self._change = original, change
        self._function = change.function

    def __len__(self):
        return len(self._original.images)

    def images(self, indices: np.ndarray) -> np.ndarray:
        """Pixels, uint8 `(k, height, width, channels)`."""
        indices = np.asarray(indices, np.int64)
        result = np.empty((len(indices), *self.image_shape), np.uint8)
        first = 0
        for rows in parts_of(indices):
            changed = self._function(self._original.images[rows])
            result[first : first + len(rows)] = changed
            first += len(rows)
        return result

    def digest(self, indices: np.ndarray) -> str:
        """Text that differs where images or their change do."""
        rows = np.asarray(indices, np.int64).tobytes()
        texts = (self._original.digest, self._change.digest)
        sha = hashlib.sha256("".join(texts).encode())
        sha.update(rows)
        return sha.hexdigest()


@dataclasses.dataclass(frozen=True)
class _Original:
    """Images of which many changed ones are made, digested once."""

    images: np.ndarray | Images

    @functools.cached_property
    def digest(self) -> str:
        return image_digest(self.images)


def image_shape_of(stream: TaskStream) -> Shape:
    """Shape of the images of a stream of which domains can be made.

    Raises:
        ValueError: If it is not of one task, or has other images than whole
            ones of 8 bits.
    """
    if len(stream.visits) != 1:
        raise ValueError(
            "Argument `stream` must bring one task, of which domains are "
            f"made. Received: {len(stream.visits)} visits of {len(stream)} "
            "tasks. Give dataset_stream with one data set."
        )
    images = stream.tasks[0].train.images
    if images.dtype != np.uint8 or getattr(images, "draws", False):
        raise ValueError(
            "Argument `stream` must bring whole images of 8 bits, without "
            f"`train_crop`. Received: stream '{stream.name}' with "
            f"{images.dtype} images"
        )
    return images.shape[1:]


def in_domains(
    stream: TaskStream,
    kind: str,
    changes: Sequence[Change],
    memory: MemoryLimits | None = None,
) -> TaskStream:
    """One domain per change, each with all images of a stream's one task.

    Pixel statistics and preprocessing are those of the task itself: a user's
    image is expected as the domain has it.

    Args:
        stream: `TaskStream` that `image_shape_of` takes.
        kind: What domains are, for the name.
        changes: `Change`s in the order of the tasks.
        memory: `MemoryLimits`; changed images of at most `task` bytes are
            kept while there is room.
    """
    (task,) = stream.tasks
    limits = memory or MemoryLimits()
    originals = {name: _Original(s.images) for name, s in task.splits.items()}

    def split_of(name: str, change: Change) -> Split:
        split = task.splits[name]
        if change.function is None:
            return split
        source = ChangedSource(originals[name], change)
        rows = np.arange(len(split))
        images = images_of(source, rows, now=False, largest=limits.task)
        return dataclasses.replace(split, images=images)

    tasks: list[Task] = []
    for change in changes:
        splits = {name: split_of(name, change) for name in originals}
        made = dataclasses.replace(
            task,
            index=len(tasks),
            name=f"{task.name}_{change.name}",
            earlier=tuple(tasks),
            files={},  # No file has these pixels.
            **splits,
        )
        tasks.append(made)
    name = f"{kind}_{task.name}_{len(tasks)}"
    return TaskStream(name, tasks, stream.batch_size, scenario=DOMAIN)
