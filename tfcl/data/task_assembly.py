"""Puts a task together out of images, labels and pixel statistics."""

from __future__ import annotations

import typing
from typing import Annotated, Any

import numpy as np

from tfcl.arguments import Range, require
from tfcl.data.preprocessing import Preprocessing
from tfcl.data.split import Split, channel_statistics
from tfcl.data.task import Task

if typing.TYPE_CHECKING:
    from collections.abc import Sequence


# Mean and deviation of pixels / 255 that leave them as they are.
UNSTANDARDISED = (0.0, 1.0)


def _says_statistics(value):
    if isinstance(value, str):
        return value in ("train", "split", "none")
    return isinstance(value, (tuple, list)) and len(value) == 2


Statistics = Annotated[
    Any,
    Range(
        "'train', 'split' or 'none', or a pair (mean, std)",
        _says_statistics,
        says_all=True,
    ),
]
"""By which mean and deviation images are standardised; see `assemble_task`."""


def checked_statistics(statistics: Any, channels: int) -> Any:
    """What `assemble_task` takes: the text, or a pair as a tuple.

    Args:
        statistics: `Statistics`.
        channels: Of the images.

    Raises:
        ValueError: If a pair does not go with the channels.
    """
    if isinstance(statistics, str):
        return statistics
    shapes = {np.shape(value) for value in statistics}
    require(
        shapes <= {(), (1,), (channels,)},
        "statistics",
        f"must be a pair (mean, std), each one number or {channels}, one per "
        "channel",
        statistics,
    )
    return tuple(statistics)


def assemble_task(
    index: int,
    name: str,
    class_names: Sequence[str],
    splits: Any,
    statistics: Any,
    earlier: Any,
    resize: str = "stretch",
) -> Task:
    """A `Task` whose three splits are standardised as asked.

    Args:
        index: Position in the stream, from 0.
        name: Name of the task.
        class_names: Name of each local label.
        splits: `(images, labels)` of train, validation and test: uint8
            `(n, height, width, channels)` and integers `(n,)`.
        statistics: "train" standardises every split per channel by the
            training images, "split" each split by its own images, "none"
            not at all. A pair `(mean, std)`, each a number for all channels
            or one per channel, is in the unit of pixels / 255.
        earlier: The tasks before this one.
        resize: How images of other shapes were and will be brought to the
            stream's, see `Preprocessing`.
    """
    (train, _), _, _ = splits
    if statistics == "none":
        statistics = UNSTANDARDISED
    if isinstance(statistics, tuple):
        mean, std = (
            np.broadcast_to(value, train.shape[-1:]) for value in statistics
        )
        made = [Split(images, labels, mean, std) for images, labels in splits]
    else:
        # A user's single image has no set of its own: serving uses the
        # training statistics in both modes. Once per set: images that are in
        # no memory are decoded for them.
        own = [channel_statistics(train)]
        if statistics == "split":
            own += [channel_statistics(images) for images, _ in splits[1:]]
        else:
            own *= len(splits)
        mean, std = own[0]
        made = [
            Split(images, labels, *found)
            for (images, labels), found in zip(splits, own)
        ]
    return Task(
        index=index,
        name=name,
        class_names=tuple(class_names),
        train=made[0],
        validation=made[1],
        test=made[2],
        preprocessing=Preprocessing(
            tuple(int(v) for v in train.shape[1:]),
            tuple(float(v) for v in mean),
            tuple(float(v) for v in std),
            resize,
        ),
        earlier=tuple(earlier),
    )
