"""Files of best weights: their names, and when they may go."""

import numpy as np
import pytest

from tfcl.engine.storage.best_weights import BestWeights
from tfcl.engine.storage.journal import Journal
from tfcl.engine.storage.position import Position
from tfcl.errors import RunError


def _begun(results=()):
    position = Position(0, 0, "", results=list(results))
    position.begin_phase()
    return Journal(position=position)


def _saved(best, journal, epoch):
    values = {"a": np.full(2, float(epoch))}
    note = best.save(journal, values, epoch, 0.5, 0.25)
    journal.position.phase.best = note
    return note


def test_weights_come_back_by_their_note(tmp_path):
    best = BestWeights(tmp_path, keep=2)
    note = _saved(best, _begun(), 3)
    assert (note.epoch, note.validation_accuracy, note.value) == (3, 0.5, 0.25)
    np.testing.assert_array_equal(best.load(note)["a"], [3.0, 3.0])
    assert best.load(None) is None
    (tmp_path / note.file).write_bytes(b"damaged")
    with pytest.raises(RunError, match="its checksum differs"):
        best.load(note)


def test_phases_at_the_same_step_keep_files_of_their_own(tmp_path):
    best = BestWeights(tmp_path, keep=2)
    names = {
        _saved(best, _begun(results), epoch).file
        for results in ([], [{}])
        for epoch in (0, 1)
    }
    assert len(names) == 4


def test_a_file_goes_when_no_kept_checkpoint_refers_to_it(tmp_path):
    best, journal = BestWeights(tmp_path, keep=2), _begun()
    kept = []
    for epoch in (1, 2, 3):
        _saved(best, journal, epoch)
        best.collect(journal)  # As after a checkpoint.
        kept.append(len(list(tmp_path.iterdir())))
    assert kept == [1, 2, 2]
    journal.position.end_phase("fit", {})
    best.collect(journal)
    # The checkpoint inside the phase is still one of the two.
    assert [path.name for path in tmp_path.iterdir()] == [
        "visit_000_phase_00_epoch_3_step_0.npz"
    ]
    journal.position = None
    best.collect(journal)
    assert not list(tmp_path.iterdir())


def test_a_resumed_process_keeps_what_older_checkpoints_may_need(tmp_path):
    journal = _begun()
    _saved(BestWeights(tmp_path, keep=2), journal, 1)
    best = BestWeights(tmp_path, keep=2)
    journal.position.phase.best = None
    best.collect(journal)
    assert len(list(tmp_path.iterdir())) == 1
    best.collect(journal)
    assert not list(tmp_path.iterdir())


def test_workers_that_do_not_write_leave_the_folder_alone(tmp_path):
    best = BestWeights(tmp_path / "best", keep=2, writes=False)
    journal = _begun()
    assert _saved(best, journal, 1).file
    best.collect(journal)
    assert not (tmp_path / "best").exists()
