"""Domains whose images are turned."""

import functools

import numpy as np
import pytest

from tests.testing import image_sets
from tfcl.data.scenario import DOMAIN, announced_to
from tfcl.data.scenarios.rotated_stream import rotated_stream
from tfcl.data.streams.dataset_stream import dataset_stream

_SETS = {
    "mnist": image_sets.MadeUpSet((6, 6, 1), 3, {"train": 12, "test": 4}),
}
_INNER = functools.partial(
    dataset_stream, ["mnist"], image_size=6, batch_size=4, channels=1
)


@pytest.fixture(autouse=True)
def made_up_data(monkeypatch):
    image_sets.replace_open_split(monkeypatch, _SETS)


def _digests(stream):
    return [task.fingerprint() for task in stream]


def _angles(stream):
    return [int(task.name.split("_")[2]) for task in stream]


def test_quarter_turns_are_exact_and_counterclockwise():
    stream = rotated_stream(_INNER, angles=[0, 90, 180.0, -90])
    assert (stream.name, stream.scenario) == ("rotated_mnist_4", DOMAIN)
    assert [task.name for task in stream] == [
        "mnist_00_0_degrees",
        "mnist_01_90_degrees",
        "mnist_02_180_degrees",
        "mnist_03_-90_degrees",
    ]
    for name, split in stream.tasks[0].splits.items():
        for turns, task in enumerate(stream.tasks[:3] + (stream.tasks[3],)):
            turned = task.splits[name]
            np.testing.assert_array_equal(
                turned.images[:],
                np.rot90(split.images[:], turns, axes=(1, 2)),
            )
            np.testing.assert_array_equal(turned.labels, split.labels)


def test_between_them_pixels_are_interpolated_and_corners_black():
    (plain, turned) = rotated_stream(_INNER, angles=[0, 45])
    before, after = plain.test.images[:], turned.test.images[:]
    assert not after[:, 0, 0].any() and before[:, 0, 0].any()
    # The middle of four pixels stays where it is.
    inner = (slice(None), slice(2, 4), slice(2, 4))
    np.testing.assert_allclose(
        after[inner].mean(axis=(1, 2)), before[inner].mean(axis=(1, 2)), atol=60
    )


def test_each_task_draws_from_its_part_of_the_range():
    heard = []
    with announced_to(lambda *told: heard.append(told)):
        stream = rotated_stream(_INNER, 6)
    assert heard == [(DOMAIN, "rotated_stream")]
    for seed in range(3):
        angles = _angles(rotated_stream(_INNER, 6, seed=seed))
        for part, angle in enumerate(angles):
            assert 30 * part <= angle <= 30 * (part + 1)
    few = _angles(rotated_stream(_INNER, 2, angle_range=(-20, -10)))
    assert -20 <= few[0] <= -15 <= few[1] <= -10
    assert _digests(stream) == _digests(rotated_stream(_INNER, 6))
    assert _digests(stream) != _digests(rotated_stream(_INNER, 6, seed=1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "`num_tasks` must be given.*num_tasks=None"),
        ({"num_tasks": 2, "angles": [1, 2]}, "`num_tasks`.*num_tasks=2"),
        ({"angles": []}, "`angles` must hold one per task"),
        ({"angles": ["left"]}, r"`angles` must be .*\['left'\]"),
        ({"num_tasks": 2, "angle_range": (9, 1)}, "`angle_range`.*in this ord"),
        ({"num_tasks": 2, "angle_range": (1,)}, "`angle_range`.*in this order"),
    ],
)
def test_arguments_out_of_range_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        rotated_stream(_INNER, **arguments)
