"""Errors name the argument, what it may be, and what was received."""

import pytest

from tfcl.data.arguments import check_batch_size, check_choice, check_pixels


def test_a_choice_is_one_of_those_known():
    check_choice("order", "ci", ("ci", "cdi"))
    with pytest.raises(ValueError) as caught:
        check_choice("order", "cc", ("ci", 3), "the published ", "; or none")
    assert str(caught.value) == (
        "Argument `order` must be one of the published ci, 3; or none. "
        "Received: order='cc'"
    )


def test_pixels_are_not_negative():
    check_pixels("shift", 0)
    with pytest.raises(ValueError, match="`shift`.*pixels.*shift=-1"):
        check_pixels("shift", -1)


@pytest.mark.parametrize("wrong", [0, -3, 2.0, "8", True, None])
def test_a_batch_has_a_whole_number_of_examples(wrong):
    check_batch_size(1)
    with pytest.raises(ValueError, match=f"`batch_size`.*{wrong!r}"):
        check_batch_size(wrong)
