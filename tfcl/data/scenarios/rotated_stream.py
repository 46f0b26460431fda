"""A stream of domains that differ in the angle of their images."""

from __future__ import annotations

import functools
import typing
from collections.abc import Sequence

import gin
import keras
import numpy as np
import tensorflow as tf

from tfcl import randomness
from tfcl.arguments import PositiveInt, checked, require
from tfcl.data.lazy_images import MemoryLimits
from tfcl.data.scenario import DOMAIN, announce
from tfcl.data.scenarios.changed_images import (
    Change,
    image_shape_of,
    in_domains,
)
from tfcl.types import Folder

if typing.TYPE_CHECKING:
    from collections.abc import Callable

    from tfcl.data.task import TaskStream


@gin.configurable(denylist=["data_dir"])
@checked
def rotated_stream(
    stream: Callable[..., TaskStream] = gin.REQUIRED,
    num_tasks: PositiveInt | None = None,
    angles: Sequence[float] | None = None,
    angle_range: Sequence[float] = (0.0, 180.0),
    seed: int = 0,
    memory: MemoryLimits | None = None,
    data_dir: Folder | None = None,
) -> TaskStream:
    """Tasks of the same images, each turned by an angle of its own.

    Rotated MNIST, if the images are MNIST's. Images are turned about their
    middle, with bilinear interpolation; what comes in from outside is black.
    They are there once, and are turned when a task is used.

    Args:
        stream: Stream factory, a function of `data_dir`, of one task.
        num_tasks: Number of tasks whose angles are drawn; None for those of
            `angles`.
        angles: Angle of each task, degrees, counterclockwise.
        angle_range: Smallest and largest angle, degrees. It is cut into
            `num_tasks` equal parts, and task t's angle is drawn from the
            t-th.
        seed: Of the angles.
        memory: `MemoryLimits` of turned images; None for its defaults.
        data_dir: Folder of prepared TFDS data sets.

    Returns:
        A domain-incremental `TaskStream` "rotated_<task>_<tasks>"; the names
        of its tasks tell the angles, rounded.

    Raises:
        ValueError: If an argument breaks its rule, `stream` brings several
            tasks, or other images than whole ones of 8 bits.

    Reference:
        Lopez-Paz and Ranzato, "Gradient Episodic Memory for Continual
        Learning", NeurIPS 2017.
    """
    announce(DOMAIN, "rotated_stream")
    require(
        (num_tasks is None) != (angles is None),
        "num_tasks",
        "must be given if `angles` are not, and only then",
        num_tasks,
    )
    turns = _drawn(num_tasks, angle_range, seed) if angles is None else angles
    require(len(turns) > 0, "angles", "must hold one per task", angles)
    found = stream(data_dir=data_dir)
    image_shape_of(found)
    changes = []
    for index, angle in enumerate(map(float, turns)):
        function = functools.partial(_turned, angle=angle) if angle else None
        name = f"{index:02d}_{round(angle)}_degrees"
        changes.append(Change(name, function, repr(angle)))
    return in_domains(found, "rotated", changes, memory)


def _drawn(num_tasks, angle_range, seed):
    require(
        len(angle_range) == 2 and angle_range[0] <= angle_range[1],
        "angle_range",
        "must hold the smallest and the largest angle, in this order",
        angle_range,
    )
    low, high = angle_range
    shares = randomness.generator(seed, "angles").random(num_tasks)
    return low + (np.arange(num_tasks) + shares) * (high - low) / num_tasks


def _turned(pixels, angle):
    _, height, width, _ = pixels.shape
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    x, y = (width - 1) / 2, (height - 1) / 2
    # From a pixel's place, rows counted downwards, to where it comes from.
    back = [cosine, -sine, x - cosine * x + sine * y]
    back += [sine, cosine, y - sine * x - cosine * y, 0.0, 0.0]
    with tf.device("CPU:0"):  # The same pixels on all machines.
        turned = keras.ops.image.affine_transform(
            tf.constant(pixels, tf.float32),
            tf.constant(back, tf.float32),
            interpolation="bilinear",
            data_format="channels_last",
        )
        levels = tf.clip_by_value(tf.floor(turned + 0.5), 0.0, 255.0)
        return tf.cast(levels, tf.uint8).numpy()
