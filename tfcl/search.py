"""Searches bindings: `python -m tfcl.search --gin_file=... --range='...'`.

Every trial is an ordinary run in `<model_dir>/trial_000`, ...; the trials and
their values stand in `<model_dir>/search.sqlite3`, which Optuna's own tools
read, too. The same command goes on where it was stopped, inside a trial as
well, and with a larger `--n_trials`.

A range is `Name.parameter=low:high`, `low:high:step` or `low:high:log`, in
whole numbers if all are, or choices `a|b|c` of gin values; macros have no dot:

    --range='spg_alexnet.early_dropout=0.1:0.5' --range='SEED=1:1000'
    --range='LEARNING_RATE=0.01:1:log' --range='SPG.cross_head=True|False'

`--sampler=grid` makes a trial of every combination, each once: several seeds,
say, which `tfcl.compare` then gathers.
"""

from __future__ import annotations

import json
import pathlib
import shlex
import sys
import tempfile
import typing

# isort: off
from tfcl import commands  # (before anything loads Keras)

try:
    import optuna
except ImportError as error:
    commands.end_without(error, "tfcl.search", __name__)
# isort: on
import keras
import numpy as np
from absl import flags, logging

from tfcl import configuration, randomness
from tfcl.configuration import command_flags
from tfcl.configuration.ranges import grid_of, parse_range
from tfcl.engine.experiment import Experiment
from tfcl.engine.loop import learn_stream
from tfcl.engine.process.stopping import Stopping
from tfcl.errors import CannotGoOn, Interrupted, RunError, UserError
from tfcl.files import cannot, local_path, write_atomically
from tfcl.learner import runs
from tfcl.types import Folder

if typing.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


_State = optuna.trial.TrialState
_FAIL, _RUNNING, _WAITING = _State.FAIL, _State.RUNNING, _State.WAITING
_DONE = (_State.COMPLETE, _FAIL)
# Why a trial failed, among its user attributes.
_REASON = "reason"
_NO_VALUES = "killed before all its values were drawn"
OBJECTIVES = ("validation", "test")
SAMPLERS = {
    "tpe": optuna.samplers.TPESampler,
    "random": optuna.samplers.RandomSampler,
    "grid": None,
}
_TRIALS = 5


class Search:
    """Trials of one configuration with some bindings from ranges.

    Args:
        model_dir: Folder of the search.
        gin_files, gin_bindings: As of `tfcl.train`.
        ranges: `{name: Optuna distribution}`.
        seed: Of what is tried.
        objective: "validation" maximises the final accuracy on the
            validation splits of all tasks, weighted by their sizes; "test"
            that on the test splits, as the published program of SPG does: say
            so with the result.
        data_dir: Folder of prepared TFDS data sets.
        sampler: What chooses the values: "tpe" (tree-structured Parzen
            estimator: near those that did well), "random", or "grid" (every
            combination once, in order).
        allow_other_numerics: As of `tfcl.train`, for a trial that goes on.

    Raises:
        UserError: If the folder holds another search, or a grid is asked for
            of a range without steps.
    """

    def __init__(
        self,
        model_dir: str | pathlib.Path,
        gin_files: Sequence[str],
        gin_bindings: Sequence[str],
        ranges: Mapping[str, Any],
        seed: int = 1,
        objective: str = "validation",
        data_dir: Folder | None = None,
        sampler: str = "tpe",
        allow_other_numerics: bool = False,
    ):
        self.model_dir = pathlib.Path(local_path(model_dir, "model_dir"))
        self.gin_files = list(gin_files)
        self.gin_bindings = list(gin_bindings)
        self.ranges = dict(ranges)
        self.seed = seed
        self.objective = objective
        self.data_dir = data_dir
        self.sampler = sampler
        self.allow_other_numerics = allow_other_numerics
        self._grid = grid_of(self.ranges) if sampler == "grid" else None
        self.stop_wished = False
        self._experiment = None
        self.model_dir.mkdir(parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._path = (self.model_dir / "search.sqlite3").absolute()
        with commands.database_errors(self._path):
            self.study = optuna.create_study(
                storage=f"sqlite:///{self._path}",
                study_name="search",
                direction="maximize",
                load_if_exists=True,
            )
        self._check_same_search()

    def _check_same_search(self):
        """A study goes on with what it was begun with; returns that."""
        to_json = optuna.distributions.distribution_to_json
        asked = {
            "gin_files": self.gin_files,
            "gin_bindings": self.gin_bindings,
            "ranges": {n: to_json(d) for n, d in self.ranges.items()},
            "seed": self.seed,
            "objective": self.objective,
            "sampler": self.sampler,
        }
        for name, value in asked.items():
            known = self.study.user_attrs.get(name, value)
            if known != value:
                raise UserError(
                    f"--model_dir {self.model_dir} holds a search with other "
                    f"{name}: {known}. Give the same, or another --model_dir. "
                    f"Received: {value}"
                )
        return asked

    def run(self, n_trials: int | None = None) -> optuna.Study:
        """Makes trials until there are `n_trials`; returns the study.

        Args:
            n_trials: None for 5, of a grid for all.

        Raises:
            UserError: Before the first trial, if a binding or a range is
                mistyped or has no effect: one line with its place.
            RunError: If the trials cannot be noted.
            CannotGoOn: If a trial that was stopped is refused.
        """
        with commands.database_errors(self._path):
            return self._run(n_trials)

    def _run(self, n_trials):
        n_trials = self._checked_count(n_trials)
        # Do the names exist, do the values fit?
        for end in (0, -1):
            self._load(self._ends(end))
        if not self.study.trials:
            self._check_all_used()
        # Not before: what was mistyped may be given again.
        for name, value in self._check_same_search().items():
            self.study.set_user_attr(name, value)
        with Stopping(self._wish_stop):
            for trial in self.study.get_trials(states=(_RUNNING,)):
                self._go_on(trial)
            while self._count(_DONE) < n_trials:
                self._perform(self._ask())
        self._write_summary()
        return self.study

    def _checked_count(self, n_trials):
        if self._grid is None:
            return _TRIALS if n_trials is None else n_trials
        most = len(self._grid)
        if n_trials is not None and n_trials > most:
            raise UserError(
                f"--n_trials {n_trials}: the grid has {most} combinations. "
                "Leave --n_trials out, or give more values to --range."
            )
        return n_trials or most

    def _wish_stop(self):
        self.stop_wished = True
        run = self._experiment  # Another thread may end it.
        if run is not None:
            run.stop_wished = True

    def _count(self, states=None):
        """Trials that have values to try."""
        trials = self.study.get_trials(deepcopy=False, states=states)
        return sum(t.user_attrs.get(_REASON) != _NO_VALUES for t in trials)

    def _ask(self):
        # Of the number alone, so that a resumed search tries the same.
        number = self._count()
        if self._grid is not None:
            # One may wait already, if a kill came before it was asked for.
            if not self.study.get_trials(deepcopy=False, states=(_WAITING,)):
                self.study.enqueue_trial(self._grid[number])
        else:
            word = randomness.seed_words(1, self.seed, "trial", number)[0]
            self.study.sampler = SAMPLERS[self.sampler](seed=int(word))
        return self.study.ask(self.ranges)

    def _go_on(self, frozen):
        """Ends a trial that an earlier process has begun."""
        trial = optuna.trial.Trial(self.study, frozen._trial_id)
        if trial.params.keys() == self.ranges.keys():
            self._perform(trial)
        else:
            self._fail(trial, _NO_VALUES)

    def _fail(self, trial, reason):
        logging.warning("Trial %d failed: %s", trial.number, reason)
        trial.set_user_attr(_REASON, str(reason))
        self.study.tell(trial, state=_FAIL)

    def _ends(self, end):
        """One end of every range."""
        values = {}
        for name, distribution in self.ranges.items():
            choices = getattr(distribution, "choices", None)
            if choices is None:
                choices = (distribution.low, distribution.high)
            values[name] = choices[end]
        return values

    def _load(self, params):
        tried = [
            (f"--range '{name}'", f"{name} = {value}")
            for name, value in params.items()
        ]
        configuration.load(self.gin_files, self.gin_bindings, tried)

    def _check_all_used(self):
        """Builds a run, from one end of the ranges or else the other."""
        for end in (0, -1):
            try:
                with tempfile.TemporaryDirectory() as folder:
                    self._build(self._ends(end), folder).close()
                break
            except (RunError, UserError, ValueError):
                # A value at the end of a range may be no good.
                if end:
                    raise
        configuration.check_all_used()

    def _build(self, params, folder):
        # Layers without a name are counted anew, as in a process of its own.
        keras.backend.clear_session()
        self._load(params)
        commands.refuse_missing_files(folder)
        with runs.explained():
            return Experiment(
                model_dir=folder,
                data_dir=self.data_dir,
                bindings=configuration.bindings(),
                command=_command(),
                allow_other_numerics=self.allow_other_numerics,
            )

    def _perform(self, trial):
        if self.stop_wished:
            raise Interrupted(
                "Stopped on request between two trials. Start the same "
                "command again to go on."
            )
        logging.info("Trial %d: %s", trial.number, trial.params)
        try:
            value = self._value(trial.number, trial.params)
        except CannotGoOn:
            raise  # Its values are not the reason: it has not failed.
        except (RunError, UserError, ValueError) as error:
            # Values that cannot be built are as bad as those that diverge.
            self._fail(trial, error)
            return
        self.study.tell(trial, value)
        logging.info("Trial %d: accuracy %.4f", trial.number, value)

    def _value(self, number, params):
        """Learns the stream; the objective of what was learned."""
        run = self._build(params, self.model_dir / f"trial_{number:03d}")
        try:
            self._experiment = run
            run.stop_wished = self.stop_wished
            commands.begin(run, configuration.bindings())
            learn_stream(run)
            return self._accuracy(run)
        finally:
            self._experiment = None
            run.close()

    def _accuracy(self, run):
        last = len(run.stream.visits) - 1
        learned = run.stream.learned_versions(last)
        accuracies = [
            run.evaluator.banked(task, visit, self.objective).accuracy
            for task, visit in learned
        ]
        sizes = [len(getattr(task, self.objective)) for task, _ in learned]
        return float(np.average(accuracies, weights=sizes))

    def _write_summary(self):
        trials = [
            {
                "number": trial.number,
                "state": trial.state.name.lower(),
                "value": trial.value,
                "bindings": trial.params,
                "reason": trial.user_attrs.get(_REASON),
            }
            for trial in self.study.trials
        ]
        done = [t for t in trials if t["value"] is not None]
        values = [t["value"] for t in done]
        content = {
            "objective": self.objective,
            "best": max(done, key=lambda t: t["value"], default=None),
            "mean": float(np.mean(values)) if values else None,
            "trials": trials,
        }
        path = self.model_dir / "search.json"
        try:
            write_atomically(path, json.dumps(content, indent=1))
        except OSError as error:
            raise cannot(f"write {path}", error, error.strerror) from error


def _command():
    return shlex.join(["python", "-m", "tfcl.search", *sys.argv[1:]])


def main(argv: Sequence[str]) -> None:
    """Entry point; see the module."""
    del argv
    given = flags.FLAGS
    ranges = dict(parse_range(text) for text in given.range)
    if len(ranges) != len(given.range):
        raise UserError("--range names a binding twice. Give one range each.")
    search = Search(
        given.model_dir,
        command_flags.gin_files(),
        command_flags.gin_bindings(),
        ranges,
        given.search_seed,
        given.objective,
        given.data_dir,
        given.sampler,
        given.allow_other_numerics,
    )
    study = search.run(given.n_trials)
    done = [trial for trial in study.trials if trial.value is not None]
    if not done:
        raise RunError("No trial came to its end; see the messages above.")
    for trial in study.trials:
        value = "failed" if trial.value is None else f"{trial.value:.2%}"
        print(f"trial {trial.number}: {value}  {trial.params}")
    best = study.best_trial
    print(f"best: trial {best.number}, {best.value:.2%} ({search.objective})")
    print(f"in {search.model_dir}/trial_{best.number:03d}")


if __name__ == "__main__":
    command_flags.define_gin()
    flags.DEFINE_multi_string(
        "range", None, "One range; repeats.", required=True
    )
    flags.DEFINE_integer(
        "n_trials",
        None,
        "Trials in all, those made before counted. Default: 5, of a grid all.",
        1,
    )
    flags.DEFINE_enum(
        "sampler", "tpe", list(SAMPLERS), "What chooses the values."
    )
    flags.DEFINE_integer("search_seed", 1, "Seed of what is tried.", 0)
    flags.DEFINE_enum(
        "objective", "validation", OBJECTIVES, "Accuracy to maximise."
    )
    command_flags.define_other_numerics()
    command_flags.define_data_dir()
    command_flags.define_model_dir()
    commands.run(main)
