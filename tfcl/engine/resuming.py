"""What a run must find to go on in a folder."""

import pathlib

from tfcl.data.task import TaskStream
from tfcl.engine.storage.bank import Bank
from tfcl.engine.storage.journal import Journal
from tfcl.errors import RunError, UserError


def refuse_lost_checkpoints(bank: Bank, model_dir: pathlib.Path) -> None:
    """Refuses to begin a run where tasks are learned already.

    Raises:
        RunError: With the names of the tasks.
    """
    names = ", ".join(bank.names())
    if names:
        raise RunError(
            f"--model_dir {model_dir} has learned tasks ({names}), but no "
            "checkpoint to go on from. Restore its folder checkpoints/ from a "
            "copy, or start a new run in another --model_dir."
        )


def refuse_other_tasks(
    journal: Journal, stream: TaskStream, model_dir: pathlib.Path
) -> None:
    """Refuses a stream that does not begin with what was learned.

    Raises:
        UserError: With the first task that differs.
    """
    learned = [record.fingerprint for record in journal.visits]
    if journal.position is not None:
        learned.append(journal.position.fingerprint)
    if len(learned) > len(stream.visits):
        raise UserError(
            f"--model_dir {model_dir} has learned {len(learned)} tasks, the "
            f"stream has only {len(stream.visits)}. Give a stream that begins "
            "with the learned tasks, or another --model_dir."
        )
    for visit, fingerprint in zip(stream.visits, learned):
        task = visit.task
        if fingerprint not in (task.fingerprint(), task.former_fingerprint()):
            raise UserError(
                f"Task {task.index} ('{task.name}') of the stream is not the "
                f"one that --model_dir {model_dir} has learned: its name, "
                "classes, order or data differ. Give the same stream (new "
                "tasks behind the learned ones; for folders name all in that "
                "order by folder_stream.tasks), or another --model_dir."
            )
