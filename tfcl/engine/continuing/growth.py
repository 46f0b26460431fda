"""Learned tasks whose data are gone, in front of those still to be learned."""

from __future__ import annotations

import dataclasses
import typing

import numpy as np
from absl import logging

from tfcl.data.absent import AbsentImages, is_lost
from tfcl.data.split import Split
from tfcl.data.task import Task, TaskStream
from tfcl.engine.continuing.changes import changes_of, warn_of_changes
from tfcl.engine.task_agnostic import at_the_end
from tfcl.errors import UserError

if typing.TYPE_CHECKING:
    import pathlib
    from collections.abc import Sequence

    from tfcl.data.preprocessing import Preprocessing
    from tfcl.engine.evaluator import Evaluator
    from tfcl.engine.storage.bank import Bank
    from tfcl.engine.storage.journal import Journal
    from tfcl.engine.storage.visit_record import VisitRecord
    from tfcl.methods.base import Method


def grown(
    stream: TaskStream, journal: Journal, bank: Bank, model_dir: pathlib.Path
) -> TaskStream:
    """A stream that begins with what a run has learned, whatever is left of it.

    A task of the stream that is learned is known by its data, where ever it
    stands and whatever it is called. Learned tasks that the stream does not
    have, or has with other data under their name, have `AbsentImages`. All
    others come behind them, in the order of the stream, among them those that
    the user has removed.

    Args:
        stream: `TaskStream` of the data that are there.
        journal: Of the run.
        bank: Of the run.
        model_dir: Folder of the run, for messages.

    Returns:
        The stream itself if it begins with the learned tasks, or comes back
        to tasks (`refuse_other_tasks` has the word then).

    Raises:
        UserError: If the task that the run is in the middle of is not among
            the data, or the answers of later tasks count the classes of
            absent ones.
    """
    records = journal.visits
    if not records or _begins(stream, journal) or _comes_back(stream, records):
        return stream
    found, new = _sorted_out(stream, records, bank)
    tasks: list[Task] = []
    for record in records:
        task = found.get(record.visit)
        if task is None:
            preprocessing = bank.load(record.visit, record.name).preprocessing
            task = _absent(record, preprocessing, model_dir)
        known = {"name": record.name, "known_fingerprint": record.fingerprint}
        tasks.append(_placed(dataclasses.replace(task, **known), tasks))
    absent = [task.name for task in tasks if is_lost(task.test)]
    _refuse_common_classes(stream, absent)
    for task in _begun_first(new, journal, model_dir):
        tasks.append(_placed(task, tasks))
    if absent:
        logging.info(
            "Learned before, and without data here: %s. New: %s.",
            ", ".join(absent),
            ", ".join(t.name for t in tasks[len(records) :]) or "nothing",
        )
    return TaskStream(
        stream.name, tasks, stream.batch_size, scenario=stream.scenario
    )


def refuse_lost_data(method: Method, stream: TaskStream, learned: int) -> None:
    """Refuses to learn on where a method needs data that nobody has.

    Args:
        method: `Method`.
        stream: `TaskStream`.
        learned: Number of visits that have been made.

    Raises:
        UserError: With the first such task and the way out.
    """
    if not method.needs_earlier_data or learned >= len(stream.visits):
        return
    lost = [task.train.images for task in stream if is_lost(task.train)]
    if lost:
        assert isinstance(lost[0], AbsentImages)
        raise UserError(
            f"{method.name} learns a new task with the data of the earlier "
            f"ones. {lost[0].lost}"
        )


def complete_last_row(
    journal: Journal, stream: TaskStream, evaluator: Evaluator
) -> None:
    """Measures what the last visit could not, if the images are here now.

    Runs of older versions did not note what tasks were measured with: that is
    added, for tasks without data. Call between two tasks, when all variables
    are as the last visit has left them.

    Args:
        journal: Of the run.
        stream: `TaskStream`.
        evaluator: `Evaluator`.
    """
    records = journal.visits
    if not records:
        return
    last, learned = records[-1], stream.learned_versions(len(records) - 1)
    lost = [is_lost(task.test) for task, _ in learned]
    if not last.read_digests and any(lost):
        last.read_digests = [evaluator.activated(*each) for each in learned]
        evaluator.remember(records)
    for place, (task, visit) in enumerate(learned):
        if last.row[place] is None and not lost[place]:
            found = evaluator.banked(task, visit)
            last.row[place], last.losses[place] = found.accuracy, found.loss
            last.read_digests[place] = evaluator.measured_with(task, visit)
            if task.num_classes > 5:
                last.top5[place] = found.top5_accuracy
    told = journal.task_agnostic
    if told is not None and None in told["aware"] and not all(lost):
        newest = len(records) - 1
        journal.task_agnostic = at_the_end(stream, newest, evaluator, journal)


def _begins(stream, journal):
    """Whether the stream's visits begin with what was learned."""
    known = [record.fingerprint for record in journal.visits]
    if journal.position is not None:
        known.append(journal.position.fingerprint)
    names = [record.name for record in journal.visits]
    given = [visit.task.name for visit in stream.visits]
    return (
        len(known) <= len(stream.visits)
        and given[: len(names)] == names
        and all(
            fingerprint in _fingerprints(visit.task)
            for visit, fingerprint in zip(stream.visits, known)
        )
    )


def _comes_back(stream, records):
    visits = [visit.task.index for visit in stream.visits]
    learned = [record.index for record in records]
    return any(len(set(each)) < len(each) for each in (visits, learned))


def _fingerprints(task):
    return task.fingerprint(), task.former_fingerprint()


def _sorted_out(stream, records, bank):
    """`{visit: task}` of what is learned and has its data, and new tasks."""
    found: dict[int, Task] = {}
    new = {task.name: task for task in stream}
    served = [record for record in records if not record.removed]
    # By name first: two tasks may have the same data.
    for by_name, asked in ((True, records), (False, served)):
        for record in asked:
            if record.visit in found:
                continue
            names = [record.name] if by_name else list(new)
            same = [n for n in names if n in new and _is_of(record, new[n])]
            if same:
                found[record.visit] = new.pop(same[0])
            if same and same[0] != record.name:
                logging.info(
                    "Task '%s' of the stream is '%s', which is learned.",
                    same[0],
                    record.name,
                )
    for record in served:
        if record.name in new:
            task = new.pop(record.name)
            known = bank.files(record.visit, record.name)
            warn_of_changes(record.name, changes_of(record, task, known))
    for record in records:
        if record.removed and record.visit not in found:
            # Measured by data that another task may be learned with anew.
            for task in stream:
                if _is_of(record, task):
                    found[record.visit] = task
                    break
    return found, list(new.values())


def _is_of(record, task):
    found = task.splits
    if any(len(found[name]) != n for name, n in record.sizes.items()):
        return False  # Without a look at the images.
    # The fingerprint has the name that the task was learned by.
    named = dataclasses.replace(task, name=record.file_name)
    if record.fingerprint in _fingerprints(named):
        return True
    return (
        bool(record.split_digests)
        and list(task.class_names) == list(record.class_names)
        and all(
            found[name].digest() == digest
            for name, digest in record.split_digests.items()
        )
    )


def _placed(task: Task, earlier: Sequence[Task]) -> Task:
    return dataclasses.replace(task, index=len(earlier), earlier=tuple(earlier))


def _absent(
    record: VisitRecord,
    preprocessing: Preprocessing,
    model_dir: pathlib.Path,
) -> Task:
    """A learned task, by what the run has noted of it."""
    name, shape = record.name, preprocessing.image_shape
    mean = np.asarray(preprocessing.mean, np.float32).reshape(1, -1)
    splits: dict[str, typing.Any] = {
        split: Split(
            images=AbsentImages(
                size,
                shape,
                None,
                f"The {split} images of task '{name}', which {model_dir} has "
                "learned, are not in the stream. Give a stream with them.",
            ),
            labels=np.zeros(size, np.int32),
            mean=mean,
            std=np.asarray(preprocessing.std, np.float32).reshape(1, -1),
        )
        for split, size in record.sizes.items()
    }
    return Task(
        index=record.index,
        name=name,
        class_names=tuple(record.class_names),
        preprocessing=preprocessing,
        known_fingerprint=record.fingerprint,
        **splits,
    )


def _refuse_common_classes(stream, absent):
    if absent and any(task.own_classes is not None for task in stream):
        raise UserError(
            f"The answers of stream '{stream.name}' are chosen from the "
            "classes of all tasks, and it does not have those of "
            f"{', '.join(absent)}. Give a stream with all learned tasks."
        )


def _begun_first(tasks, journal, model_dir):
    """New tasks, the one that the run is in the middle of in front."""
    if journal.position is None:
        return tasks
    known = journal.position.fingerprint
    begun = [task for task in tasks if known in _fingerprints(task)]
    if not begun:
        raise UserError(
            f"--model_dir {model_dir} is in the middle of a task"
            f"{f' ({journal.position.name!r})' * bool(journal.position.name)} "
            "whose data are not here, or have changed. Start the command that "
            "began it again, with the same data; what is learned is kept."
        )
    return begun + [task for task in tasks if task is not begun[0]]
