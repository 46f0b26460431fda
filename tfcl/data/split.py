"""The images and labels of one split of one task."""

from __future__ import annotations

import dataclasses
import hashlib
import typing

import numpy as np

from tfcl.data.lazy_images import add_images, concatenated, parts_of

if typing.TYPE_CHECKING:
    from collections.abc import Sequence

    from tfcl.data.lazy_images import Images


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Images with labels, and the constants that standardise them.

    Pixels stay as they are stored; a batch is standardised when it is
    gathered: `(pixel * scale - mean[group]) / std[group]`. A split that joins
    several tasks (joint training) has one group per task.

    Args:
        images: Images, shape `(n, height, width, channels)`, uint8 (0-255)
            or float32: an array, or `Images` for what is larger than
            memory.
        labels: Class index inside the task, shape `(n,)`, int32, from 0.
        mean: Per-channel mean of the scaled pixels, shape
            `(groups, channels)`, float32.
        std: Per-channel standard deviation, same shape, all > 0.
        groups: Row of `mean` and `std` that applies to each image, shape
            `(n,)`, int32. Defaults to zeros.
        scale: Factor from stored pixels to the unit of `mean`. 1/255 for
            uint8, 1 for float32 features.

    Raises:
        ValueError: If shapes or dtypes do not fit together, or a value is
            out of range.
    """

    images: np.ndarray | Images
    labels: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    groups: np.ndarray | None = None
    scale: float = 1.0 / 255.0

    def __post_init__(self):
        if self.images.ndim != 4:
            raise ValueError(
                "Argument `images` must have shape (n, height, width, "
                f"channels). Received: shape {self.images.shape}"
            )
        if self.images.dtype not in (np.uint8, np.float32):
            raise ValueError(
                "Argument `images` must be uint8 or float32. "
                f"Received: dtype {self.images.dtype}"
            )
        if self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                "Argument `labels` must hold one label per image. Received: "
                f"{self.labels.shape} labels, {len(self.images)} images"
            )
        channels = self.images.shape[-1]
        for name in ("mean", "std"):
            value = np.asarray(getattr(self, name), np.float32)
            if value.size == 0 or value.shape[-1] != channels:
                raise ValueError(
                    f"Argument `{name}` must hold one value per channel, of "
                    f"which there are {channels}. Received: shape "
                    f"{value.shape}"
                )
            value = value.reshape(-1, channels)
            object.__setattr__(self, name, value)
        if self.mean.shape != self.std.shape:
            raise ValueError(
                "Arguments `mean` and `std` must have one shape. Received: "
                f"{self.mean.shape} and {self.std.shape}"
            )
        if not (self.std > 0).all():
            raise ValueError(
                "Argument `std` must be positive. "
                f"Received: std={self.std.tolist()}"
            )
        object.__setattr__(self, "labels", self.labels.astype(np.int32))
        groups = self.groups
        if groups is None:
            groups = np.zeros(len(self.labels), np.int32)
        rows = range(len(self.mean))
        if groups.shape != self.labels.shape or not np.isin(groups, rows).all():
            raise ValueError(
                "Argument `groups` must hold a row of `mean` per image, "
                f"0..{len(self.mean) - 1}. Received: shape {groups.shape}, "
                f"values {np.unique(groups).tolist()}"
            )
        object.__setattr__(self, "groups", groups.astype(np.int32))

    def __len__(self):
        return len(self.labels)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """`(height, width, channels)`."""
        return self.images.shape[1:]

    def taken(self, indices: np.ndarray) -> Split:
        """The split of the images at `indices`, `(k,)` integers."""
        images = self.images
        assert self.groups is not None
        return dataclasses.replace(
            self,
            images=images[indices]
            if isinstance(images, np.ndarray)
            else images.taken(indices),
            labels=self.labels[indices],
            groups=self.groups[indices],
        )

    def standardised_at(self, indices: np.ndarray) -> np.ndarray:
        """The images at `indices` as a network gets them.

        Args:
            indices: `(k,)` integers.

        Returns:
            float32, `(k, height, width, channels)`.
        """
        assert self.groups is not None
        groups = self.groups[indices]
        pixels = np.asarray(self.images[indices], np.float32) * self.scale
        mean, std = self.mean[groups], self.std[groups]
        found = (pixels - mean[:, None, None]) / std[:, None, None]
        return found.astype(np.float32)

    def digest(self) -> str:
        """SHA-256 over images and labels, as hexadecimal text."""
        sha = hashlib.sha256()
        add_images(sha, self.images)
        assert self.groups is not None
        arrays = (self.labels, self.groups, self.mean, self.std)
        for array in (*arrays, np.float64(self.scale)):
            sha.update(str(array.shape).encode())
            sha.update(np.ascontiguousarray(array).data)
        return sha.hexdigest()


def standardised(
    images: np.ndarray | Images,
    labels: np.ndarray,
    statistics_of: np.ndarray | Images | None = None,
) -> Split:
    """A uint8 `Split` standardised per channel by its own pixels.

    Mean and (population) standard deviation run over all images and pixels
    of the set; the deviation is floored at 1/sqrt(number of pixels), as the
    LASEM protocol does (Lee et al. 2021, data protocol of their code).

    Args:
        images: uint8, `(n, height, width, channels)`.
        labels: `(n,)` integers.
        statistics_of: Optional other images whose mean and deviation are
            used instead (e.g. the training images for the test split).
    """
    reference = images if statistics_of is None else statistics_of
    mean, std = channel_statistics(reference)
    return Split(images, labels, mean, std)


def channel_statistics(
    images: np.ndarray | Images,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and floored population deviation per channel, of pixels / 255."""
    if not len(images):
        raise ValueError("Channel statistics need at least one image.")
    # Exact integer sums: no dependence on the order of the images and no
    # float copy of a large set.
    pixels = images.shape[0] * images.shape[1] * images.shape[2]
    counts = np.zeros((images.shape[-1], 256), np.int64)
    for part in parts_of(images):
        flat = part.reshape(-1, part.shape[-1])
        for channel, count in enumerate(counts):
            count += np.bincount(flat[:, channel], minlength=256)
    values = np.arange(256, dtype=np.float64) / 255.0
    mean = counts @ values / pixels
    variance = counts @ values**2 / pixels - mean**2
    std = np.sqrt(np.maximum(variance, 0.0))
    floor = 1.0 / np.sqrt(pixels)
    return mean.astype(np.float32), np.maximum(std, floor).astype(np.float32)


def joined(splits: Sequence[Split], label_offsets: Sequence[int]) -> Split:
    """One split out of several tasks' splits, labels shifted per task.

    Args:
        splits: Splits of equal image shape and scale.
        label_offsets: Integer added to the labels of each split.

    Returns:
        A `Split` whose group k is the k-th split.
    """
    return Split(
        images=concatenated([split.images for split in splits]),
        labels=np.concatenate(
            [s.labels + o for s, o in zip(splits, label_offsets)]
        ),
        mean=np.concatenate([split.mean[:1] for split in splits]),
        std=np.concatenate([split.std[:1] for split in splits]),
        groups=np.repeat(np.arange(len(splits)), [len(s) for s in splits]),
        scale=splits[0].scale,
    )


def taken_from(splits: Sequence[Split], numbers: np.ndarray) -> Split:
    """One split of some examples of several splits.

    Args:
        splits: Splits of equal image shape and scale.
        numbers: Which examples, counted through the splits one after another;
            one may come several times.

    Returns:
        A `Split` in the order of the splits.
    """
    numbers = np.asarray(numbers)
    begins = np.cumsum([0, *map(len, splits)])
    parts = []
    for split, begin, end in zip(splits, begins, begins[1:]):
        mine = numbers[(numbers >= begin) & (numbers < end)] - begin
        if len(mine):
            parts.append(split.taken(mine))
    return parts[0] if len(parts) == 1 else joined(parts, [0] * len(parts))
