"""The Office-Home streams of the LASEM line."""

import gin
import numpy as np

from tfcl.arguments import PositiveInt, checked
from tfcl.data.class_pools import ClassPools, shuffled
from tfcl.data.lazy_images import HeldTasks, MemoryLimits
from tfcl.data.sources import tfds_source
from tfcl.data.task import TaskStream
from tfcl.data.task_assembly import UNSTANDARDISED, assemble_task
from tfcl.types import Folder

# Class indices of the five groups; both domains have the same.
OFFICE_HOME_GROUPS = (
    (63, 54, 55, 59, 47, 8, 5, 56, 18, 50, 3, 57, 13),
    (62, 19, 21, 35, 64, 46, 27, 10, 39, 17, 22, 34, 30),
    (48, 15, 51, 6, 40, 31, 4, 36, 45, 41, 16, 14, 11),
    (9, 29, 1, 44, 33, 26, 25, 32, 53, 12, 43, 38, 60),
    (28, 2, 49, 37, 20, 23, 58, 24, 52, 61, 7, 0, 42),
)
# Task k of the incremental stream has the first 3 + k of these.
_INCREMENTAL = (13, 58, 41, 11, 6, 38, 3, 62)
_FEWEST = 3
_DOMAINS = ("product", "real_world")


@gin.configurable(denylist=["data_dir"])
@checked
def office_home_stream(
    incremental: bool = False,
    image_size: PositiveInt = 128,
    data_seed: int = 0,
    batch_size: PositiveInt = 16,
    memory: MemoryLimits | None = None,
    data_dir: Folder | None = None,
) -> TaskStream:
    """Office-Home: 10 tasks x 13 classes, or 6 tasks of 3 to 8 classes.

    Tasks "product_1" to "product_5", then "real_world_1" to "real_world_5",
    the same five groups of classes in both domains. Of each class of a domain
    60 % of the images are for training, 10 % for validation, 30 % for test,
    each count rounded down. Pixels are between 0 and 1, not standardised.

    Args:
        incremental: True makes the 6 tasks "product_3_classes" to
            "product_8_classes", each with the classes of the one before and
            one more.
        image_size: Height and width in pixels to which images are resized.
        data_seed: Seed of the choice of images inside a class.
        batch_size: Examples per training step over all replicas.
        memory: `MemoryLimits` of decoded images; None for its defaults.
        data_dir: Folder of prepared TFDS data sets; the images themselves
            have to be put into `<data_dir>/downloads/manual` by hand, see
            `data_builders/office_home`.

    Returns:
        A `TaskStream` "office_home_10" or "office_home_6" of uint8 images
        `(image_size, image_size, 3)`, about 2,640 images per domain in
        training.

    Raises:
        UserError: If a domain is not prepared (says how to get it), damaged,
            or a task has too few images.
        ValueError: If `image_size` is not positive.

    Note:
        Resizing is this project's antialiased bicubic one, the same as for a
        user's images, and ends in whole grey levels; the published program
        smooths with a Gaussian, interpolates linearly and keeps floats.

    Reference:
        Lee, Behpour, Eaton, ICML 2021, and its program; data of Venkateswara
        et al., CVPR 2017.
    """
    tasks, held = [], HeldTasks(memory)
    for domain, members in _plan(incremental).items():
        pools = _pools(domain, image_size, data_seed, memory, data_dir)
        for name, classes in members:
            whole = (None, None, None)
            splits = held.add(pools.take(classes, whole, name, *held.next()))
            class_names = [pools.class_names[c] for c in classes]
            tasks.append(
                assemble_task(
                    len(tasks), name, class_names, splits, UNSTANDARDISED, tasks
                )
            )
    return TaskStream(f"office_home_{len(tasks)}", tasks, batch_size)


def _plan(incremental):
    """`{domain: [(task name, class indices)]}`, in the order of the tasks."""
    if incremental:
        counts = range(_FEWEST, len(_INCREMENTAL) + 1)
        return {
            "product": [
                (f"product_{count}_classes", _INCREMENTAL[:count])
                for count in counts
            ]
        }
    return {
        domain: [
            (f"{domain}_{number}", classes)
            for number, classes in enumerate(OFFICE_HOME_GROUPS, start=1)
        ]
        for domain in _DOMAINS
    }


def _pools(domain, image_size, data_seed, memory, data_dir):
    source = tfds_source.open_split(
        f"office_home_{domain}",
        "train",
        data_dir,
        image_shape=(image_size, image_size, 3),
        memory=memory,
    )
    pools = {}
    for label in range(len(source.class_names)):
        mine = shuffled(source, label, data_seed, domain)
        # In whole numbers of percent: 0.6 n of a float may fall below 6 / 10.
        train, validation, test = (
            len(mine) * percent // 100 for percent in (60, 10, 30)
        )
        ends = np.cumsum([train, validation, test])
        pools[label] = np.split(mine, ends)[:3]
    return ClassPools(
        (source,) * 3,
        pools,
        remedies=("", "The domain must have ten images of a class at least."),
    )
