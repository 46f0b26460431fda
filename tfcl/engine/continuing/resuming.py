"""What a run must find to go on in a folder."""

import os
import pathlib

from absl import logging

from tfcl.data.task import TaskStream
from tfcl.engine.storage.bank import Bank
from tfcl.engine.storage.journal import Journal
from tfcl.errors import RunError, UserError
from tfcl.files import local_path
from tfcl.types import Folder


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


def refuse_unlearned(journal: Journal | None, model_dir: Folder) -> None:
    """Refuses to serve or to measure a run without a learned task.

    Raises:
        UserError: With the way out.
    """
    if journal is None or not journal.visits:
        raise UserError(
            f"{model_dir} has not learned a task yet. Let it learn one to its "
            "end first."
        )


def refuse_other_tasks(
    journal: Journal, stream: TaskStream, model_dir: pathlib.Path
) -> None:
    """Refuses a stream that does not begin with what was learned.

    Raises:
        UserError: With the first task that differs, or the scenario.
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
    known = (journal.spec or {}).get("scenario", stream.scenario)
    if learned and known != stream.scenario:
        raise UserError(
            f"--model_dir {model_dir} has learned in the scenario '{known}', "
            f"the stream's is '{stream.scenario}'. Bind Experiment.scenario = "
            f"'{known}', or give another --model_dir."
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


def data_folder(journal: Journal, given: Folder | None) -> str | None:
    """The folder of TFDS data sets that a start uses; the journal keeps it.

    Args:
        journal: Of the run.
        given: What the user asks for now, None if nothing: the run's own
            folder then, and of a new run `$TFDS_DATA_DIR`.

    Returns:
        An absolute path, None for TFDS's default.
    """
    kept = journal.data_dir
    if given is None and kept is not None and not os.path.isdir(kept):
        logging.warning(
            "The data folder of this run, %s, is not there any more. Give "
            "--data_dir if the data sets have moved.",
            kept,
        )
        kept = None
    asked = given or kept or os.environ.get("TFDS_DATA_DIR") or None
    if asked is not None:
        asked = os.path.abspath(local_path(os.fspath(asked), "data_dir"))
    journal.data_dir = asked
    return asked
