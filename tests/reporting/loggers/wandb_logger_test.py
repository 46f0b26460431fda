"""Weights & Biases without a network: what it has written is read back."""

import io
import json
import struct

import matplotlib.figure
import pytest

from tfcl.reporting import drawing
from tfcl.reporting.loggers.all_loggers import Loggers
from tfcl.reporting.loggers.wandb_logger import WandbLogger

wandb = pytest.importorskip(
    "wandb", reason="needs wandb: pip install 'tfcl[wandb]'"
)
_BLOCK, _HEADER = 2**15, struct.Struct("<IHB")
_WHOLE, _LAST = 1, 4  # Kinds of pieces.


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.delenv("WANDB_DIR", raising=False)


def _records(path):
    """What W&B has written, in LevelDB's form of a log."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, pieces = path.read_bytes(), 7, []
    while place + _HEADER.size <= len(content):
        rest = _BLOCK - place % _BLOCK
        if rest < _HEADER.size:
            place += rest
            continue
        _, length, kind = _HEADER.unpack_from(content, place)
        place += _HEADER.size
        pieces.append(content[place : place + length])
        place += length
        if kind in (_WHOLE, _LAST):
            yield Record.FromString(b"".join(pieces))
            pieces = []


def _files(folder):
    return sorted((folder / "wandb").glob("offline-run-*/*.wandb"))


def _named(items):
    """`{name: value}` of what W&B writes as JSON, by name or path."""
    return {
        item.key or "/".join(item.nested_key): json.loads(item.value_json)
        for item in items
    }


def _rows(path):
    return [
        _named(each.history.item)
        for each in _records(path)
        if each.HasField("history")
    ]


def test_points_and_settings_are_read_back(tmp_path):
    loggers = Loggers([WandbLogger(project="shop")])
    loggers.begin(tmp_path / "mine", {"epochs": "3", "method": "EWC"})
    # A step that goes back is that of a run that was killed.
    for step in (4, 8, 4):
        loggers.scalars({"train/a b/loss": 1 / step, "run/x": 2.0}, step)
    png = drawing.png_bytes(matplotlib.figure.Figure(), small=False)
    loggers.image("accuracy_matrix", png, 8)
    loggers.close(True)
    (path,) = _files(tmp_path / "mine")
    *points, image = _rows(path)
    assert [each["global_step"] for each in points] == [4, 8, 4]
    assert [each["train/a b/loss"] for each in points] == [0.25, 0.125, 0.25]
    assert image["global_step"] == 8
    drawn = path.parent / "files" / image["accuracy_matrix/path"]
    assert drawn.read_bytes().startswith(b"\x89PNG")
    records = list(_records(path))
    (run,) = [each.run for each in records if each.HasField("run")]
    assert (run.project, run.display_name) == ("shop", "mine")
    settings = _named(run.config.update)
    assert (settings["epochs"], settings["method"]) == (3, "EWC")
    axes = [each.metric for each in records if each.HasField("metric")]
    assert ("*", "global_step") in [(m.glob_name, m.step_metric) for m in axes]
    ends = [each.exit for each in records if each.HasField("exit")]
    assert [each.exit_code for each in ends] == [0]


def test_a_run_that_goes_on_is_the_same_run(tmp_path):
    logger = WandbLogger(mode="offline")
    for step, finished in ((4, False), (8, True)):
        loggers = Loggers([logger])
        loggers.begin(tmp_path, {})
        loggers.scalars({"loss": 1.0}, step)
        loggers.close(finished)
    runs = {
        each.run.run_id
        for path in _files(tmp_path)
        for each in _records(path)
        if each.HasField("run")
    }
    kept = json.loads((tmp_path / "loggers.json").read_text())
    assert runs == {kept["run"]}
    steps = {
        row["global_step"] for path in _files(tmp_path) for row in _rows(path)
    }
    assert steps == {4, 8}


def test_the_run_of_a_program_goes_on(tmp_path):
    own = wandb.init(project="own", dir=str(tmp_path))
    loggers = Loggers([WandbLogger()])
    loggers.begin(tmp_path / "mine", {})
    loggers.close(True)
    assert wandb.run is own
    own.log({"still": 1.0})
    own.finish()


def test_it_prints_beside_the_run_and_takes_no_terminal(tmp_path, monkeypatch):
    # W&B would write all that is printed into its files.
    kept = io.StringIO()
    monkeypatch.setattr("sys.stdout", kept)
    loggers = Loggers([WandbLogger()])
    loggers.begin(tmp_path, {})
    print("a line")
    loggers.close(True)
    assert "a line" in kept.getvalue()
    (path,) = _files(tmp_path)
    assert not [e for e in _records(path) if e.HasField("output_raw")]


def test_a_mode_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="'online', 'offline' or 'disabled'"):
        WandbLogger(mode="dryrun")
