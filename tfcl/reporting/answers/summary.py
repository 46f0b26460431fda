"""What `results.json` tells of a task's answers."""

from __future__ import annotations

import typing

import numpy as np

from tfcl.metrics.calibration import expected_calibration_error
from tfcl.metrics.confusion import class_accuracies
from tfcl.reporting.answers.answers import num_classes

if typing.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from tfcl.reporting.answers.answers import Answers, VisitAnswers
    from tfcl.reporting.run_facts import LearnedSoFar, RunFacts


def with_answers(
    tasks: Sequence[dict[str, Any]], facts: RunFacts, learned: LearnedSoFar
) -> list[dict[str, Any]]:
    """Records of tasks with chance level and, where known, answers.

    Args:
        tasks: Of `results.json`, by task index.
        facts: `RunFacts`.
        learned: `LearnedSoFar`.
    """
    found = []
    indices = {task["index"] for task in tasks}
    for task, (_, names, answers) in zip(tasks, learned.told(), strict=True):
        task = {**task, "chance": _chance(task, indices, facts, len(names))}
        told = summary(answers, names)
        found.append({**task, "answers": told} if told else task)
    return found


def chance_matrix(
    tasks: Sequence[dict[str, Any]], facts: RunFacts, learned: LearnedSoFar
) -> list[list[float | None]]:
    """Chance level of each task after each visit, as R has the accuracies.

    Args:
        tasks: Of `results.json`, by task index.
        facts: `RunFacts`.
        learned: `LearnedSoFar`.

    Returns:
        A row per visit, by task index; None where it is not known, or the task
        was not learned yet.
    """
    counts = [len(names) for _, names, _ in learned.told()]
    rows, seen = [], set()
    for record in learned.visits:
        seen.add(record["index"])
        row: list[float | None] = [None] * len(facts.task_names)
        for task, count in zip(tasks, counts, strict=True):
            if task["index"] in seen:
                row[task["index"]] = _chance(task, seen, facts, count)
        rows.append(row)
    return rows


def _chance(task, seen, facts, num_classes):
    """Accuracy of answers drawn at random, None if not known.

    1 / classes that the answer is chosen from. Where tasks share one growing
    set of answers, those are the classes of the tasks that were `seen`.
    """
    if task.get("verification"):
        return 0.5  # The same person, or not.
    if facts.own_classes and facts.own_classes[task["index"]] < num_classes:
        return 1.0 / sum(facts.own_classes[index] for index in seen)
    return 1.0 / num_classes if num_classes else None


def average_chance(results: Mapping[str, Any]) -> tuple[float, ...] | None:
    """Average chance level of the learned tasks after each of them.

    Args:
        results: Content of `results.json`.

    Returns:
        None where it is not known, as in results of older versions.
    """
    rows = results.get("chance_matrix")
    if not rows or results["earlier_visits"]:
        return None  # Averages of tasks that come again count anew.
    levels = [[level for level in row if level is not None] for row in rows]
    return tuple(sum(row) / len(row) for row in levels if row)


def summary(answers: VisitAnswers, names: Sequence[str]) -> dict[str, Any]:
    """Accuracies by class and calibration, JSON-ready.

    Args:
        answers: `VisitAnswers`.
        names: Of the task's classes.

    Returns:
        `{"support": examples by class, "learned": moment, "end": moment}`; a
        moment is `{"visits", "accuracy", "right": examples by class,
        "expected_calibration_error", "mean_confidence", "bins"}`. "end" of
        answers that have not changed is "learned"; a moment that is not known
        is None. {} if none is.
    """
    moments = answers.moments()
    if not moments:
        return {}
    width = num_classes(names, answers)
    counts = next(iter(moments.values())).confusion(width)
    found: dict[str, Any] = {
        "support": class_accuracies(counts)[1].tolist(),
        "learned": None,
        "end": None,
    }
    for name, each in answers.differing().items():
        found[name] = _moment(each, width)
    if answers.end is not None and not answers.changed:
        found["end"] = "learned"
    return found


def _moment(answers: Answers, width):
    bins = answers.calibration()
    confidences = np.where(bins.counts > 0, bins.confidences, 0.0)
    return {
        "visits": answers.visits,
        "accuracy": float(answers.right.mean()),
        "right": np.diagonal(answers.confusion(width)).tolist(),
        "expected_calibration_error": expected_calibration_error(bins),
        "mean_confidence": float(answers.scores.mean(dtype=np.float64)),
        "bins": {
            "examples": bins.counts.tolist(),
            "right": bins.right.tolist(),
            "confidence": np.round(confidences, 6).tolist(),
        },
    }
