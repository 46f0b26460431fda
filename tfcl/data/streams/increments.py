"""How many classes each task brings."""


def task_sizes(
    classes: int, classes_per_task: int, first_classes: int | None = None
) -> tuple[int, ...]:
    """Sizes of the tasks into which so many classes are cut.

    The first task has `first_classes`, each further one `classes_per_task` as
    long as they last; what is left is one last, smaller task.

    Args:
        classes: Number of classes.
        classes_per_task: Classes of a task.
        first_classes: Classes of the first task; None for as many as the
            others have.

    Returns:
        Tuple of integers whose sum is `classes`.

    Raises:
        ValueError: If a number is not positive, or larger than there are
            classes.
    """
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
