"""Which of a user's images are for training, validation and test."""

from __future__ import annotations

import collections
import fractions
import itertools
import typing

import numpy as np
from absl import logging

from tfcl import randomness
from tfcl.data_builders.image_folders.image_tree import SPLITS
from tfcl.errors import UserError

if typing.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from tfcl.data.sources.image_files import Source
    from tfcl.data_builders.image_folders.image_tree import BadImages


_SHOWN = 5  # Pairs of classes that share images, with their counts.


class FolderSplits:
    """The images of one task, split by split and class by class.

    Args:
        task_name: For messages, and part of the seed of the cut.
        sources: List of `Source`, all images of the task.
        digests: SHA-256 of each.
        pools: `{split: {class: [indices into sources]}}` as the user laid
            them out: "train", and perhaps "validation" and "test".
        bad: `BadImages`, asked what to do with an image in two splits.
    """

    def __init__(
        self,
        task_name: str,
        sources: Sequence[Source],
        digests: Sequence[str],
        pools: Mapping[str, Mapping[str, Sequence[int]]],
        bad: BadImages,
    ):
        self._task_name = task_name
        self._sources = sources
        self._digests = digests
        self._bad = bad
        self._pools = {
            split: {name: list(mine) for name, mine in classes.items()}
            for split, classes in pools.items()
        }

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes to learn, in the order of their labels."""
        return tuple(self._pools["train"])

    def complete(self, parts: Mapping[str, float], seed: int) -> None:
        """Cuts missing splits from the training images of each class.

        Images of equal content stay together. Of a class's n different
        images, `max(1, floor(n * part))` go to each missing split, in an
        order drawn from `seed`, the names of task and class and n alone.

        Args:
            parts: `{"validation": fraction, "test": fraction}`.
            seed: Integer.

        Raises:
            UserError: If a class has too few different images.
        """
        missing = [s for s in ("test", "validation") if s not in self._pools]
        for split in missing:
            self._pools[split] = {}
        for name, mine in self._pools["train"].items():
            equal = {}
            for index in mine:
                equal.setdefault(self._digests[index], []).append(index)
            groups = list(equal.values())
            self._check_enough(name, groups, mine, missing)
            generator = randomness.generator(
                seed, "folder split", self._task_name, name
            )
            order = generator.permutation(len(groups))
            start = 0
            for number, split in enumerate(missing, start=1):
                count = max(1, _part_of(len(groups), parts[split]))
                # At least one is left for each that comes after.
                after = len(missing) - number + 1
                count = min(count, len(groups) - start - after)
                taken = order[start : start + count]
                start += count
                self._pools[split][name] = _joined(groups, taken)
            self._pools["train"][name] = _joined(groups, order[start:])

    def _check_enough(self, name, groups, mine, missing):
        needed = 1 + len(missing)
        if len(groups) >= needed:
            return
        same = ", the same ones counted once" if len(groups) < len(mine) else ""
        cut = " and ".join(missing)
        why = f" (it also gives the {cut} images)" if missing else ""
        raise UserError(
            f"Task '{self._task_name}', class '{name}': {len(groups)} "
            f"image(s){same}, at least {needed} are needed{why}. Add "
            "images, or folders of those splits, or remove the class."
        )

    def tell_of_two_classes(self) -> None:
        """Warns of images that are under more than one class."""
        places = collections.defaultdict(dict)
        sizes = collections.Counter()
        for classes in self._pools.values():
            for name, mine in classes.items():
                sizes[name] += len({self._digests[index] for index in mine})
                for index in mine:
                    places[self._digests[index]].setdefault(name, index)
        shared = collections.defaultdict(list)
        for names in places.values():
            for pair in itertools.combinations(sorted(names), 2):
                shared[pair].append([names[name] for name in pair])
        most = sorted(shared, key=lambda pair: -len(shared[pair]))
        for one, other in most[:_SHOWN]:
            both = shared[one, other]
            first = [self._sources[index].name for index in both[0]]
            logging.warning(
                "Task '%s': %d of the %d different images of class '%s' are "
                "among the %d of class '%s', too, the first as '%s' and '%s'. "
                "No answer to them is right: keep each in one class.",
                self._task_name,
                len(both),
                sizes[one],
                one,
                sizes[other],
                other,
                *first,
            )
        if len(most) > _SHOWN:
            logging.warning(
                "Task '%s': so it is with %d further pairs of classes.",
                self._task_name,
                len(most) - _SHOWN,
            )

    def part_duplicates(self) -> None:
        """Sees to it that no image is in two splits.

        Raises:
            TreeError: If one is, unless such images are skipped: then it
                stays in test rather than validation rather than training.
        """
        held = {}
        for split in reversed(SPLITS):
            mine = {}
            for name, pool in self._pools[split].items():
                kept = []
                for index in pool:
                    digest = self._digests[index]
                    if digest in held:
                        self._refuse_copy(index, split, *held[digest])
                        continue
                    kept.append(index)
                    mine[digest] = (index, split)
                self._pools[split][name] = kept
            held.update(mine)

    def _refuse_copy(self, index, split, other, other_split):
        self._bad(
            self._sources[index].name,
            f"({split}) has the same content as "
            f"'{self._sources[other].name}' ({other_split}), so that a test "
            "would ask for what was learned by heart",
        )

    def chosen(self) -> Any:
        """What is left: `(indices into sources, labels)` per split.

        Both are int64 and int32 `(n,)`, class after class.

        Raises:
            UserError: If a class to learn has no image.
        """
        result = []
        for split in SPLITS:
            pool = self._pools[split]
            empty = [c for c in self.class_names if not pool.get(c)]
            if empty and split == "train":
                raise UserError(
                    f"Task '{self._task_name}', class '{empty[0]}': no usable "
                    "image to learn from. Add some or remove the class."
                )
            if empty:
                logging.warning(
                    "Task '%s', split '%s': no image of %s.",
                    self._task_name,
                    split,
                    ", ".join(empty),
                )
            parts = [pool.get(name, []) for name in self.class_names]
            labels = np.repeat(np.arange(len(parts)), [len(p) for p in parts])
            indices = np.asarray(sum(parts, []), np.int64)
            result.append((indices, labels.astype(np.int32)))
        return result


def _part_of(count, fraction):
    # As written: 0.29 of 100 is 29, though the float is a little smaller.
    return int(count * fractions.Fraction(repr(float(fraction))))


def _joined(groups, order):
    return [index for place in sorted(order) for index in groups[place]]
