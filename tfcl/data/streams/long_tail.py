"""Training data of which some classes have many images and most have few."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Sequence
from typing import Annotated

import gin
import numpy as np

from tfcl import randomness
from tfcl.arguments import checked, within

if typing.TYPE_CHECKING:
    from tfcl.data.class_pools import ClassPools


@gin.configurable
@checked
@dataclasses.dataclass(frozen=True)
class LongTail:
    """How many training images the classes of a stream keep.

    Class c of C, from 0, keeps n_max mu^(c / (C - 1)) of them, rounded down,
    but one at least, where n_max is what the largest class has. Validation
    and test images all stay.

    Args:
        ratio: mu, images of the last class over those of the first, above 0
            and at most 1; one over the imbalance factor.
        shuffled: Whether it is drawn which class is the c-th, so that every
            task has large and small classes; else they get smaller in the
            order in which the stream brings them.
        seed: Of that draw.

    Reference:
        Cui et al., "Class-Balanced Loss Based on Effective Number of
        Samples", CVPR 2019; Liu et al., "Long-Tailed Class Incremental
        Learning", ECCV 2022 (ratio 0.01; ordered and shuffled).
    """

    ratio: Annotated[float, within("(0, 1]")] = 0.01
    shuffled: bool = False
    seed: int = 0

    def counts(self, sizes: Sequence[int]) -> list[int]:
        """How many training images each class keeps.

        Args:
            sizes: How many each has, in the order of the stream.
        """
        places = np.arange(len(sizes))
        if self.shuffled:
            draws = randomness.generator(self.seed, "long tail")
            places = draws.permutation(places)
        shares = self.ratio ** (places / max(1, len(sizes) - 1))
        kept = np.maximum(1, np.floor(max(sizes) * shares).astype(int))
        return np.minimum(kept, sizes).tolist()

    def cut(
        self,
        pools: ClassPools,
        groups: Sequence[Sequence[int]],
        most: int | None,
    ) -> ClassPools:
        """The pools with the training images that are kept.

        Args:
            pools: `ClassPools`.
            groups: Class indices of each task.
            most: Training images per class before; None for all.
        """
        classes = list(dict.fromkeys(label for g in groups for label in g))
        sizes = [len(pools.pools[label][0][:most]) for label in classes]
        return pools.with_fewer(dict(zip(classes, self.counts(sizes))))
