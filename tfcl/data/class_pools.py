"""Which images of a class are for training, validation and test."""

from __future__ import annotations

import typing

import numpy as np

from tfcl import randomness
from tfcl.data.lazy_images import images_of
from tfcl.data.training_crops import TrainingCrop, cropped_images
from tfcl.errors import UserError

if typing.TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from tfcl.data.lazy_images import Images
    from tfcl.data.sources.labelled_images import LabelledImages


SPLITS = ("train", "validation", "test")


class ClassPools:
    """Per class three disjoint pools of images, each in a fixed order.

    Args:
        sources: The `LabelledImages` behind the training, the validation and
            the test pool.
        pools: `{class index: (train, validation, test)}`, each `(n,)` indices
            into its source.
        remedies: How to get out of an error: for a class with too few
            images, where `{split}` stands for the split's name, and for a
            split without any.
    """

    def __init__(
        self,
        sources: Iterable[LabelledImages],
        pools: Any,
        remedies: tuple[str, str] = ("", ""),
    ):
        self.sources = tuple(sources)
        self.pools = pools
        self._remedies = remedies

    @classmethod
    def held_out(
        cls,
        train: LabelledImages,
        test: LabelledImages,
        fraction: float,
        data_seed: int | None,
        remedies: tuple[str, str] = ("", ""),
    ) -> ClassPools:
        """Validation is the first part of a class's shuffled training data.

        Args:
            train: `LabelledImages` of which `int(n * fraction)` images of
                a class are held out.
            test: `LabelledImages`, used whole in its own order.
            fraction: Between 0 and 1.
            data_seed: Seed of the shuffling.
            remedies: See the class.
        """
        pools = {}
        for label in range(len(train.class_names)):
            mine = shuffled(train, label, data_seed)
            held_out = int(len(mine) * fraction)
            pools[label] = (
                mine[held_out:],
                mine[:held_out],
                np.flatnonzero(test.labels == label),
            )
        return cls((train, train, test), pools, remedies)

    @classmethod
    def selected_on_test(
        cls,
        train: LabelledImages,
        test: LabelledImages,
        data_seed: int | None,
        remedies: tuple[str, str] = ("", ""),
    ) -> ClassPools:
        """Nothing is held out: the test images stand for validation, too.

        Args: As of `held_out`.
        """
        pools = {}
        for label in range(len(train.class_names)):
            mine = shuffled(train, label, data_seed)
            tested = np.flatnonzero(test.labels == label)
            pools[label] = (mine, tested, tested)
        return cls((train, test, test), pools, remedies)

    @classmethod
    def given(
        cls,
        train: LabelledImages,
        validation: LabelledImages,
        test: LabelledImages,
        data_seed: int | None,
        remedies: tuple[str, str] = ("", ""),
    ) -> ClassPools:
        """Validation is a part of its own, in its own order.

        Args: As of `held_out`.
        """
        pools = {}
        for label in range(len(train.class_names)):
            mine = shuffled(train, label, data_seed)
            others = (validation.labels, test.labels)
            rest = [np.flatnonzero(labels == label) for labels in others]
            pools[label] = (mine, *rest)
        return cls((train, validation, test), pools, remedies)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.sources[0].class_names

    def with_fewer(self, counts: dict[int, int]) -> ClassPools:
        """The same, with the first training images of each class alone.

        Args:
            counts: `{class index: how many}`; others keep all.
        """
        pools = {
            label: (train[: counts.get(label)], *others)
            for label, (train, *others) in self.pools.items()
        }
        return ClassPools(self.sources, pools, self._remedies)

    def take(
        self,
        classes: Any,
        counts: Any,
        task_name: str,
        now: bool = True,
        largest: int | None = None,
        train_crop: TrainingCrop | None = None,
    ) -> Any:
        """The first images of each class, labelled by its place in the list.

        Args:
            classes: Class indices; local label k is the k-th of them.
            counts: Images per class of each of the three splits; None for
                all.
            task_name: For messages.
            now, largest, train_crop: As of `load`.

        Returns:
            `(images, labels)` of train, validation and test.

        Raises:
            UserError: If a class has too few images or a split none.
        """
        chosen = []
        for which, count in enumerate(counts):
            parts = [self.pools[label][which] for label in classes]
            for label, part in zip(classes, parts):
                if count is not None and len(part) < count:
                    raise self._too_few(
                        task_name, which, label, len(part), count
                    )
            chosen.append([part[:count] for part in parts])
        return self.load(chosen, task_name, now, largest, train_crop)

    def load(
        self,
        chosen: Any,
        task_name: str,
        now: bool = True,
        largest: int | None = None,
        train_crop: TrainingCrop | None = None,
    ) -> Any:
        """The chosen images, decoded now or, of a large source, later.

        Args:
            chosen: For each of the three splits, per local label the indices
                into its source.
            task_name: For messages.
            now: False decodes later in any case.
            largest: As of `images_of`.
            train_crop: What training sees of an image, see
                `tfcl.data.training_crops`; None for the whole.

        Returns:
            As `take`.

        Raises:
            UserError: If a split has no image.
            ValueError: If the crop cannot give the size of the images.
        """
        result = []
        for split, source, parts in zip(SPLITS, self.sources, chosen):
            if not any(map(len, parts)):
                raise UserError(
                    f"Task '{task_name}', split '{split}': no image. "
                    f"{self._remedies[1]}"
                )
            labels = np.repeat(np.arange(len(parts)), [len(p) for p in parts])
            indices = np.concatenate(parts)
            images: np.ndarray | Images
            if split == "train" and train_crop is not None:
                images = cropped_images(source, indices, train_crop, largest)
            else:
                images = images_of(source, indices, now, largest)
            result.append((images, labels.astype(np.int32)))
        return result

    def _too_few(self, task_name, which, label, found, count):
        split = SPLITS[which]
        remedy = self._remedies[0].format(split=split)
        return UserError(
            f"Task '{task_name}', split '{split}': class "
            f"'{self.class_names[label]}' has {found} images, {count} are "
            f"asked for. {remedy}"
        )


def shuffled(
    source: Any, label: int, data_seed: int | None, *key
) -> np.ndarray:
    """Indices of a class's images in an order drawn from seed and key.

    Without a seed (None) in the order in which they are stored.
    """
    mine = np.flatnonzero(source.labels == label)
    if data_seed is None:
        return mine
    generator = randomness.generator(data_seed, "class pool", label, *key)
    return generator.permutation(mine)
