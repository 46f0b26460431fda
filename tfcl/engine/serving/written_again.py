"""Results that are damaged or gone, written again from the journal."""

from __future__ import annotations

import pathlib
import time
import typing

from absl import logging

from tfcl.engine.outputs import Outputs, learned_so_far
from tfcl.engine.storage.bank import Bank
from tfcl.engine.storage.checkpoints import newest_journal
from tfcl.engine.storage.lock import DirectoryLock
from tfcl.errors import UserError
from tfcl.files import refuse_special
from tfcl.reporting import checksums, results, stream_figures
from tfcl.reporting.run_facts import RunFacts

if typing.TYPE_CHECKING:
    from tfcl.engine.storage.journal import Journal


def mend_results(model_dir: str | pathlib.Path) -> None:
    """Writes the results of a run again if they are not as it wrote them.

    Args:
        model_dir: Folder of a run that no process has open. Without a
            journal it is left as it is.

    Raises:
        UserError: If another process has the run open, or the run is of an
            older version, whose journal does not tell all that results do.
        RunError: If its checkpoints are damaged, too, or it holds a pipe.
    """
    folder = pathlib.Path(model_dir)
    refuse_special(folder)
    if not (folder / "checkpoints").is_dir() or not _doubtful(folder):
        return
    lock = DirectoryLock(folder)
    try:
        journal = newest_journal(folder)
        if journal is not None and journal.visits:
            missing = [f"{checksums.NAME} is missing"]
            write_again(folder, journal, faults(folder) or missing)
    finally:
        lock.release()


def _doubtful(folder):
    """Whether results are damaged, for longer than a run needs to write."""
    summed = (folder / checksums.NAME).exists()
    if faults(folder):
        if not summed:
            return True
        time.sleep(1.0)
        return bool(faults(folder))
    if summed:
        return False
    # Older versions wrote no checksums, and no such facts.
    journal = newest_journal(folder)
    return journal is not None and journal.facts is not None


def faults(model_dir: pathlib.Path) -> list[str]:
    """What of the results is not as it was written, a text each."""
    if not (model_dir / "results.json").exists():
        return ["results.json is missing"]
    return checksums.faults(model_dir)


def write_again(
    folder: pathlib.Path, journal: Journal, found: list[str]
) -> None:
    """Writes the results that follow from a journal, and says why.

    Args:
        folder: Of the run, which this process holds.
        journal: `Journal` with a visit.
        found: Of `faults`.

    Raises:
        UserError: If the journal is of an older version.
    """
    content, _ = _numbers_again(folder, journal, found)
    say(folder, found, content["lost"])


def write_all_again(folder: pathlib.Path, journal: Journal) -> None:
    """Writes results, figures and report that follow from a journal.

    No data are needed. Figures of points, which come from the data, are left
    out of the report until the run is started again.

    Args:
        folder: Of the run, which this process holds.
        journal: `Journal` with a visit.

    Raises:
        UserError: If the journal is of an older version.
        RunError: If the disk is full or not writable.
    """
    content, learned = _numbers_again(folder, journal, [])
    histories = {
        task["index"]: learned.histories[task["visit"]]
        for task in content["tasks"]
    }
    drawn = {}
    for task in content["tasks"]:
        prefix = f"{task['name']}_" if len(content["tasks"]) > 1 else ""
        found = stream_figures.stream_figures(
            (), histories[task["index"]], task["phases"]
        )
        drawn.update({prefix + name: each for name, each in found.items()})
    told = learned.told()
    results.write_figures(content, histories, folder, drawn, told)


def _numbers_again(folder, journal, found):
    """Content of results.json, which is written, and what it is made of."""
    if journal.facts is None:
        raise UserError(
            f"The results in {folder} are damaged: {'; '.join(found)}. The "
            "journal, of an older version, does not tell all of them: start "
            "the run's tfcl.train command again, which writes them anew."
        )
    facts = RunFacts.from_json(journal.facts)
    bank = Bank(folder / "tasks", first_names=journal.first_names)
    learned = learned_so_far(journal, bank, len(facts.task_names))
    content = results.collect(facts, learned)
    results.write_numbers(content, folder, learned)
    return content, learned


def mend(outputs: Outputs, journal: Journal) -> None:
    """Writes the results of an open run again if they are damaged.

    Args:
        outputs: `Outputs` of the run.
        journal: Of the run; one of an older version gets its facts.
    """
    found = faults(outputs.model_dir)
    if found:
        if journal.facts is None:
            journal.facts = outputs.facts.to_json()
        write_again(outputs.model_dir, journal, found)


def publish_again(outputs: Outputs) -> None:
    """Writes the results of a run that goes on: a kill, or damage, may have
    left others."""
    found = faults(outputs.model_dir)
    say(outputs.model_dir, found, outputs.publish()["lost"])


def say(folder: pathlib.Path, found: list[str], lost: list[str]) -> None:
    """Warns of results that were written again, and of what they lack."""
    if found:
        logging.warning(
            "The results in %s were damaged (%s): written again from the "
            "journal.",
            folder,
            "; ".join(found),
        )
    for line in lost:
        logging.warning("%s", line)
