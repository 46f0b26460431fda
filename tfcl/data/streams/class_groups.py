"""Which classes the tasks of a class split have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np

from tfcl import randomness
from tfcl.arguments import at_least, one_of, require
from tfcl.data.streams.increments import task_sizes

ICARL = "icarl"
# `numpy.random.seed(1993)`, `numpy.random.permutation(100)`: the order of
# CIFAR-100's classes in iCaRL and in most that came after it.
_ICARL_SEED, _ICARL_CLASSES = 1993, 100

ClassOrder = (
    Annotated[str, one_of(ICARL)] | Annotated[int, at_least(0)] | Sequence
)
"""In which order classes come; see `class_split_stream`."""


def cut_groups(
    class_names: Sequence[str],
    present: np.ndarray,
    num_tasks: int | None,
    classes_per_task: int | None,
    first_classes: int | None,
    class_order: Any,
    order_seed: int | None,
) -> tuple[list[list[int]], list[int]]:
    """Class indices of each task, and each task's place among the names.

    Args:
        class_names: Of the set.
        present: Classes that have images, `(n,)` integers, ascending.
        num_tasks, classes_per_task, first_classes, class_order, order_seed:
            As of `class_split_stream`.
    """
    classes = _ordered(class_names, present, class_order, order_seed)
    count = len(classes)
    if classes_per_task is not None:
        if num_tasks is not None:
            raise ValueError(
                "Arguments `num_tasks` and `classes_per_task` both say how "
                f"to cut the classes: give one. Received: {num_tasks} and "
                f"{classes_per_task}"
            )
        sizes = task_sizes(count, classes_per_task, first_classes)
    elif not num_tasks or num_tasks < 1 or count % num_tasks:
        raise ValueError(
            f"Argument `num_tasks` must divide the {count} classes when "
            "neither `task_classes` nor `classes_per_task` are given. "
            f"Received: num_tasks={num_tasks}"
        )
    elif first_classes is not None:
        raise ValueError(
            "Argument `first_classes` needs `classes_per_task`. Received: "
            f"first_classes={first_classes}"
        )
    else:
        sizes = (count // num_tasks,) * num_tasks
    groups = np.split(classes, np.cumsum(sizes)[:-1])
    return [list(map(int, g)) for g in groups], list(range(len(groups)))


def listed_groups(
    class_names: Sequence[str],
    task_classes: Sequence,
    num_tasks: int | None,
    classes_per_task: int | None,
    first_classes: int | None,
    class_order: Any,
    order_seed: int | None,
) -> tuple[list[list[int]], list[int]]:
    """The same, out of `task_classes`."""
    for argument, value in (
        ("classes_per_task", classes_per_task),
        ("first_classes", first_classes),
        ("class_order", class_order),
    ):
        if value is not None:
            raise ValueError(
                f"Argument `{argument}` must be None where `task_classes` "
                f"are given. Received: {argument}={value}"
            )
    groups = [
        [
            _class_index(c, class_names, f"`task_classes`, task {i}")
            for c in group
        ]
        for i, group in enumerate(task_classes)
    ]
    for task, group in enumerate(groups):
        if not group:
            raise ValueError(
                f"Argument `task_classes`, task {task}: no class. "
                f"Received: {task_classes!r}"
            )
    places = list(range(len(groups)))
    if order_seed is not None:
        places = _drawn(order_seed, len(groups)).tolist()
    if num_tasks is not None and not 1 <= num_tasks <= len(groups):
        raise ValueError(
            f"Argument `num_tasks` must be 1..{len(groups)}, the number of "
            f"`task_classes`. Received: num_tasks={num_tasks}"
        )
    places = places[:num_tasks]
    return [groups[place] for place in places], places


def _ordered(class_names, present, class_order, order_seed):
    """The classes in their order, `(n,)` integers."""
    if class_order is None:
        if order_seed is None:
            return present
        return present[_drawn(order_seed, len(present))]
    require(
        order_seed is None,
        "order_seed",
        "must be None where `class_order` is given",
        order_seed,
    )
    if class_order == ICARL:
        require(
            len(present) == _ICARL_CLASSES,
            "class_order",
            f"names an order of {_ICARL_CLASSES} classes, not of the "
            f"{len(present)} that there are; {_ICARL_SEED} draws one of them "
            "in the same way",
            class_order,
        )
        class_order = _ICARL_SEED
    if isinstance(class_order, Sequence):
        return _named(class_order, class_names, present)
    # The generator by which published orders are drawn.
    draws = np.random.RandomState(class_order)
    return present[draws.permutation(len(present))]


def _named(class_order, class_names, present):
    found = [
        _class_index(each, class_names, "`class_order`") for each in class_order
    ]
    lost = sorted(set(found) - set(present.tolist()))
    require(
        bool(found) and len(set(found)) == len(found) and not lost,
        "class_order",
        "must list classes with images, each once; those that are not listed "
        "are left out",
        class_order,
    )
    return np.array(found)


def _drawn(seed, count):
    return randomness.generator(seed, "class order").permutation(count)


def _class_index(value, class_names, place):
    if isinstance(value, str) and value in class_names:
        return class_names.index(value)
    if not isinstance(value, str) and 0 <= value < len(class_names):
        return int(value)
    raise ValueError(
        f"Argument {place}: a class is a name of the data "
        f"set or an index 0..{len(class_names) - 1}. Received: {value!r}"
    )
