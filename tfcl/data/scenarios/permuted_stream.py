"""A stream of domains that differ in the order of their pixels."""

from __future__ import annotations

import functools
import hashlib
import typing

import gin
import numpy as np

from tfcl import randomness
from tfcl.arguments import PositiveInt, checked
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
def permuted_stream(
    stream: Callable[..., TaskStream] = gin.REQUIRED,
    num_tasks: PositiveInt = gin.REQUIRED,
    seed: int = 0,
    first_permuted: bool = False,
    memory: MemoryLimits | None = None,
    data_dir: Folder | None = None,
) -> TaskStream:
    """Tasks of the same images, each with an order of pixels of its own.

    Permuted MNIST, if the images are MNIST's. An order is over the places of
    the whole image: the channels of a pixel stay together. The images are
    there once, and are permuted when a task is used.

    Args:
        stream: Stream factory, a function of `data_dir`, of one task.
        num_tasks: Number of tasks. More tasks begin with the same ones.
        seed: Of the orders.
        first_permuted: False leaves the images of the first task as they are.
        memory: `MemoryLimits` of permuted images; None for its defaults.
        data_dir: Folder of prepared TFDS data sets.

    Returns:
        A domain-incremental `TaskStream` "permuted_<task>_<tasks>".

    Raises:
        ValueError: If `stream` brings several tasks, or other images than
            whole ones of 8 bits.

    Reference:
        Goodfellow et al., "An Empirical Investigation of Catastrophic
        Forgetting", 2013; Kirkpatrick et al., PNAS 2017; van de Ven,
        Tuytelaars, Tolias, Nature Machine Intelligence 2022.
    """
    announce(DOMAIN, "permuted_stream")
    found = stream(data_dir=data_dir)
    height, width, _ = image_shape_of(found)
    changes = []
    for index in range(num_tasks):
        if index == 0 and not first_permuted:
            changes.append(Change("00"))
            continue
        draws = randomness.generator(seed, "pixel order", index)
        order = draws.permutation(height * width)
        changes.append(
            Change(
                f"{index:02d}",
                functools.partial(_permuted, order=order),
                hashlib.sha256(order.astype(np.int64).tobytes()).hexdigest(),
            )
        )
    return in_domains(found, "permuted", changes, memory)


def _permuted(pixels, order):
    """Pixel k of an image is its former pixel `order[k]`."""
    count, *_, channels = pixels.shape
    flat = pixels.reshape(count, -1, channels)
    return np.take(flat, order, axis=1).reshape(pixels.shape)
