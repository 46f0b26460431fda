"""What derives from the journal is written again when it is damaged."""

import pathlib
import shutil
import subprocess
from unittest import mock

import pytest

from tests.testing import toy_run
from tfcl.engine.serving import written_again
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.engine.storage.checkpoints import newest_journal
from tfcl.engine.storage.lock import DirectoryLock
from tfcl.errors import RunError, UserError
from tfcl.files import read_json, write_json
from tfcl.reporting import checksums, comparison, results

_STREAM = toy_run.toy_stream((2, 3))
_FILES = (
    "results.json",
    "metrics.json",
    "accuracy_matrix.csv",
    "acc.csv",
    "loss.csv",
    "metrics_latest.json",
)


@pytest.fixture(scope="module", autouse=True)
def _no_figures():
    with toy_run.no_figures(), mock.patch("time.sleep"):
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two tasks."""
    return toy_run.learn(tmp_path_factory.mktemp("finished"), stream=_STREAM)


@pytest.fixture
def folder(finished, tmp_path):
    """A copy of the run."""
    source = finished.run.model_dir
    return pathlib.Path(shutil.copytree(source, tmp_path / "run"))


def _damage(path, how):
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(content[:-20])
    else:
        # A digit of a number becomes another one.
        at = next(k for k, c in enumerate(content) if 49 <= c <= 56)
        path.write_bytes(content[:at] + b"9" + content[at + 1 :])


def _start(folder):
    toy_run.learn(folder, stream=_STREAM)


def _evaluate(folder):
    run = toy_run.open_run(folder, stream=_STREAM)
    try:
        found, recorded = run.measure_again()
    finally:
        run.close()
    assert found == recorded


def _compare(folder):
    written_again.mend_results(folder)
    comparison.read_runs([folder])


_HOWS = ("digit", "cut", "gone")
_CASES = [(_compare, file, how) for file in _FILES for how in _HOWS]
# Each start takes a second.
_CASES += [
    (_start, "results.json", "digit"),
    (_start, "accuracy_matrix.csv", "gone"),
    (_evaluate, "results.json", "gone"),
    (_evaluate, "accuracy_matrix.csv", "digit"),
]


@pytest.mark.parametrize("command, file, how", _CASES)
def test_damaged_results_are_noticed_and_written_again(
    folder, caplog, command, file, how
):
    wanted = (folder / file).read_bytes()
    _damage(folder / file, how)
    with caplog.at_level("WARNING", logger="absl"):
        command(folder)
    said = [r.message for r in caplog.records if file in r.message]
    assert len(said) == 1 and "written again from the journal" in said[0]
    if command is not _start:  # A start notes its own time and command.
        assert (folder / file).read_bytes() == wanted
    assert not checksums.faults(folder)
    assert read_json(folder / "results.json")["accuracy_matrix"]


def test_whole_results_are_left_alone_and_nothing_is_said(folder, caplog):
    times = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    _compare(folder)
    _evaluate(folder)
    for path, time in times.items():
        if path.name not in ("run", ".lock"):
            assert path.stat().st_mtime_ns == time, path
    assert "written again" not in caplog.text


def test_damaged_results_are_no_row_of_a_comparison(folder):
    _damage(folder / "results.json", "digit")
    with pytest.raises(UserError, match="are damaged: results.json differs"):
        results.read(folder)
    # Nor where nothing is left to write them again from.
    shutil.rmtree(folder / "checkpoints")
    written_again.mend_results(folder)
    with pytest.raises(UserError, match="are damaged: results.json differs"):
        comparison.read_runs([folder])


def test_a_lost_file_of_checksums_is_written_again(folder):
    _damage(folder / "results.json", "digit")
    (folder / checksums.NAME).unlink()
    _compare(folder)
    assert not checksums.faults(folder)
    assert (folder / checksums.NAME).exists()


def test_results_of_a_run_in_use_are_not_touched(folder):
    _damage(folder / "results.json", "digit")
    lock = DirectoryLock(folder)
    with pytest.raises(UserError, match="in use"):
        written_again.mend_results(folder)
    lock.release()


def test_the_checksums_are_those_of_sha256sum(folder):
    subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", checksums.NAME],
        cwd=folder,
        check=True,
    )


@pytest.mark.parametrize("how", ["digit", "gone"])
def test_a_damaged_spec_does_not_serve(folder, caplog, how):
    """The journal has a copy; a run of an older version is refused."""
    path = folder / "spec.json"
    wanted = path.read_bytes()
    _damage(path, how)
    served = LearnedTasks(folder, toy_run.toy_hps())
    assert served.method.spec == _STREAM().spec()
    assert f"{path} is not as the run wrote it" in caplog.text
    _start(folder)
    assert path.read_bytes() == wanted


def test_a_spec_of_an_older_run_must_fit_the_learned_tasks(folder, monkeypatch):
    journal = newest_journal(folder)
    journal.spec = None
    monkeypatch.setattr(
        "tfcl.engine.serving.learned.Checkpoints.newest",
        lambda checkpoints: journal,
    )
    path = folder / "spec.json"
    spec = read_json(path)
    spec["class_names"][1][0] = "another"
    write_json(path, spec)
    with pytest.raises(RunError, match="'task_01' has other classes"):
        LearnedTasks(folder, toy_run.toy_hps())
    path.write_text("{")
    with pytest.raises(RunError, match="spec.json cannot be read"):
        LearnedTasks(folder, toy_run.toy_hps())
