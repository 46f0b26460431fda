"""What has been done so far, as one JSON text inside every checkpoint."""

import json

import numpy as np

from tfcl.errors import RunError

FORMAT = 2


class Journal:
    """Finished tasks, finished phases, and the place in the current phase.

    The journal lives inside the checkpoint, so the two can never disagree:
    falling back to an older checkpoint falls back to its journal.

    Attributes:
        visits: One record per time that a task was learned: name,
            fingerprint, row of R, and the facts that `results.json` shows.
        position: None between tasks, else the `Position` of the task in hand
            as a dictionary: task, fingerprint, results of finished phases,
            and epoch, step, sums and history of the running one.
        global_step: Training steps of the whole run.
        run_epoch: Completed epochs of the whole run.
        skipped_steps: Steps left out because they were not finite.
        seconds: Working time over all processes of the run.
        saves: Checkpoints written.
        structure: The method's `structure()` at the last save.
        bindings: gin bindings of the run, to refuse a different one.
        start_files: Files that the network begins with, see `StartFiles`.
    """

    def __init__(self, bindings=None):
        self.visits = []
        self.position = None
        self.global_step = 0
        self.run_epoch = 0
        self.skipped_steps = 0
        self.seconds = 0.0
        self.saves = 0
        self.structure = None
        self.bindings = dict(bindings or {})
        self.start_files = {}

    def dumps(self):
        """The journal as text."""
        return json.dumps({"format": FORMAT, **self.__dict__})

    @classmethod
    def loads(cls, text):
        """The journal from text."""
        data = json.loads(text)
        written = data.pop("format")
        if written != FORMAT:
            raise RunError(
                f"The run was written in format {written}, this version of "
                f"tfcl reads format {FORMAT}. Use the version that wrote it, "
                "or another --model_dir."
            )
        journal = cls()
        journal.__dict__.update(data)
        return journal

    def begin_task(self, task):
        """Notes that a task has begun; keeps the place of a resumed one."""
        if self.position is None:
            self.position = {
                "visit": len(self.visits),
                "task": task.index,
                "fingerprint": task.fingerprint(),
                # Of the begin: the code of `phases` grows from there again.
                "structure": self.structure,
                "results": [],
                "in_phase": False,
                "histories": {},
                "steps": 0,
                "epochs": 0,
                "seconds": 0.0,
                "peak": None,
            }

    def begin_phase(self):
        """Sets the place to the begin of a phase."""
        self.position.update(
            in_phase=True,
            epoch=0,
            step=0,
            skipped=0,
            sums={},
            history=[],
            best=None,
        )

    def end_phase(self, phase):
        """Moves the phase's history and result to the finished ones."""
        position = self.position
        number = len(position["results"])
        key = f"{number:02d}_{phase.name}"
        position["histories"][key] = position.pop("history")
        position["results"].append(phase.result)
        position["in_phase"] = False

    def end_task(self, record):
        """Notes a finished task."""
        self.visits.append(record)
        self.position = None

    def accuracy_matrix(self, num_tasks):
        """R so far, `(visits, num_tasks)`, NaN where not evaluated."""
        return self._matrix("row", num_tasks)

    def loss_matrix(self, num_tasks):
        """Test losses likewise; NaN for tasks of earlier versions of tfcl."""
        return self._matrix("losses", num_tasks)

    def top5_matrix(self, num_tasks):
        """Test accuracies of the five best answers likewise; NaN also for
        tasks of at most five classes."""
        return self._matrix("top5", num_tasks)

    def _matrix(self, key, num_tasks):
        matrix = np.full((len(self.visits), num_tasks), np.nan)
        for index, record in enumerate(self.visits):
            row = np.array(record.get(key, []), float)
            matrix[index, : len(row)] = row
        return matrix


def replay(run, phases):
    """Drives a method's phases; yields only those still to be trained.

    Phases that the journal knows as finished are not trained again: their
    recorded results are sent into the generator, so that its host code runs
    as it did. The checkpoint's variables are restored at the place where it
    was written: inside a phase, or right after one and before the code that
    follows its `yield`.

    Args:
        run: Object with `journal`, `strategy`, `restore_pending()` and
            `save()`.
        phases: Generator of phases.
    """
    journal, number, result = run.journal, 0, None
    while True:
        try:
            with run.strategy.scope():  # The method may grow.
                phase = phases.send(result)
        except StopIteration:
            return
        position = journal.position
        recorded = len(position["results"])
        if number < recorded:
            if number == recorded - 1 and not position["in_phase"]:
                run.restore_pending()
            result = position["results"][number]
        else:
            if position["in_phase"]:
                run.restore_pending()
            else:
                journal.begin_phase()
            yield phase
            result = phase.result
            journal.end_phase(phase)
            run.save()
        number += 1
