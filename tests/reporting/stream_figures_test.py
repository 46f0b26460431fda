"""Figures of points, out of arrays."""

import types

import numpy as np
import pytest

from tfcl.reporting.stream_figures import SplitPoints, stream_figures

_POINTS = np.array([[0.0, 0.5], [0.5, -0.5], [-0.5, 0.0]])


def _split(*numbers):
    return SplitPoints(_POINTS, {"class": np.array(numbers)})


def test_points_are_drawn_by_kind_and_split():
    points = {"train": _split(0, 1, 2), "test": _split(0, 0, 1)}
    axes = stream_figures([], {}, points=points)["data"].axes
    assert [each.get_title() for each in axes] == [
        "train, class",
        "test, class",
    ]
    # A colour for each class.
    assert [len(each.collections) for each in axes] == [3, 2]
    assert stream_figures([], {}) == {}


def test_maps_are_drawn_under_their_names():
    point_map = types.SimpleNamespace(
        name="regions",
        title="After",
        points=_POINTS,
        labels=np.array([0, 1, 1]),
        regions=np.array([[0, 1], [1, 1]]),
        keys=_POINTS[:1],
    )
    (axes,) = stream_figures([point_map], {})["regions"].axes
    assert axes.get_title() == "After"


@pytest.mark.parametrize("groups, drawn", [(1, False), (2, True)])
def test_forgetting_is_drawn_where_there_are_distributions(groups, drawn):
    """From the history, or else from what the phases measured."""
    accuracies = np.full((3, groups), 0.5)
    by_history = stream_figures([], {"test/accuracies": accuracies})
    results = [{"test/accuracies": row} for row in accuracies.tolist()]
    by_phases = stream_figures([], {}, [{"epochs": 1}, *results])
    wanted = {"forgetting_test"} if drawn else set()
    assert by_history.keys() == by_phases.keys() == wanted
