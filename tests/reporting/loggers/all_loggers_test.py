"""Loggers of a run: one id for all its starts, and no failure ends it."""

import re

import pytest
from absl import logging

from tests.testing.recorded import Recorder
from tfcl.errors import RunError, UserError
from tfcl.files import read_json
from tfcl.reporting.loggers.all_loggers import Loggers
from tfcl.reporting.loggers.run_logger import RunLogger


@pytest.fixture(name="warnings")
def _warnings(monkeypatch):
    """Lines of the log."""
    said = []
    monkeypatch.setattr(
        logging, "warning", lambda text, *args: said.append(text % args)
    )
    return said


def _run(folder, logger=None, **settings):
    """The `LoggedRun` that a logger is told of."""
    logger = logger or Recorder()
    Loggers([logger]).begin(folder, settings)
    return logger.runs[-1]


def test_a_run_keeps_its_id_and_another_has_another(tmp_path):
    first = _run(tmp_path / "a")
    assert re.fullmatch("[0-9a-f]{32}", first.id)
    assert (first.name, first.folder) == ("a", tmp_path / "a")
    assert _run(tmp_path / "a") == first
    assert _run(tmp_path / "b").id != first.id
    kept = read_json(tmp_path / "a" / "loggers.json")
    assert kept == {"run": first.id, "ended": False}


def test_a_run_that_was_killed_is_known_by_that_it_did_not_end(tmp_path):
    def begun():
        loggers = Loggers([Recorder()])
        return loggers, loggers.begin(tmp_path, {})

    loggers, killed = begun()
    assert not killed
    loggers.close(False)
    _, killed = begun()
    assert not killed
    _, killed = begun()
    assert killed
    assert not Loggers(()).begin(tmp_path, {})


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b"{}", b'{"run": 3}', b'{"run": "\' or 1"}', b"\xff"],
)
def test_a_damaged_id_is_replaced(tmp_path, content, warnings):
    path = tmp_path / "loggers.json"
    path.write_bytes(content)
    found = _run(tmp_path)
    assert read_json(path) == {"run": found.id, "ended": False}
    assert warnings == [f"{path} is damaged: loggers begin a new run."]


def test_an_id_that_cannot_be_written_names_the_file(tmp_path):
    (tmp_path / "run").write_text("no folder")
    with pytest.raises(RunError, match="Cannot write .*run/loggers.json"):
        _run(tmp_path / "run")


def test_settings_are_numbers_where_they_can_be(tmp_path):
    found = _run(
        tmp_path,
        epochs="30",
        rate="2e-3",
        on="True",
        name="'first'",
        method="@EWC()",
        units="(32,)",
        seed=1.0,
    )
    assert found.settings == {
        "epochs": 30,
        "rate": 2e-3,
        "on": True,
        "name": "first",
        "method": "@EWC()",
        "units": "(32,)",
        "seed": 1.0,
    }


@pytest.mark.parametrize("name", ["begin", "scalars", "image", "close"])
def test_one_that_fails_warns_once_and_the_others_go_on(
    tmp_path, name, warnings
):
    failing, other = Recorder(fails_at=name), Recorder()
    loggers = Loggers([failing, other])
    loggers.begin(tmp_path, {})
    for step in (1, 2):
        loggers.scalars({"a": 0.5}, step)
        loggers.image("b", b"png", step)
    loggers.close(True)
    loggers.close(False)
    assert warnings == [
        "Recorder has failed (ConnectionError: no way). It is told no more by "
        "this start of the run, which goes on."
    ]
    assert failing.asked.count(name) == 1 and failing.asked[-1] == name
    assert other.points() == {
        "a": [(1, 0.5), (2, 0.5)],
        "b": [(1, b"png"), (2, b"png")],
    }
    assert other.ends == [True]


def test_no_loggers_leave_no_file(tmp_path):
    loggers = Loggers(())
    loggers.begin(tmp_path, {})
    loggers.scalars({"a": 1.0}, 1)
    loggers.close(True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [Recorder, "wandb", None])
def test_what_is_no_logger_is_refused(wrong):
    with pytest.raises(UserError, match=r"with parentheses.*loggers=\("):
        Loggers([wrong])


def test_the_base_does_nothing(tmp_path):
    class Own(RunLogger):
        pass

    loggers = Loggers([Own()])
    loggers.begin(tmp_path, {})
    loggers.scalars({"a": 1.0}, 1)
    loggers.image("b", b"png", 1)
    loggers.close(False)
