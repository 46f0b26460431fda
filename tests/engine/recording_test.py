"""What is noted of a learned task."""

import types

import numpy as np
import pytest

from tests.engine.training.parts import FakeMethod
from tfcl.data.synthetic import synthetic_stream
from tfcl.engine.answers.answer_files import AnswerFiles
from tfcl.engine.measurement import Evaluation, Given
from tfcl.engine.recording import record_visit
from tfcl.engine.storage.bank import Bank
from tfcl.engine.storage.position import Peak, Position
from tfcl.errors import RunError
from tfcl.metrics.verification import Verification

_STREAM = synthetic_stream((6, 2), train_size=64)


class _Method(FakeMethod):
    def __init__(self, notes):
        super().__init__()
        self.notes = notes
        variable = types.SimpleNamespace(numpy=lambda: np.zeros(5, np.float32))
        self.shared = [types.SimpleNamespace(variable=variable, name="w")]

    def bank_values(self):
        return {"head/kernel": np.zeros((2, 3), np.float32)}

    def bank_notes(self):
        return self.notes

    def metric_labels(self):
        return {"posterior": ["0", "1"]}


class _Evaluator:
    def __init__(self, bank, verification=None):
        self.bank = bank
        self.verification = verification

    def activated(self, task, visit):
        return f"digest of {task.name} after visit {visit}"

    def answers(self, task):
        count = len(task.test)
        return Given(
            np.zeros(count, np.int32),
            np.ones(count, np.float32),
            np.ones(count, np.float32),
        )

    def measured_with(self, task, visit):
        return self.activated(task, visit)

    def evaluations(self, stream, visit):
        return {
            task.index: Evaluation(0.5, 0.25, 0.0, 0.75, None, found)
            for (task, _), found in zip(
                stream.learned_versions(visit), [None, self.verification]
            )
        }


def _recorded(folder, notes, verification=None):
    visit = _STREAM.visits[1]
    position = Position(
        visit=1,
        task=1,
        fingerprint="f",
        results=[{"validation/accuracy": 0.5}, {"value": 1}],
        histories={"00_fit": [{"train/loss": 1.0}, {"train/loss": 0.5}]},
        steps=8,
        epochs=2,
        seconds=1.5,
        peak=Peak(1, 0.5, 0.25),
    )
    bank = Bank(folder)
    record = record_visit(
        visit,
        position,
        _STREAM,
        _Method(notes),
        bank,
        _Evaluator(bank, verification),
    )
    return record, bank


def test_the_record_tells_of_task_training_bank_and_all_tasks(tmp_path):
    record, bank = _recorded(tmp_path / "tasks", {"width": 2})
    task = _STREAM.tasks[1]
    assert (record.index, record.visit, record.name) == (1, 1, task.name)
    assert record.fingerprint == "f"
    assert record.class_names == list(task.class_names)
    assert record.sizes == {
        "train": len(task.train),
        "validation": len(task.validation),
        "test": len(task.test),
    }
    assert (record.epochs, record.steps, record.seconds) == (2, 8, 1.5)
    assert record.peak == Peak(1, 0.5, 0.25)
    assert record.labels == {
        "prior": ["0", "1"],
        "train/posterior": ["0", "1"],
    }
    assert record.footprint == {
        "task_parameters": 6,
        "task_bytes": 24,
        "shared_parameters": 5,
        "shared_bytes": 20,
    }
    assert (record.row, record.losses) == ([0.25, 0.25], [0.5, 0.5])
    assert record.split_digests["test"] == task.test.digest()
    assert record.read_digests == [
        f"digest of {each.name} after visit {number}"
        for number, each in enumerate(_STREAM)
    ]
    # Of two classes, five answers are all.
    assert record.top5 == [0.75, None]
    assert record.to_json().keys() & {"verification"} == set()
    curves = bank.history(1, task.name)
    np.testing.assert_array_equal(curves["train/loss"], [1.0, 0.5])
    kept = AnswerFiles.beside(bank).read(1, task.name, "learned")
    assert kept.digest == f"digest of {task.name} after visit 1"
    assert kept.visits == 2
    np.testing.assert_array_equal(kept.answers.labels, task.test.labels)
    assert not kept.answers.given.any()


def test_a_method_may_know_the_validation_accuracy_better(tmp_path):
    plain, _ = _recorded(tmp_path / "1" / "tasks", {"width": 2})
    assert (plain.validation_accuracy, plain.notes) == (0.5, {"width": 2})
    noted, _ = _recorded(
        tmp_path / "2" / "tasks", {"validation_accuracy": 0.875}
    )
    assert (noted.validation_accuracy, noted.notes) == (0.875, {})


def test_pairs_are_noted_fold_by_fold(tmp_path):
    rates = np.zeros(3)
    folds = Verification(np.array([0.5, 1.0]), 0.75, 0.25, rates, rates)
    record, _ = _recorded(tmp_path / "tasks", {}, folds)
    found = record.to_json()["verification"]
    assert found == {"folds": [0.5, 1.0], "std": 0.25}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_not_kept(bad, tmp_path):
    wanted = "'task_01' is trained.*method would keep.*: fisher. The network"
    with pytest.raises(RunError, match=wanted):
        _recorded(tmp_path / "tasks", {"width": 2, "fisher": [{"a": bad}]})
    assert not list(tmp_path.glob("tasks/*/task.json"))
