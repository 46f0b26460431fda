"""The CIFAR-100 streams of the LASEM line: 10, 20 or 40 tasks x 10 classes."""

from typing import Annotated

import gin

from tfcl.arguments import PositiveInt, checked, one_of
from tfcl.data.lazy_images import MemoryLimits
from tfcl.data.streams.class_split import class_split_stream
from tfcl.data.task import TaskStream
from tfcl.types import Folder

# Fine label indices. Tasks 0-4 of the first ten take one class from each of
# ten super-classes, tasks 5-9 from each of the other ten.
_TEN = (
    (4, 1, 54, 9, 0, 5, 6, 3, 12, 8),
    (30, 32, 62, 10, 51, 20, 7, 42, 17, 13),
    (55, 67, 70, 16, 53, 25, 14, 43, 37, 48),
    (72, 73, 82, 28, 57, 84, 18, 88, 68, 58),
    (95, 91, 92, 61, 83, 94, 24, 97, 76, 90),
    (22, 23, 15, 34, 26, 2, 27, 36, 47, 41),
    (39, 33, 19, 63, 45, 11, 29, 50, 52, 69),
    (40, 49, 21, 64, 77, 35, 44, 65, 56, 81),
    (86, 60, 31, 66, 79, 46, 78, 74, 59, 85),
    (87, 71, 38, 75, 99, 98, 93, 80, 96, 89),
)
# These use every class twice, the forty every class four times.
_TWENTY = (
    (4, 1, 54, 9, 0, 5, 6, 3, 12, 8),
    (4, 23, 54, 34, 0, 2, 6, 36, 12, 41),
    (22, 23, 15, 34, 26, 2, 27, 36, 47, 41),
    (22, 32, 15, 10, 26, 20, 27, 42, 47, 13),
    (30, 32, 62, 10, 51, 20, 7, 42, 17, 13),
    (30, 33, 62, 63, 51, 11, 7, 50, 17, 69),
    (39, 33, 19, 63, 45, 11, 29, 50, 52, 69),
    (39, 67, 19, 16, 45, 25, 29, 43, 52, 48),
    (55, 67, 70, 16, 53, 25, 14, 43, 37, 48),
    (55, 49, 70, 64, 53, 35, 14, 65, 37, 81),
    (40, 49, 21, 64, 77, 35, 44, 65, 56, 81),
    (40, 73, 21, 28, 77, 84, 44, 88, 56, 58),
    (72, 73, 82, 28, 57, 84, 18, 88, 68, 58),
    (72, 60, 82, 66, 57, 46, 18, 74, 68, 85),
    (86, 60, 31, 66, 79, 46, 78, 74, 59, 85),
    (86, 71, 31, 75, 79, 98, 78, 80, 59, 89),
    (87, 71, 38, 75, 99, 98, 93, 80, 96, 89),
    (87, 91, 38, 61, 99, 94, 93, 97, 96, 90),
    (95, 91, 92, 61, 83, 94, 24, 97, 76, 90),
    (95, 1, 92, 9, 83, 5, 24, 3, 76, 8),
)
_FORTY = (
    *_TWENTY,
    (4, 22, 54, 15, 0, 26, 6, 27, 12, 47),
    (1, 23, 9, 34, 5, 26, 6, 27, 12, 47),
    (1, 23, 9, 34, 5, 2, 3, 36, 8, 41),
    (30, 39, 62, 19, 51, 2, 3, 36, 8, 41),
    (30, 39, 62, 19, 51, 45, 7, 29, 17, 52),
    (32, 33, 10, 63, 20, 45, 7, 29, 17, 52),
    (32, 33, 10, 63, 20, 11, 42, 50, 13, 69),
    (55, 40, 70, 21, 53, 11, 42, 50, 13, 69),
    (55, 40, 70, 21, 53, 77, 14, 44, 37, 56),
    (67, 49, 16, 64, 25, 77, 14, 44, 37, 56),
    (67, 49, 16, 64, 25, 35, 43, 65, 48, 81),
    (72, 86, 82, 31, 57, 35, 43, 65, 48, 81),
    (72, 86, 82, 31, 57, 79, 18, 78, 68, 59),
    (73, 60, 28, 66, 84, 79, 18, 78, 68, 59),
    (73, 60, 28, 66, 84, 46, 88, 74, 58, 85),
    (95, 87, 92, 38, 83, 46, 88, 74, 58, 85),
    (95, 87, 92, 38, 83, 99, 24, 93, 76, 96),
    (91, 71, 61, 75, 94, 99, 24, 93, 76, 96),
    (91, 71, 61, 75, 94, 98, 97, 80, 90, 89),
    (4, 22, 54, 15, 0, 98, 97, 80, 90, 89),
)
LASEM_CIFAR100_CLASSES = {10: _TEN, 20: _TWENTY, 40: _FORTY}

# Training and validation images per class by percentage of the data; a task
# has ten classes.
LASEM_CIFAR100_SIZES = {
    2: (8, 2),
    4: (17, 3),
    6: (25, 5),
    8: (33, 7),
    10: (41, 9),
    20: (83, 17),
    25: (104, 21),
    30: (125, 25),
    40: (167, 33),
    50: (208, 42),
    60: (250, 50),
    70: (292, 58),
    75: (312, 63),
    80: (333, 67),
    90: (375, 75),
    100: (417, 83),
}
_REMEDY = "; for others use class_split_stream"
# Of a class's 500 training images 83 are the validation pool, 417 the rest.
_VALIDATION_FRACTION = 1.0 / 6.0


@gin.configurable(denylist=["data_dir"])
@checked
def lasem_cifar100_stream(
    num_tasks: Annotated[
        int, one_of(*LASEM_CIFAR100_CLASSES, remedy=_REMEDY)
    ] = 10,
    data_percent: Annotated[
        int, one_of(*LASEM_CIFAR100_SIZES, remedy=_REMEDY)
    ] = 4,
    statistics: str = "split",
    data_seed: int = 0,
    batch_size: PositiveInt = 10,
    memory: MemoryLimits | None = None,
    data_dir: Folder | None = None,
) -> TaskStream:
    """CIFAR-100 as the LASEM line cuts it: heterogeneous tasks of 10 classes.

    Local label k is the k-th class of the task's list; 100 test images per
    class. Class lists, pools and order are those of `class_split_stream`,
    whose other arguments can be bound beside these: with
    `class_split_stream.num_tasks = 3` only the first three tasks are learned.

    Args:
        num_tasks: 10 (every class once), 20 (twice) or 40 (four times).
        data_percent: Share of the training data in percent, one of the
            published 2, 4, 6, 8, 10, 20, 25, 30, 40, 50, 60, 70, 75, 80, 90,
            100. 4 (the paper) makes 170 training and 30 validation images
            per task.
        statistics: "split" standardises every split of a task by its own
            pixels, as the published protocol does (the test split too);
            "train" by the training images', "none" not at all.
        data_seed: Seed of the choice of images inside a class.
        batch_size: Examples per training step over all replicas.
        memory: `MemoryLimits` of decoded images; None for its defaults.
        data_dir: Folder of prepared TFDS data sets.

    Returns:
        A `TaskStream` "cifar100_<num_tasks>" of uint8 images (32, 32, 3).

    Raises:
        UserError: If CIFAR-100 is damaged or cannot be prepared.
        ValueError: If an argument breaks its rule.

    Note:
        The published program uses the same images in all of its runs; here
        every `data_seed` chooses anew.

    Reference:
        Lee, Behpour, Eaton, "Sharing Less is More: Lifelong Learning in Deep
        Networks with Selective Layer Transfer", ICML 2021, and its program.
    """
    train, validation = LASEM_CIFAR100_SIZES[data_percent]
    return class_split_stream(
        dataset="cifar100",
        batch_size=batch_size,
        task_classes=[list(c) for c in LASEM_CIFAR100_CLASSES[num_tasks]],
        name=f"cifar100_{num_tasks}",
        validation_fraction=_VALIDATION_FRACTION,
        train_per_class=train,
        validation_per_class=validation,
        statistics=statistics,
        data_seed=data_seed,
        data_dir=data_dir,
        # None would hide what is bound beside.
        **({} if memory is None else {"memory": memory}),
    )
