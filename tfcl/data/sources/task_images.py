"""All images of one task out of a user's folder, read once and divided."""

from __future__ import annotations

import collections
import contextlib
import typing

import numpy as np
from absl import logging

from data_builders.image_folders import white_point
from tfcl.data.lazy_images import (
    LARGEST_IN_MEMORY,
    CachedImages,
    ImagesSource,
)
from tfcl.data.sources.folder_splits import FolderSplits
from tfcl.data.sources.image_files import ImageFiles, read_all

if typing.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from data_builders.image_folders.image_file import Rules
    from data_builders.image_folders.tree_faults import BadImages
    from tfcl.data.sources.image_files import Source
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
        in_memory: bool,
        now: bool,
    ) -> tuple[list[tuple[Any, np.ndarray]], tuple[str, ...]]:
        """`(images, labels)` of the three splits, and the class names.

        Args:
            parts: See `FolderSplits.complete`.
            seed: Of the cut.
            in_memory: Hold images decoded, if they are not too many.
            now: Hold them from now on, not when they are used.

        Raises:
            TreeError: If a file cannot be used, unless such are skipped.
            UserError: If a class has too few images.
        """
        size = len(self._sources) * int(np.prod(self._shape[0]))
        in_memory = in_memory and size <= LARGEST_IN_MEMORY
        kept, digests, broken, rules = self._read(in_memory and now)
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
        result = []
        for indices, labels in splits.chosen():
            images: Any
            if in_memory and now:
                images = np.empty((len(indices), *self._shape[0]), np.uint8)
                for place, index in enumerate(indices):
                    images[place] = kept[index]
                    kept[index] = None  # Not twice in memory.
            else:
                chosen = [
                    self._sources[index]._replace(digest=digests[index])
                    for index in indices
                ]
                images = ImageFiles(chosen, *self._shape, rules)
                if in_memory:
                    source = ImagesSource(images)
                    images = CachedImages(source, np.arange(len(chosen)))
            result.append((images, labels))
        return result, splits.class_names

    def _read(self, keep):
        """Pixels, digests, indices of bad files; rules that all obey."""
        kept, digests, broken, deep, notes = [], [], set(), {}, []
        with contextlib.closing(
            read_all(self._sources, *self._shape, self.rules)
        ) as readings:
            for index, reading in enumerate(readings):
                digests.append(reading.digest)
                kept.append(reading.pixels if keep else None)
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
                    kept[index] = reading.pixels if keep else None
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
