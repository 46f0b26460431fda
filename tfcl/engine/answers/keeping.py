"""When the answers of a task are measured and kept.

After a visit, those of the task that it has learned: before the journal knows
of the visit, so that a killed run writes the same file again. At the end of
the run, those of all tasks of which anything has changed that their logits
depend on. Written again, a file has the same content.
"""

from __future__ import annotations

import dataclasses
import typing

from absl import logging

from tfcl.data.pairs import PairSplit
from tfcl.engine.answers.answer_files import (
    END,
    LEARNED,
    AnswerFiles,
    StoredAnswers,
)
from tfcl.engine.answers.thumbnails import thumbnails
from tfcl.errors import RunError, UserError
from tfcl.reporting.answers.answers import Answers

if typing.TYPE_CHECKING:
    from tfcl.data.task import Task, TaskStream, Visit
    from tfcl.engine.evaluator import Evaluator


def keep_learned(visit: Visit, evaluator: Evaluator) -> None:
    """Keeps what a task answers whose visit has just ended and is banked.

    Every worker measures, the chief writes. Tasks measured by pairs of images
    have no classes to answer with.

    Args:
        visit: `Visit`.
        evaluator: `Evaluator`; the task is active afterwards.
    """
    task = visit.task
    if isinstance(task.test, PairSplit):
        return
    digest = evaluator.activated(task, visit.number)
    given = evaluator.answers(task)
    files = AnswerFiles.beside(evaluator.bank)
    if files.writes:
        visits = visit.number + 1
        found = StoredAnswers(digest, visits, _answers(task, given, visits))
        files.write(visit.number, task.name, LEARNED, found)


def keep_end(stream: TaskStream, visits: int, evaluator: Evaluator) -> None:
    """Keeps what all learned tasks answer now; for the chief alone.

    What is kept already is not measured again. A task whose test images
    nobody has any more keeps the answers that are known.

    Args:
        stream: `TaskStream`.
        visits: Visits that have ended.
        evaluator: `Evaluator`; another task may be active afterwards.

    Raises:
        RunError: If a file cannot be written.
    """
    files = AnswerFiles.beside(evaluator.bank)
    for task, visit in stream.learned_versions(visits - 1):
        if isinstance(task.test, PairSplit):
            continue
        digest = evaluator.activated(task, visit)
        found = _end(task, digest, visits, evaluator, files, visit)
        if found is not None:
            files.write(visit, task.name, END, found)


def _end(task, digest, visits, evaluator, files, visit):
    """What to write, None if what is there stays."""
    learned = _intact(files, visit, task.name, LEARNED)
    if learned is not None and learned.digest == digest:
        # The file may tell of an earlier end, or of none.
        wanted = StoredAnswers(digest, visits, None)
        known = _intact(files, visit, task.name, END)
        return None if known == wanted else wanted
    known = _intact(files, visit, task.name, END)
    if known is not None and known.answers and known.digest == digest:
        if known.visits == visits:
            return None
        answers = dataclasses.replace(known.answers, visits=visits)
        return StoredAnswers(digest, visits, answers)
    try:
        given = evaluator.answers(task)
    except UserError as error:
        logging.warning(
            "What task '%s' answers now is not known: %s", task.name, error
        )
        return None
    return StoredAnswers(digest, visits, _answers(task, given, visits))


def _intact(files, visit, name, moment):
    """What a file holds, None if it is missing or damaged."""
    try:
        return files.read(visit, name, moment)
    except RunError:
        return None


def _answers(task: Task, given, visits) -> Answers:
    plain = Answers(task.test.labels, given.classes, given.scores)
    images, reason = thumbnails(task.test, plain.shown())
    return dataclasses.replace(
        plain, images=images, without_images=reason, visits=visits
    )
