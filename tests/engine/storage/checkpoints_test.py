"""Damaged checkpoints are named and passed over, never fatal alone (F5)."""

import pathlib
import shutil

import pytest
import tensorflow as tf

from tests.testing import toy_run
from tfcl.engine.storage.checkpoints import CheckpointPolicy, Checkpoints
from tfcl.engine.storage.journal import Journal
from tfcl.errors import RunError


def _half(content):
    return content[: len(content) // 2]


def _flipped(content):
    middle = len(content) // 2
    return (
        content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    )


DAMAGES = {
    "cut": _half,
    "shorter by one": lambda content: content[:-1],
    "flipped": _flipped,
    "empty": lambda content: b"",
    "missing": lambda content: None,
    "zeros": lambda content: bytes(len(content)),
}

STATES = {
    "missing": lambda content: None,
    "empty": lambda content: b"",
    "text": lambda content: b"garbage\n",
    "binary": lambda content: bytes(range(256)),
    "elsewhere": lambda content: content.replace(b"ckpt-", b"ckpt-9"),
}


@pytest.fixture(scope="module", autouse=True)
def _no_figures():
    with toy_run.no_figures():
        yield


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """(`Learned`, folder of a run that was killed in its second task)."""
    folder = tmp_path_factory.mktemp("straight")
    with toy_run.Snapshots(folder / "run", folder / "copies") as copies:
        outcome = toy_run.learn(folder / "run")
    saved = [path for label, path in copies.copies if label == "after save"]
    return outcome, saved[len(saved) // 2 + 1]


@pytest.fixture
def killed(straight, tmp_path):
    """A copy of the killed run."""
    return pathlib.Path(shutil.copytree(straight[1], tmp_path / "run"))


def _newest(model_dir):
    return Checkpoints(model_dir / "checkpoints", CheckpointPolicy()).newest()


def _numbers(model_dir):
    """Numbers of the checkpoints on disk, newest first."""
    files = (model_dir / "checkpoints").glob("ckpt-*.index")
    return sorted((int(f.stem.split("-")[1]) for f in files), reverse=True)


def _damage(model_dir, number, kind, damage):
    (path,) = (model_dir / "checkpoints").glob(f"ckpt-{number}.{kind}*")
    _rewrite(path, damage)


def _rewrite(path, damage):
    content = damage(path.read_bytes())
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


@pytest.mark.parametrize("kind", ["data", "index"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_passed_over(
    killed, kind, damage, caplog
):
    newest, previous = _numbers(killed)
    _damage(killed, newest, kind, DAMAGES[damage])
    journal = _newest(killed)
    assert journal.saves == previous
    warnings = [
        record.getMessage()
        for record in caplog.records
        if f"ckpt-{newest} cannot be read" in record.getMessage()
    ]
    assert len(warnings) == 1, caplog.text


@pytest.mark.parametrize("damage", ["flipped", "missing"])
@pytest.mark.parametrize("state", [None, "missing", "text"])
def test_an_earlier_state_is_told_from_the_newest(killed, damage, state):
    checkpoints = Checkpoints(killed / "checkpoints", CheckpointPolicy())
    checkpoints.newest()
    assert checkpoints.earlier_state() is None
    newest, previous = _numbers(killed)
    for kind in ("data", "index"):
        _damage(killed, newest, kind, DAMAGES[damage])
    if state is not None:
        _rewrite(killed / "checkpoints" / "checkpoint", STATES[state])
    checkpoints = Checkpoints(killed / "checkpoints", CheckpointPolicy())
    checkpoints.newest()
    told = checkpoints.earlier_state()
    if state is not None and damage == "missing":
        return  # Nothing is left that tells of it.
    assert f"ckpt-{newest}, the newest, is damaged or gone" in told
    assert f"earlier state of ckpt-{previous}" in told


def test_a_save_cut_short_by_a_kill_is_no_lost_state(tmp_path):
    with toy_run.Snapshots(tmp_path / "run", tmp_path / "copies") as copies:
        toy_run.learn(tmp_path / "run", stream=toy_run.toy_stream((2,)))
    for label in ("half a save", "save without index", "save not noted"):
        folder = copies.last(label)[1] / "checkpoints"
        checkpoints = Checkpoints(folder, CheckpointPolicy())
        assert checkpoints.newest() is not None
        assert checkpoints.earlier_state() is None, label


def test_no_flipped_bit_passes_unseen(killed):
    newest, _ = _numbers(killed)
    (path,) = (killed / "checkpoints").glob(f"ckpt-{newest}.data*")
    content = path.read_bytes()
    for place in range(0, len(content), len(content) // 40):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        assert _newest(killed).saves < newest, place


@pytest.mark.parametrize(
    "kind, damage", [("data", "cut"), ("data", "flipped"), ("index", "empty")]
)
def test_the_run_goes_on_from_the_checkpoint_before(
    straight, killed, kind, damage
):
    newest, _ = _numbers(killed)
    _damage(killed, newest, kind, DAMAGES[damage])
    toy_run.assert_same_outcome(toy_run.learn(killed), straight[0])
    assert len(_numbers(killed)) == 2


@pytest.mark.parametrize("state", STATES)
def test_the_state_file_does_not_matter(straight, killed, state):
    _rewrite(killed / "checkpoints" / "checkpoint", STATES[state])
    toy_run.assert_same_outcome(toy_run.learn(killed), straight[0])
    assert len(_numbers(killed)) == 2


def test_a_clock_that_runs_backwards_does_not_matter(
    straight, killed, monkeypatch
):
    now = [1e9]

    def earlier():
        now[0] -= 100.0
        return now[0]

    monkeypatch.setattr("time.time", earlier)
    toy_run.assert_same_outcome(toy_run.learn(killed), straight[0])
    toy_run.assert_same_outcome(toy_run.learn(killed), straight[0])


@pytest.mark.parametrize("state", ["present", "missing"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_run_without_a_readable_checkpoint_is_refused(killed, damage, state):
    for number in _numbers(killed):
        _damage(killed, number, "data", DAMAGES[damage])
    if state == "missing":
        (killed / "checkpoints" / "checkpoint").unlink()
    with pytest.raises(RunError, match="No checkpoint in .* can be read"):
        toy_run.open_run(killed)


def test_learned_tasks_without_checkpoints_are_not_overwritten(killed):
    shutil.rmtree(killed / "checkpoints")
    bank = toy_run.bank_files(killed)
    with pytest.raises(RunError, match="task_00.*no checkpoint"):
        toy_run.open_run(killed)
    assert toy_run.bank_files(killed) == bank != {}


def test_parts_of_a_first_save_are_a_new_run(tmp_path):
    folder = tmp_path / "checkpoints"
    (folder / "ckpt-1_temp").mkdir(parents=True)
    (folder / "ckpt-1_temp" / "part-00000-of-00001.data").write_bytes(b"x")
    (folder / "ckpt-1.data-00000-of-00001").write_bytes(b"x")
    assert _newest(tmp_path) is None
    assert not (folder / "ckpt-1_temp").exists()


def test_a_checkpoint_of_another_network_is_refused(killed):
    training = toy_run.toy_training(hidden_units=(7,))
    method = toy_run.StaticTransfer(training, "01")
    with pytest.raises(RunError, match="does not fit the network"):
        toy_run.learn(killed, method)


def best_hps():
    return toy_run.StaticTransfer(
        toy_run.toy_training(epochs=6, restore_best=True), "01"
    )


ONE_TASK = toy_run.toy_stream((3,))


@pytest.fixture(scope="module")
def best(tmp_path_factory):
    """(`Learned`, `Snapshots`) of a phase with several best epochs."""
    folder = tmp_path_factory.mktemp("best")
    with toy_run.Snapshots(folder / "run", folder / "copies") as copies:
        outcome = toy_run.learn(folder / "run", best_hps(), ONE_TASK)
    return outcome, copies


def test_best_weights_of_a_checkpoint_to_fall_back_to_stay(best, tmp_path):
    wanted, copies = best
    first = _first(copies, bool)
    # The run goes on until the best weights are others, and is killed there.
    with toy_run.Snapshots(first, tmp_path / "again") as again:
        toy_run.learn(first, best_hps(), ONE_TASK)
    path = _first(again, _two_bests)
    newest, _ = _numbers(path)
    _damage(path, newest, "data", _flipped)
    found = toy_run.learn(path, best_hps(), ONE_TASK)
    toy_run.assert_same_outcome(found, wanted)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_best_weights_are_named(best, tmp_path, damage):
    killed = _first(best[1], _two_bests)
    folder = pathlib.Path(shutil.copytree(killed, tmp_path / "run"))
    (name,) = _best_notes(folder)[:1]
    _rewrite(folder / "checkpoints" / "best" / name, DAMAGES[damage])
    with pytest.raises(RunError, match=f"best weights .*{name} cannot be"):
        toy_run.learn(folder, best_hps(), ONE_TASK)


def _first(snapshots, wish):
    """A copy of between two saves whose best weights are as wished."""
    return next(
        path
        for label, path in snapshots.copies
        if label == "half a save" and wish(_best_notes(path))
    )


def _two_bests(notes):
    return len(set(notes)) == 2


def _best_notes(model_dir):
    """Files of best weights that the checkpoints on disk refer to."""
    notes = []
    for number in _numbers(model_dir):
        path = model_dir / "checkpoints" / f"ckpt-{number}"
        reader = tf.train.load_checkpoint(str(path))
        text = reader.get_tensor("journal/.ATTRIBUTES/VARIABLE_VALUE")
        position = Journal.loads(text.decode()).position
        if position and position.phase and position.phase.best:
            notes.append(position.phase.best.file)
    return notes
