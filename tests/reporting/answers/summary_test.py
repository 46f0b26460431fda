"""What results.json tells of answers, worked by hand."""

import dataclasses

import numpy as np
import pytest

from tests.reporting.answers import told
from tfcl.reporting.answers.answers import VisitAnswers
from tfcl.reporting.answers.summary import (
    average_chance,
    chance_matrix,
    summary,
    with_answers,
)
from tfcl.reporting.run_facts import LearnedSoFar, RunFacts


def test_accuracies_by_class_and_calibration():
    found = summary(told.visit_answers(), told.NAMES)
    assert found["support"] == [3, 2, 1]
    first, last = found["learned"], found["end"]
    assert (first["right"], last["right"]) == ([1, 2, 0], [0, 2, 0])
    assert (first["accuracy"], last["accuracy"]) == (3 / 6, 2 / 6)
    assert (first["visits"], last["visits"]) == (1, 3)
    assert first["mean_confidence"] == 4.375 / 6
    # One bin of all answers: a third is right, all are sure to 0.75.
    error = last["expected_calibration_error"]
    assert error == pytest.approx(0.75 - 2 / 6)
    bins = last["bins"]
    assert (bins["examples"][11], bins["right"][11]) == (6, 2)
    assert bins["confidence"][11] == 0.75 and sum(bins["examples"]) == 6
    # 0.5: both right; 0.75: none of two; 0.875: wrong; 1: right.
    wanted = (2 * 0.5 + 2 * 0.75 + 0.875 + 0) / 6
    assert first["expected_calibration_error"] == pytest.approx(wanted)


def test_what_is_not_known_is_none():
    assert summary(VisitAnswers(), told.NAMES) == {}
    assert summary(told.same_answers(), told.NAMES)["end"] == "learned"
    going_on = summary(VisitAnswers(told.learned()), told.NAMES)
    assert going_on["end"] is None and going_on["learned"]["visits"] == 1
    only_now = summary(VisitAnswers(None, told.forgotten()), told.NAMES)
    assert only_now["learned"] is None and only_now["support"] == [3, 2, 1]


_FACTS = RunFacts(
    method="m",
    stream="s",
    seed=0,
    command="",
    distribution="none",
    replicas=1,
    task_names=("a", "b", "c"),
    test_sizes=(6, 6, 6),
    order=(0, 1, 2),
    own_classes=(3, 4, 2),
)


def _found(facts, names, **changes):
    records = [
        {"index": k, "visit": k, "name": "abc"[k], "class_names": each}
        for k, each in enumerate(names)
    ]
    empty = np.zeros((0, 3))
    learned = LearnedSoFar(
        visits=records,
        histories=[],
        accuracy_matrix=empty,
        loss_matrix=empty,
        top5_matrix=empty,
        seconds=0.0,
        global_step=0,
        skipped_steps=0,
        bindings={},
    )
    learned = dataclasses.replace(learned, **changes)
    return with_answers(records, facts, learned)


def test_chance_is_one_over_the_classes_to_choose_from():
    names = [("x",) * 3, ("x",) * 4]
    assert [t["chance"] for t in _found(_FACTS, names)] == [1 / 3, 1 / 4]
    # All tasks name all classes, of which seven are learned.
    names = [("x",) * 9] * 2
    assert [t["chance"] for t in _found(_FACTS, names)] == [1 / 7, 1 / 7]
    older = dataclasses.replace(_FACTS, own_classes=())
    assert [t["chance"] for t in _found(older, names)] == [1 / 9, 1 / 9]
    assert _found(older, [()])[0]["chance"] is None


def _levels(names):
    records = [
        {"index": k, "visit": k, "name": "abc"[k], "class_names": each}
        for k, each in enumerate(names)
    ]
    empty = [np.zeros((0, 3))] * 3
    learned = LearnedSoFar(records, [], *empty, 0.0, 0, 0, {})
    return chance_matrix(records, _FACTS, learned)


def test_chance_after_each_task():
    own = _levels([("x",) * 3, ("x",) * 4])
    assert own == [[1 / 3, None, None], [1 / 3, 1 / 4, None]]
    # Of the classes learned by then, where tasks share their answers.
    shared = _levels([("x",) * 9] * 2)
    assert shared == [[1 / 3, None, None], [1 / 7, 1 / 7, None]]


def test_average_chance():
    known = {"chance_matrix": [[0.5, None], [0.5, 0.25]], "earlier_visits": []}
    assert average_chance(known) == (0.5, 0.375)
    assert average_chance({**known, "earlier_visits": [{}]}) is None
    assert average_chance({}) is None  # Of older versions.


def test_chance_of_pairs_is_a_half():
    record = {"index": 0, "visit": 0, "name": "a", "class_names": ("x",) * 3}
    record["verification"] = {"folds": [1.0], "std": 0.0}
    learned = LearnedSoFar([record], [], *[np.zeros((0, 1))] * 3, 0.0, 0, 0, {})
    (found,) = with_answers([record], _FACTS, learned)
    assert found["chance"] == 0.5 and "answers" not in found


def test_tasks_tell_the_answers_of_their_newest_visit():
    names = [told.NAMES, ("x",) * 4]
    answers = (told.visit_answers(), VisitAnswers())
    first, second = _found(_FACTS, names, answers=answers)
    assert first["answers"] == summary(answers[0], told.NAMES)
    assert "answers" not in second
