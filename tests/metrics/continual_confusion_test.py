"""Metrics of the online program, worked by hand."""

import pytest

from tfcl.metrics.continual_confusion import summarise

_R = [[0.8, 0.2, 0.1], [0.9, 0.6, 0.4], [0.5, 0.7, 0.3]]


def test_of_three_distributions():
    assert summarise(_R) == pytest.approx(
        {
            "average_accuracy": 0.5,
            # The best so far: 0.9 and 0.6, the second one now better.
            "average_forgetting": (0.4 - 0.1) / 2,
            # 0.9 - 0.8, 0.5 - 0.8, 0.7 - 0.6: below 0.
            "backward_transfer": 0.0,
            "forward_transfer": (0.2 + 0.1 + 0.4) / 3,
        }
    )


def test_what_improves_is_counted():
    better = [[0.2, 0.0], [0.8, 0.5]]
    assert summarise(better)["backward_transfer"] == pytest.approx(0.6)


def test_a_single_distribution_has_nothing_to_forget():
    assert summarise([[0.7]]) == {
        "average_accuracy": 0.7,
        "average_forgetting": 0.0,
        "backward_transfer": 0.0,
        "forward_transfer": 0.0,
    }


@pytest.mark.parametrize(
    "wrong", [[], [[0.1, 0.2]], [[0.1, float("nan")], [0.1, 0.2]], [0.5]]
)
def test_missing_entries_are_refused(wrong):
    with pytest.raises(ValueError, match="`R` must be square.*Received"):
        summarise(wrong)
