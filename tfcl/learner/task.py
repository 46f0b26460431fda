"""What a program gives to learn: examples under a name."""

from __future__ import annotations

import dataclasses
import typing

from tfcl.errors import UserError

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """A task for `Learner.learn`.

    `train`, and `test` and `validation` where they are given, are

    - `(images, labels)`: arrays. Images are `(n, height, width)` or
      `(n, height, width, channels)`, integers or whole numbers from 0 to 255,
      or floats from 0 to 1; of any size. Labels are `(n,)` class numbers or
      names, or `(n, classes)` one-hot.
    - a `tf.data.Dataset` of pairs `(image, label)`, in batches or not. It is
      read once, into memory; its order does not matter.

    or `train` alone is

    - the path of a folder with a folder of images per class (or `train/`,
      `validation/`, `test/` with one per class each), see `folder_stream`;
    - the name of a data set of the catalog (`tfcl build --list`), such as
      "cifar10".

    Parts that are not given are cut from the training examples of each class,
    by the fractions of the `Learner`; equal images stay together.

    Args:
        name: Unique in a run; it names files, so letters, digits, `_`, `-` and
            `.` only.
        train: Examples to learn from.
        test: Examples to measure with.
        validation: Examples by which epochs and the like are chosen.
        class_names: Name of each class number. None takes the names of the
            data, or the numbers.
    """

    name: str
    train: Any
    test: Any = None
    validation: Any = None
    class_names: Sequence[str] | None = None


def refuse_no_task(task: Any) -> None:
    """Refuses what is no `Task`.

    Raises:
        UserError: If it is something else.
    """
    if not isinstance(task, Task):
        raise UserError(
            "Argument `task` must be tfcl.Task(name, train=...). Received: "
            f"{type(task).__name__}"
        )
