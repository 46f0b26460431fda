"""What `results.json` tells of a task's answers."""

from __future__ import annotations

import typing

import numpy as np

from tfcl.metrics.calibration import expected_calibration_error
from tfcl.metrics.confusion import class_accuracies
from tfcl.reporting.answers.answers import num_classes

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
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
    for task, (_, names, answers) in zip(tasks, learned.told(), strict=True):
        task = {**task, "chance": _chance(task, tasks, facts, len(names))}
        told = summary(answers, names)
        found.append({**task, "answers": told} if told else task)
    return found


def _chance(task, tasks, facts, num_classes):
    """Accuracy of answers drawn at random, None if not known.

    1 / classes that the answer is chosen from. Where tasks share one growing
    set of answers, those are the classes of the tasks learned so far.
    """
    if task.get("verification"):
        return 0.5  # The same person, or not.
    if facts.own_classes and facts.own_classes[task["index"]] < num_classes:
        seen = sum(facts.own_classes[each["index"]] for each in tasks)
        return 1.0 / seen
    return 1.0 / num_classes if num_classes else None


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
