"""How many classes each task brings."""

import math


def task_sizes(
    classes: int,
    classes_per_task: int | None,
    first_classes: int | None = None,
    num_tasks: int = 1,
) -> tuple[int, ...]:
    """Sizes of the tasks into which so many classes are cut.

    The first task has `first_classes`, each further one `classes_per_task` as
    long as they last; what is left is one last, smaller task.

    Args:
        classes: Number of classes.
        classes_per_task: Classes of a task; None for as few as are needed for
            `num_tasks`.
        first_classes: Classes of the first task; None for as many as the
            others have.
        num_tasks: Number of tasks, for `classes_per_task` None.

    Returns:
        Tuple of integers whose sum is `classes`.

    Raises:
        ValueError: If a number is not positive, or larger than there are
            classes.
    """
    if classes_per_task is None:
        rest, others = classes - (first_classes or 0), num_tasks
        if first_classes is not None:
            others = max(1, num_tasks - 1)
        classes_per_task = max(1, math.ceil(rest / others))
    first = classes_per_task if first_classes is None else first_classes
    for name, value in (
        ("classes_per_task", classes_per_task),
        ("first_classes", first),
    ):
        if int(value) != value or not 1 <= value <= classes:
            raise ValueError(
                f"Argument `{name}` must be a whole number from 1 to the "
                f"{classes} classes. Received: {name}={value!r}"
            )
    whole, left = divmod(classes - int(first), int(classes_per_task))
    sizes = (int(first), *[int(classes_per_task)] * whole)
    return (*sizes, left) if left else sizes
