"""All images of one task out of a user's folder, read once and divided."""

from __future__ import annotations

import collections
import contextlib
import typing

import numpy as np
from absl import logging

from tfcl.data.lazy_images import CachedImages, ImagesSource
from tfcl.data.sources.folder_splits import FolderSplits
from tfcl.data.sources.image_files import ImageFiles, read_all
from tfcl.data_builders.image_folders import white_point

if typing.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from tfcl.data.sources.image_files import Source
    from tfcl.data_builders.image_folders.image_file import Rules
    from tfcl.data_builders.image_folders.tree_faults import BadImages
    from tfcl.types import Shape


class TaskImages:
    """Reads all files of a task.

    Args:
        name: Of the task.
        pools: `{split: {class: [Source]}}`.
        image_shape: `(height, width, channels)` of the network's input.
        resize: See `Preprocessing`.
        bad: What to do with files that cannot be used.
        rules: How files are read.

    Attributes:
        rules: The same, with the white that was decided.
        found: `(name, SHA-256)` of the files that have been read.
    """

    def __init__(
        self,
        name: str,
        pools: Mapping[str, Mapping[str, Sequence[Source]]],
        image_shape: Shape,
        resize: str,
        bad: BadImages,
        rules: Rules,
    ):
        self.rules = rules
        self.found: list[tuple[str, str]] = []
        self._name = name
        self._shape = (image_shape, resize)
        self._bad = bad
        self._sources: list[Source] = []
        self._pools: dict[str, dict[str, Sequence[int]]] = {}
        for split, classes in pools.items():
            self._pools[split] = {}
            for class_name, sources in classes.items():
                first = len(self._sources)
                self._sources += sources
                places = range(first, len(self._sources))
                self._pools[split][class_name] = places

    def splits(
        self,
        parts: Mapping[str, float],
        seed: int,
        now: bool,
        largest: int,
    ) -> tuple[list[tuple[Any, np.ndarray]], tuple[str, ...]]:
        """`(images, labels)` of the three splits, and the class names.

        Args:
            parts: See `FolderSplits.complete`.
            seed: Of the cut.
            now: Hold decoded images from now on, not when they are used.
            largest: Bytes of the task up to which they are held at all; see
                `MemoryLimits.after`.

        Raises:
            TreeError: If a file cannot be used, unless such are skipped.
            UserError: If a class has too few images.
        """
        size = len(self._sources) * int(np.prod(self._shape[0]))
        in_memory = size <= largest
        held = in_memory and now
        kept, digests, broken, rules = self._read(held)
        names = [source.name for source in self._sources]
        self.found = list(zip(names, digests))
        usable = {
            split: {
                name: [index for index in places if index not in broken]
                for name, places in classes.items()
            }
            for split, classes in self._pools.items()
        }
        splits = FolderSplits(
            self._name, self._sources, digests, usable, self._bad
        )
        splits.tell_of_two_classes()
        splits.complete(parts, seed)
        splits.part_duplicates()
        result, begin = [], 0
        found = splits.chosen()
        if held:
            move_rows(kept, np.concatenate([indices for indices, _ in found]))
        for indices, labels in found:
            images: Any
            if held:
                images = kept[begin : begin + len(indices)]
                begin += len(indices)
            else:
                chosen = [
                    self._sources[index]._replace(digest=digests[index])
                    for index in indices
                ]
                images = ImageFiles(chosen, *self._shape, rules)
                if in_memory:
                    source = ImagesSource(images)
                    places = np.arange(len(chosen))
                    images = CachedImages(source, places, largest)
            result.append((images, labels))
        return result, splits.class_names

    def _read(self, keep):
        """Pixels, digests, indices of bad files; rules that all obey."""
        shape = (len(self._sources) if keep else 0, *self._shape[0])
        kept = np.empty(shape, np.uint8)
        digests, broken, deep, notes = [], set(), {}, []
        with contextlib.closing(
            read_all(self._sources, *self._shape, self.rules)
        ) as readings:
            for index, reading in enumerate(readings):
                digests.append(reading.digest)
                if keep and reading.pixels is not None:
                    kept[index] = reading.pixels
                notes += [(index, note) for note in reading.notes]
                if reading.numbers:
                    deep[index] = reading.numbers
                if reading.fault:
                    self._bad(self._sources[index].name, reading.fault)
                    broken.add(index)
        self._tell(notes)
        if not deep:
            return kept, digests, broken, self.rules._replace(white=None)
        decided = self.rules.white is None
        self._decide_white(deep, len(self._sources) - len(broken))
        if decided:
            # They could not be turned into pixels before all had been seen.
            again = [self._sources[index] for index in deep]
            with contextlib.closing(
                read_all(again, *self._shape, self.rules)
            ) as readings:
                for index, reading in zip(deep, readings):
                    if keep and reading.pixels is not None:
                        kept[index] = reading.pixels
                    if reading.fault:
                        self._bad(self._sources[index].name, reading.fault)
                        broken.add(index)
        return kept, digests, broken, self.rules

    def _decide_white(self, deep, total):
        white = white_point.decide(
            f"Task '{self._name}'",
            deep.values(),
            total,
            self.rules.white,
        )
        logging.info("%s", white.told)
        if white.warning:
            logging.warning("%s", white.warning)
        self.rules = self.rules._replace(white=white.value)

    def _tell(self, notes):
        counts = collections.Counter(note for _, note in notes)
        firsts: dict[str, int] = {}
        for index, note in notes:
            firsts.setdefault(note, index)
        for note, index in firsts.items():
            logging.warning(
                "Task '%s': '%s' %s (%d such image(s)).",
                self._name,
                self._sources[index].name,
                note,
                counts[note],
            )


def move_rows(array: np.ndarray, wanted: np.ndarray) -> None:
    """Brings rows of an array to its front, in place.

    A second array would double what a task takes.

    Args:
        array: `(n, ...)`; the order of its other rows is not kept.
        wanted: Different row numbers, `(k,)`; row `wanted[i]` comes to i.
    """
    place = np.arange(len(array))  # Where each row is now.
    row = np.arange(len(array))  # Which row is at each place.
    for to, number in enumerate(wanted):
        at = place[number]
        if at == to:
            continue
        array[[to, at]] = array[[at, to]]
        other = row[to]
        row[to], row[at] = number, other
        place[number], place[other] = to, at
