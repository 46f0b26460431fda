"""What a run leaves in its folder for people and for other programs."""

import pathlib

import numpy as np
from absl import logging

from tfcl.data.absent import is_lost
from tfcl.data.task import Task, TaskStream
from tfcl.engine.answers.answer_files import AnswerFiles
from tfcl.engine.answers.keeping import keep_end
from tfcl.engine.evaluator import Evaluator
from tfcl.engine.observer import Observer
from tfcl.engine.serving.export import export_task, with_answers_of_today
from tfcl.engine.serving.quantization import examples_of
from tfcl.engine.serving.served_facts import ServedFacts
from tfcl.engine.serving.up_to_date import bring_up_to_date
from tfcl.engine.storage.bank import Bank, BankedTask
from tfcl.engine.storage.journal import Journal
from tfcl.errors import RunError
from tfcl.methods.base import Method
from tfcl.methods.protocols import SupportsPointMaps
from tfcl.reporting import results, stream_figures
from tfcl.reporting.answers import figures as answer_figures
from tfcl.reporting.answers.answers import VisitAnswers
from tfcl.reporting.run_facts import LearnedSoFar, RunFacts
from tfcl.reporting.stream_figures import SplitPoints

_PAIRS = "measured by pairs of images, there are no classes to confuse"


class Outputs:
    """Results, figures, report and SavedModels.

    All of them follow from stream, journal and bank, so writing them again
    does no harm. Reports get names, numbers and arrays alone.

    Args:
        model_dir: Folder of the run.
        facts: `RunFacts`.
        method: `Method`, for what it draws and for export.
        stream: `TaskStream`.
        journal: `Journal`.
        bank: `Bank`.
        writes: False on workers other than the chief.
    """

    def __init__(
        self,
        model_dir: pathlib.Path,
        facts: RunFacts,
        method: Method,
        stream: TaskStream,
        journal: Journal,
        bank: Bank,
        writes: bool = True,
    ):
        self.model_dir = model_dir
        self.facts = facts
        self._method = method
        self._stream = stream
        self._journal = journal
        self._bank = bank
        self._answers = AnswerFiles.beside(bank)
        self._writes = writes

    def results(self, visits: int | None = None) -> dict:
        """The content of `results.json`, now or after the first `visits`."""
        return results.collect(self.facts, self._learned(visits))

    def _learned(self, visits=None):
        width = len(self._stream)
        return learned_so_far(self._journal, self._bank, width, visits)

    def curves(self, visit: int, name: str) -> dict[str, np.ndarray]:
        """Training curves of a visit of the task `name`; {} if damaged."""
        return _curves(self._bank, visit, name)[0]

    def publish(self) -> dict:
        """Writes `results.json` and the like; returns its content."""
        return self._published()[0]

    def _published(self):
        """The content, and what it is made of."""
        learned = self._learned()
        content = results.collect(self.facts, learned)
        if self._writes:
            results.write_numbers(content, self.model_dir, learned)
        return content, learned

    def finish(
        self, observer: Observer, exports: bool, evaluator: Evaluator
    ) -> None:
        """Writes all that a finished run leaves.

        Args:
            observer: Shown the figures, then closed.
            exports: Write a SavedModel per task.
            evaluator: `Evaluator`, for what tasks answer at the end.
        """
        if not self._writes:
            observer.close()
            return
        keep_end(self._stream, len(self._journal.visits), evaluator)
        content, so_far = self._published()
        learned = self._stream.learned_versions(len(self._journal.visits) - 1)
        histories = {
            task.index: so_far.histories[visit] for task, visit in learned
        }
        drawn = self.stream_figures()
        told = so_far.told()
        now = answer_figures.at_the_end(told)
        observer.figures({**drawn, **now}, self._journal.global_step)
        observer.close(finished=True)
        also = ", report and exports" if exports else " and report"
        logging.info("Writing figures%s.", also)
        results.write_figures(content, histories, self.model_dir, drawn, told)
        self._export_all(learned, exports)

    def _export_all(self, learned, singles):
        """SavedModels, if wished, and all that was exported before."""
        folder = self.model_dir / "export"
        if not singles and not folder.is_dir():
            return
        records = self._journal.visits
        learned = [each for each in learned if not records[each[1]].removed]
        tasks = {task.name: task for task, _ in learned}
        bring_up_to_date(
            self._method,
            [
                with_answers_of_today(
                    self._method, self._bank.load(visit, task.name)
                )
                for task, visit in sorted(learned, key=lambda each: each[1])
            ],
            folder,
            ServedFacts.of(self._journal),
            lambda name, wish: examples_of(tasks[name], wish, self.facts.seed),
            singles,
        )

    def answer_figures(self, visit: int) -> dict:
        """`{tag: Figure}` of what a task answered when a visit had ended."""
        if not self._writes:
            return {}
        record, files = self._journal.visits[visit], self._answers
        answers, _ = files.of_visit(visit, record.name, visit + 1)
        return answer_figures.when_learned(
            record.name, record.class_names, answers
        )

    def stream_figures(self) -> dict:
        """`{name: Figure}` of tasks that are streams, with the task if
        several."""
        learned = self._stream.learned_versions(len(self._journal.visits) - 1)
        drawn = {}
        for task, visit in learned:
            values = self._bank.load(visit, task.name).values
            self._method.activate(values, task.index)
            maps = []
            if isinstance(self._method, SupportsPointMaps):
                maps = self._method.point_maps(task)
            found = stream_figures.stream_figures(
                maps,
                self.curves(visit, task.name),
                self._journal.visits[visit].phases,
                split_points(task),
            )
            prefix = f"{task.name}_" if len(learned) > 1 else ""
            drawn.update({prefix + name: f for name, f in found.items()})
        return drawn

    def export(self, entry: BankedTask) -> pathlib.Path:
        """Writes the SavedModel of a task; returns its path."""
        folder, facts = self.model_dir / "export", ServedFacts.of(self._journal)
        return export_task(self._method, entry, folder, facts)


def learned_so_far(
    journal: Journal, bank: Bank, width: int, visits: int | None = None
) -> LearnedSoFar:
    """What reports are made of, from journal and bank alone.

    Args:
        journal: `Journal`.
        bank: `Bank` of the run, for the training curves. What is damaged is
            left out, and noted as lost.
        width: Tasks of the stream.
        visits: Number of visits to tell of; None for all.
    """
    records = journal.visits[:visits]
    curves = [_curves(bank, record.visit, record.name) for record in records]
    files, ended = AnswerFiles.beside(bank), len(journal.visits)
    answers = [_kept_answers(files, record, ended) for record in records]
    lost = [fault for _, fault in curves if fault]
    return LearnedSoFar(
        visits=[record.to_json() for record in records],
        histories=[arrays for arrays, _ in curves],
        accuracy_matrix=journal.accuracy_matrix(width)[:visits],
        loss_matrix=journal.loss_matrix(width)[:visits],
        top5_matrix=journal.top5_matrix(width)[:visits],
        seconds=journal.seconds,
        global_step=journal.global_step,
        skipped_steps=journal.skipped_steps,
        bindings=journal.bindings,
        numerics=journal.numerics,
        lost=(*lost, *(line for _, lines in answers for line in lines)),
        answers=tuple(found for found, _ in answers),
        class_names=_names_now(journal, records),
        task_agnostic=_told_at_the_end(journal, records),
    )


def _told_at_the_end(journal, records):
    """What is measured after the last visit, if it is one of the records."""
    is_end = len(records) == len(journal.visits)
    return journal.task_agnostic if is_end else None


def _kept_answers(files, record, ended):
    """`VisitAnswers` of a visit, and what of them is damaged."""
    if record.verification is not None:
        return VisitAnswers(without=_PAIRS), []
    return files.of_visit(record.visit, record.name, ended)


def _names_now(journal, records):
    """Class names that tasks are answered with: later tasks may bring some."""
    known = (journal.spec or {}).get("class_names", [])
    return tuple(
        tuple(
            known[record.index]
            if record.index < len(known)
            else record.class_names
        )
        for record in records
    )


def _curves(bank, visit, name):
    """Training curves, and why there are none, or None."""
    try:
        return bank.history(visit, name), None
    except RunError as error:
        return {}, str(error)


def run_facts(
    method: Method,
    stream: TaskStream,
    *,
    seed: int,
    command: str,
    distribution: str,
    replicas: int,
) -> RunFacts:
    """The `RunFacts` of a run that is put together."""
    return RunFacts(
        method=method.name,
        stream=stream.name,
        seed=seed,
        command=command,
        distribution=distribution,
        replicas=replicas,
        task_names=tuple(task.name for task in stream),
        test_sizes=tuple(len(task.test) for task in stream),
        order=tuple(visit.task.index for visit in stream.visits),
        own_classes=tuple(task.num_own_classes for task in stream),
        scenario=stream.scenario,
    )


def split_points(task: Task) -> dict[str, SplitPoints] | None:
    """The points of a task of points by split; None of any other task, and
    where they are gone.

    Their kinds are class, domain where it is known, and distribution.
    """
    if tuple(task.train.image_shape) != (1, 1, 2) or is_lost(task.train):
        return None
    found = {}
    for name in ("train", "validation", "test"):
        split = getattr(task, name)
        kinds = {"class": split.labels}
        if task.domains:
            kinds["domain"] = np.asarray(task.domains)[split.groups]
        kinds["distribution"] = split.groups
        found[name] = SplitPoints(split.images.reshape(-1, 2), kinds)
    return found
