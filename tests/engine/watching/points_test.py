"""Points that loggers and TensorBoard's files are told."""

import math
import time

import pytest
from matplotlib.figure import Figure

from tests.testing.recorded import Recorder
from tfcl.engine.watching.points import Points
from tfcl.reporting.loggers.all_loggers import Loggers
from tfcl.reporting.summaries import Summaries


@pytest.fixture(name="opened")
def _opened(tmp_path):
    """Function of a global step to `Points`, their files and what is told."""

    def opened(step):
        recorder = Recorder()
        loggers = Loggers([recorder])
        loggers.begin(tmp_path, {})
        summaries = Summaries(tmp_path / "tensorboard", step)
        return Points(summaries, loggers), summaries, recorder

    return opened


def test_tags_have_their_prefix_and_nan_is_left_out(opened):
    points, _, recorder = opened(0)
    points.scalars("train", {"loss": 1, "accuracy": math.nan}, 3)
    points.scalars("train", {"accuracy": math.nan}, 4)
    assert recorder.points() == {"train/loss": [(3, 1.0)]}
    assert recorder.asked.count("scalars") == 1


def test_what_is_on_disk_is_not_told_again(opened):
    points, summaries, recorder = opened(0)
    for step in (1, 2):
        points.scalars("train", {"loss": 1.0 / step}, step)
        points.image("figure", Figure(), step)
    summaries.close()
    assert len(recorder.told) == 4
    # The checkpoint is of the first step: the second is done once more.
    points, summaries, recorder = opened(1)
    for step in (1, 2):
        points.scalars("train", {"loss": 1.0 / step}, step)
        points.image("figure", Figure(), step)
    summaries.close()
    told = recorder.points()
    assert told.keys() == {"train/loss", "figure"}
    assert told["train/loss"] == [(2, 0.5)]
    ((step, png),) = told["figure"]
    assert step == 2 and png.startswith(b"\x89PNG")


def test_after_a_kill_the_last_points_are_told_again(opened, monkeypatch):
    points, summaries, before = opened(0)
    for second in (0, 100, 125):
        monkeypatch.setattr(time, "time", lambda now=second: 1e9 + now)
        points.scalars("train", {"loss": 0.5}, second)
        points.image("figure", Figure(), second)
    summaries.text("notes", "no point", 125)
    summaries.close()
    points, _, after = opened(125)
    points.tell_newest_again()
    assert after.points() == {
        tag: told[1:] for tag, told in before.points().items()
    }
    points, _, after = opened(100)  # The checkpoint is older than the kill.
    points.tell_newest_again()
    assert after.points()["train/loss"] == [(100, 0.5)]
