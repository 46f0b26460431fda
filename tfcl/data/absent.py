"""Images that are not in memory, and perhaps not there at all."""

from __future__ import annotations

import dataclasses
import typing

import numpy as np

from tfcl.data.lazy_images import Images, image_digest
from tfcl.data.split import Split
from tfcl.errors import UserError

if typing.TYPE_CHECKING:
    from collections.abc import Callable

    from tfcl.types import Shape


class AbsentImages(Images):
    """Stands for images that are fetched when somebody asks for them.

    Args:
        count: Number of images.
        image_shape: `(height, width, channels)`.
        fetch: Function without arguments to the images; None if nobody has
            them.
        lost: What an error says then: whose images, and the way out.
    """

    def __init__(
        self,
        count: int,
        image_shape: Shape,
        fetch: Callable[[], np.ndarray | Images] | None,
        lost: str = "",
    ):
        super().__init__(count, image_shape)
        self._fetch = fetch
        self.lost = lost
        self._found: np.ndarray | Images | None = None

    @property
    def is_lost(self) -> bool:
        """Whether nobody has the images."""
        return self._fetch is None

    def _whole(self):
        if self._fetch is None:
            raise UserError(self.lost)
        if self._found is None:
            self._found = self._fetch()
        return self._found

    def __getitem__(self, rows):
        return self._whole()[rows]

    def taken(self, rows: np.ndarray) -> np.ndarray | Images:
        """The images at `rows`."""
        found = self._whole()
        return found.taken(rows) if isinstance(found, Images) else found[rows]

    def digest(self) -> str:
        return image_digest(self._whole())


@dataclasses.dataclass(frozen=True, eq=False)
class AbsentSplit(Split):
    """A `Split` of `AbsentImages`, known again by its digest.

    Args:
        known_digest: What `Split.digest` was when the images were here.
    """

    known_digest: str = ""

    def taken(self, indices: np.ndarray) -> Split:
        """The split of the images at `indices`, `(k,)` integers."""
        part: typing.Any = super().taken(indices)
        # It is not known by the digest of the whole.
        return dataclasses.replace(part, known_digest="")

    def digest(self) -> str:
        return self.known_digest or super().digest()


def is_lost(split: Split) -> bool:
    """Whether nobody has the images of a split."""
    return isinstance(split.images, AbsentImages) and split.images.is_lost
