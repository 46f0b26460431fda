"""The record of a task that has just been learned."""

import math
from collections.abc import Collection

import numpy as np

from tfcl.data.task import TaskStream, Visit
from tfcl.engine.answers.keeping import keep_learned
from tfcl.engine.evaluator import Evaluator
from tfcl.engine.storage.bank import Bank, BankedTask
from tfcl.engine.storage.position import Position
from tfcl.engine.storage.visit_record import VisitRecord
from tfcl.errors import RunError
from tfcl.methods.base import Method
from tfcl.models.variables import stored


def record_visit(
    visit: Visit,
    position: Position,
    stream: TaskStream,
    method: Method,
    bank: Bank,
    evaluator: Evaluator,
) -> VisitRecord:
    """Banks a learned task and measures all tasks seen so far.

    What the learned task answers is kept beside the bank.

    Args:
        visit: `Visit` that has ended.
        position: The journal's at the end of the task.
        stream: The whole stream.
        method: `Method`; another task may be active afterwards.
        bank: Takes the task.
        evaluator: Measures tasks out of the bank.

    Raises:
        RunError: If what the method would keep is not finite.
    """
    task = visit.task
    values, notes = method.bank_values(), method.bank_notes()
    shared = stored(method.shared)
    _require_finite(task, {**shared, **values, **notes})
    bank.store(visit, values, notes, position.history_arrays())
    labels = {name: la for name, (_, la) in method.diagnostics().items()}
    for name, la in method.metric_labels().items():
        labels[f"train/{name}"] = la
    entry = bank.load(visit.number, task.name)
    notes = dict(entry.notes)
    accuracy = notes.pop("validation_accuracy", _last_accuracy(position))
    footprint = _footprint(entry, shared.values())
    found = evaluator.evaluations(stream, visit.number)
    verification = found[task.index].verification
    keep_learned(visit, evaluator)
    return VisitRecord(
        index=task.index,
        visit=position.visit,
        name=task.name,
        fingerprint=position.fingerprint,
        class_names=list(task.class_names),
        sizes={name: len(split) for name, split in task.splits.items()},
        epochs=position.epochs,
        steps=position.steps,
        seconds=position.seconds,
        validation_accuracy=accuracy,
        peak=position.peak,
        phases=position.results,
        notes=notes,
        labels=labels,
        footprint=footprint,
        row=[_known(each.accuracy) for each in found.values()],
        losses=[_known(each.loss) for each in found.values()],
        top5=_top5_row(found, stream),
        numerics=position.numerics,
        verification=None if verification is None else verification.to_json(),
        split_digests={n: each.digest() for n, each in task.splits.items()},
        read_digests=[
            evaluator.measured_with(*each)
            for each in stream.learned_versions(visit.number)
        ],
    )


def _require_finite(task, kept):
    """Gradients are looked at in every step, statistics of a task are not."""
    wrong = sorted(name for name, value in kept.items() if not _finite(value))
    if wrong:
        raise RunError(
            f"Task '{task.name}' is trained, but of what the method would "
            f"keep of it not all is finite: {', '.join(wrong[:3])}"
            f"{' and others' if wrong[3:] else ''}. The network's outputs have "
            "grown too large. Nothing of the task is kept, and everything "
            "learned before is. Start anew in another --model_dir with a lower "
            "learning rate, or with a network that normalises."
        )


def _finite(value):
    """Whether a number, an array or JSON's containers hold no NaN and inf."""
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_finite, value))
    array = np.asarray(value)
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _known(value):
    """None where it is not known, for JSON."""
    return None if math.isnan(value) else value


def _last_accuracy(position):
    """Of the last phase that measured one, None if none has."""
    name = "validation/accuracy"
    found = [each[name] for each in position.results if name in each]
    return found[-1] if found else None


def _footprint(entry: BankedTask, shared: Collection[np.ndarray]):
    return {
        "task_parameters": int(entry.num_parameters),
        "task_bytes": int(entry.num_bytes),
        "shared_parameters": int(sum(v.size for v in shared)),
        "shared_bytes": int(sum(v.nbytes for v in shared)),
    }


def _top5_row(found, stream):
    """None where five answers are all answers, or there are none."""
    return [
        each.top5_accuracy if stream.tasks[index].num_classes > 5 else None
        for index, each in found.items()
    ]
