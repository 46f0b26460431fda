"""Streams of points by the user's own numbers."""

import numpy as np
import pytest

from tfcl.data.streams.point_stream import Modes, Moons, drawn_point_stream
from tfcl.data_builders import point_streams
from tfcl.data_builders.modes.modes_dataset_builder import (
    Builder as ModesBuilder,
)
from tfcl.data_builders.moons.moons_dataset_builder import (
    Builder as MoonsBuilder,
)


@pytest.mark.parametrize("order", point_streams.ORDERS)
@pytest.mark.parametrize(
    "shape, builder", [(Modes, ModesBuilder), (Moons, MoonsBuilder)]
)
def test_the_defaults_draw_the_published_streams(shape, builder, order):
    task = drawn_point_stream(shape(), order).tasks[0]
    drawn = builder.drawn(None)
    for split in ("train", "validation", "test"):
        wanted = point_streams.stream(*drawn, order, split)
        found = getattr(task, split)
        np.testing.assert_array_equal(
            found.images[:, 0, 0], wanted.points.astype(np.float32)
        )
        np.testing.assert_array_equal(found.labels, wanted.labels)
        np.testing.assert_array_equal(found.groups, wanted.distributions)


def test_points_follow_the_users_numbers():
    shape = Modes(
        points=480,
        class_ratio=[0.5, 0.25, 0.25],
        centres=[[(0, 0), (9, 9), (0, 9)], [(4, 4), (4, 9), (9, 0)]],
        deviations=[[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
        seeds=[[1, 2, 3], [4, 5, 6]],
    )
    task = drawn_point_stream(shape, "cdi", batch_size=5).tasks[0]
    assert task.class_names == ("0", "1", "2")
    assert np.bincount(task.train.groups).tolist() == [60, 30, 30] * 2
    assert task.domains == (0, 0, 0, 1, 1, 1)
    # Scaled from [0, 9] to [-1, 1]; without deviation all lie at the centre.
    places = {(0, 0): -1, (1, 0): 1, (0, 1): 4 / 9 * 2 - 1}
    for (label, domain), first in places.items():
        chosen = task.train.labels == label
        chosen &= (task.train.groups >= 3) == domain
        np.testing.assert_allclose(
            task.train.images[chosen][:, 0, 0, 0], first, atol=1e-6
        )


def test_moons_take_a_pair_of_classes_per_drawing():
    shape = Moons(
        points=80,
        class_ratio=(0.5, 0.5),
        offsets=[[(0, 0)]],
        deviations=[[0.0]],
        seeds=[[0]],
    )
    points, labels, domains = shape.drawn()
    outer = points[labels == 0]
    np.testing.assert_allclose(np.hypot(*outer.T), 1.0)
    np.testing.assert_allclose(
        np.hypot(*(points[labels == 1] - (1, 0.5)).T), 1.0
    )
    assert len(outer) == 40 and not domains.any()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Modes(class_ratio=(0.5, 0.4, 0.1, 0.1)), "must sum to 1"),
        (lambda: Modes(points=300), "must be a multiple of 4; these are 30,"),
        (lambda: Modes(class_ratio=(0.5, 0.5)), "`centres`.*with 2 entries"),
        (lambda: Modes(seeds=[[1, 2, 3, 4]]), "`seeds`.*each of 2 domains"),
        (lambda: Moons(class_ratio=(1.0,)), "an even number of entries"),
        (lambda: Moons(deviations=[[0.1], [0.1]]), "`deviations`.*2 entries"),
        (lambda: Modes(deviations=[[-1.0] * 4] * 2), "`deviations`.*at least"),
        (
            lambda: drawn_point_stream(Modes(), "dci"),
            "`order` must be 'iid'",
        ),
        (lambda: drawn_point_stream(Modes(), "ci", 7), "must divide every"),
    ],
)
def test_what_breaks_a_rule_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
