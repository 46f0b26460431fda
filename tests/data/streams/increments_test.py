"""How classes are cut into tasks."""

import pytest

from tfcl.data.streams.increments import task_sizes


@pytest.mark.parametrize(
    "arguments, wanted",
    [
        ((100, 10), (10,) * 10),
        ((196, 20), (20,) * 9 + (16,)),
        ((100, 10, 50), (50,) + (10,) * 5),
        ((7, 3, 7), (7,)),
        ((7, 7), (7,)),
        ((10, None, None, 5), (2,) * 5),
        ((10, None, None, 4), (3, 3, 3, 1)),
        ((10, None, 4, 4), (4, 2, 2, 2)),
        ((10, None, 10, 1), (10,)),
    ],
)
def test_increments_follow_as_long_as_classes_last(arguments, wanted):
    assert task_sizes(*arguments) == wanted


def test_increments_that_do_not_fit_are_refused():
    for arguments, name in (
        ((10, 0), "classes_per_task"),
        ((10, 11), "classes_per_task"),
        ((10, 2.5), "classes_per_task"),
        ((10, 2, 0), "first_classes"),
        ((10, 2, 11), "first_classes"),
    ):
        with pytest.raises(ValueError, match=f"`{name}`.*10 classes.*Received"):
            task_sizes(*arguments)
