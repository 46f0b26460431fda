"""Whether a pretrained backbone sees the images of a task at all."""

from __future__ import annotations

import typing

import numpy as np
from absl import logging

from tfcl.data.absent import is_lost

if typing.TYPE_CHECKING:
    import keras

    from tfcl.data.split import Split
    from tfcl.data.task import TaskStream


_IMAGES = 32
# Deviation of features over images, as part of their size, below which all
# images look alike. Pretrained networks on images that they know have 0.3 to 2;
# one that gets pixels in another unit, some thousandths.
_LEAST = 0.02
_WAY_OUT = (
    "Was it trained on other pixels? See the stream's statistics (Learner: "
    "preprocessing=)."
)


def warn_of_blind_backbone(backbone: keras.Model, stream: TaskStream) -> None:
    """Warns if the features of the newest task's images cannot be of use.

    Args:
        backbone: From standardised images to features, with its weights.
        stream: `TaskStream`; without a task whose images are here nothing is
            checked.
    """
    here = [task for task in stream if not is_lost(task.train)]
    if not here:
        return
    task = here[-1]
    features = np.asarray(
        backbone(_some(task.train), training=False), np.float64
    )
    if not np.isfinite(features).all():
        logging.warning(
            "Backbone '%s' makes no numbers of images of task '%s'. %s",
            backbone.name,
            task.name,
            _WAY_OUT,
        )
        return
    size = np.abs(features).mean()
    found = features.std(axis=0).mean() / size if size else 0.0
    if found < _LEAST:
        logging.warning(
            "The features of backbone '%s' hardly differ between images of "
            "task '%s': their deviation is %.2g of their size. %s",
            backbone.name,
            task.name,
            found,
            _WAY_OUT,
        )


def _some(split: Split) -> np.ndarray:
    """Standardised images, `(at most _IMAGES, height, width, channels)`."""
    rows = np.linspace(0, len(split) - 1, min(len(split), _IMAGES))
    return split.standardised_at(np.unique(rows.astype(int)))
