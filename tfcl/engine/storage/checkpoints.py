"""Checkpoints that survive kills, full disks and damaged files."""

from __future__ import annotations

import pathlib
import re
import shutil
import time
import typing
from typing import Annotated

import gin
import tensorflow as tf
from absl import logging

from tfcl.arguments import NonNegativeFloat, PositiveInt, at_least, checked
from tfcl.engine.storage.journal import Journal
from tfcl.errors import RunError
from tfcl.files import cannot, write_atomically
from tfcl.models.variables import derive

if typing.TYPE_CHECKING:
    from tfcl.methods.base import Method


_JOURNAL_KEY = "journal/.ATTRIBUTES/VARIABLE_VALUE"
# What TensorFlow makes of a damaged file; a short one is an IndexError.
_BROKEN = (tf.errors.OpError, ValueError, RuntimeError, LookupError)


@gin.configurable
class CheckpointPolicy:
    """How often a run is saved and how much is kept.

    Args:
        every_seconds: Time between checkpoints inside a phase; every phase
            and task edge is saved in any case.
        keep: Checkpoints kept, at least 2 (one to fall back to).
        steps_per_call: Longest stretch of steps in one traced call; the run
            can stop and save between calls.
    """

    @checked
    def __init__(
        self,
        every_seconds: NonNegativeFloat = 60.0,
        keep: Annotated[int, at_least(2)] = 2,
        steps_per_call: PositiveInt = 500,
    ):
        self.every_seconds = every_seconds
        self.keep = keep
        self.steps_per_call = steps_per_call


class Checkpoints:
    """Writes and reads the state of a run: journal, variables, optimizers.

    Args:
        folder: `model_dir/checkpoints`.
        policy: `CheckpointPolicy`.
        writes: False on workers other than the chief.
    """

    def __init__(
        self,
        folder: str | pathlib.Path,
        policy: CheckpointPolicy,
        writes: bool = True,
    ):
        self.folder = pathlib.Path(folder)
        self.policy = policy
        self.writes = writes
        self._restore_path: str | None = None
        self._found: list[int] = []
        # Number of the newest save that was complete, and of the one in use.
        self._complete = self._used = 0
        self._saved_at = time.monotonic()

    # Reading

    def newest(self) -> Journal | None:
        """The journal of the newest checkpoint that can be read, or None.

        Damaged checkpoints are named in a warning and passed over.

        Raises:
            RunError: If checkpoints were written but none can be read.
        """
        self._remove_leftovers()
        numbers = sorted(set(self._numbers()), reverse=True)
        self._complete = self._newest_complete(max(numbers, default=0))
        for number in numbers:
            path = self.folder / f"ckpt-{number}"
            try:
                text = _verified(path)
            except _BROKEN as error:
                reason = str(error).split("\n", maxsplit=1)[0]
                logging.warning(
                    "Checkpoint %s cannot be read (%s); trying the one "
                    "before it.",
                    path,
                    reason,
                )
                continue
            self._restore_path, self._used = str(path), number
            self._found = numbers[::-1]
            return Journal.loads(text)
        # Parts of a first save that never completed hold nothing to lose.
        if (self.folder / "checkpoint").exists() or max(numbers, default=0) > 1:
            raise RunError(
                f"No checkpoint in {self.folder} can be read, so the run "
                "cannot go on. The finished tasks in tasks/ are intact; start "
                "a new run in another --model_dir."
            )
        return None

    def earlier_state(self) -> str | None:
        """Says that what `newest` found is not the newest state, or None.

        A save that a kill has cut short is no state: only one that was
        complete and cannot be read any more is missed.
        """
        if self._used >= self._complete:
            return None
        return (
            f"checkpoint ckpt-{self._complete}, the newest, is damaged or "
            f"gone; this is the earlier state of ckpt-{self._used}"
        )

    def _newest_complete(self, last):
        """Number of the newest complete save, by TensorFlow's state file.

        Of a damaged state file it is `last`.
        """
        if not (self.folder / "checkpoint").exists() and last <= 1:
            return 0  # It appears when a first save is complete.
        try:
            state = tf.train.get_checkpoint_state(str(self.folder))
        except ValueError:  # No text, or not that of a state file.
            state = None
        path = "" if state is None else state.model_checkpoint_path
        match = re.search(r"ckpt-(\d+)$", path)
        return last if match is None else int(match.group(1))

    def restore(self, method: Method, between_tasks: bool) -> None:
        """Assigns the variables of the checkpoint that `newest` found.

        Args:
            method: `Method` whose variables exist.
            between_tasks: True restores what serves all tasks only: slot,
                optimizers and `Method.task_state` begin anew with the next
                task, and may have grown with a longer stream, as may
                `Method.widening`.
        """
        if self._restore_path is None:
            return
        parts = _parts(method)
        if between_tasks:
            parts = _lasting(method)
            _fill_leading_blocks(method, parts, self._restore_path)
        try:
            status = tf.train.Checkpoint(**parts).read(self._restore_path)
            status.assert_existing_objects_matched().expect_partial()
        except (ValueError, AssertionError) as error:
            reason = str(error).split("\n", maxsplit=1)[0]
            advice = (
                "this method cannot go on with it; start a new run in another "
                "--model_dir."
                if between_tasks
                else "let the old stream's task end first."
            )
            raise RunError(
                f"Checkpoint {self._restore_path} does not fit the network "
                f"that the configuration builds: {reason} If the stream has "
                f"grown, {advice}"
            ) from error
        derive(method.shared + method.slot)
        self._restore_path = None

    # Writing

    def due(self) -> bool:
        """Whether the time between checkpoints has passed."""
        elapsed = time.monotonic() - self._saved_at
        return elapsed >= self.policy.every_seconds

    def save(self, method: Method, journal: Journal) -> None:
        """Writes a checkpoint; the previous ones stay until it is complete.

        Raises:
            RunError: If the disk is full or not writable.
        """
        journal.saves += 1
        if self.writes:
            variable = tf.Variable(journal.dumps(), trainable=False)
            checkpoint = tf.train.Checkpoint(journal=variable, **_parts(method))
            try:
                self._mend_state()
                manager = tf.train.CheckpointManager(
                    checkpoint, str(self.folder), max_to_keep=self.policy.keep
                )
                manager.save(checkpoint_number=journal.saves)
            except (tf.errors.OpError, OSError) as error:
                raise cannot(
                    f"write a checkpoint to {self.folder}",
                    error,
                    kept="The last checkpoint is intact.",
                ) from error
        self._saved_at = time.monotonic()

    def _mend_state(self):
        """Writes TensorFlow's state file anew in a resumed run.

        Beside a damaged one it would not save, and without one it would
        never delete the checkpoints that are there.
        """
        names = [f"ckpt-{number}" for number in self._found]
        if names:
            lines = [f'model_checkpoint_path: "{names[-1]}"']
            for name in names:
                lines.append(f'all_model_checkpoint_paths: "{name}"')
                # Any time will do; a checkpoint without one is never deleted.
                lines.append("all_model_checkpoint_timestamps: 1.0")
            write_atomically(self.folder / "checkpoint", "\n".join(lines))
        self._found = []

    def _numbers(self):
        for file in self.folder.glob("ckpt-*"):
            match = re.fullmatch(r"ckpt-(\d+)\.(index|data-.*)", file.name)
            if match:
                yield int(match.group(1))

    def _remove_leftovers(self):
        if not self.writes:
            return
        for leftover in self.folder.glob("*_temp"):
            shutil.rmtree(leftover, ignore_errors=True)


def newest_journal(model_dir: pathlib.Path) -> Journal | None:
    """The journal of a run's newest whole checkpoint, None if it has none.

    Every tensor of the checkpoint is read, to verify it.

    Args:
        model_dir: Folder of the run.

    Raises:
        RunError: If there are checkpoints and none is whole.
    """
    folder = model_dir / "checkpoints"
    return Checkpoints(folder, CheckpointPolicy(), writes=False).newest()


def _parts(method):
    return {
        "shared": [v.variable.value for v in method.shared],
        "slot": [v.variable.value for v in method.slot],
        "state": [v.value for v in method.state],
        "optimizers": [
            v.value
            for name in sorted(method.optimizers)
            for v in method.optimizers[name].variables
        ],
    }


def _lasting(method):
    """What outlives a task: `{part: {number as text: variable}}`.

    Named as the children of the lists that `_parts` gives to a checkpoint.
    """
    passing = {id(variable) for variable in method.task_state}
    shared = [owned.variable for owned in method.shared]
    return {
        part: {
            str(number): variable.value
            for number, variable in enumerate(variables)
            if id(variable) not in passing
        }
        for part, variables in (("shared", shared), ("state", method.state))
    }


def _fill_leading_blocks(method, parts, path):
    """Gives variables that a longer stream has widened what is stored.

    They leave `parts`: TensorFlow restores whole variables only.
    """
    widening = {id(variable.value) for variable in method.widening}
    if not widening:
        return
    reader = tf.train.load_checkpoint(path)
    shapes = reader.get_variable_to_shape_map()
    for part, variables in parts.items():
        for number, variable in list(variables.items()):
            key = f"{part}/{number}/.ATTRIBUTES/VARIABLE_VALUE"
            stored, shape = shapes.get(key), variable.shape.as_list()
            if id(variable) not in widening or stored in (None, shape):
                continue
            if len(stored) == len(shape) and all(
                old <= new for old, new in zip(stored, shape)
            ):
                value = variable.numpy()
                block = tuple(slice(0, old) for old in stored)
                value[block] = reader.get_tensor(key)
                variable.assign(value)
                del variables[number]


def _verified(path):
    """The journal text, after every tensor's checksum was verified."""
    reader = tf.train.load_checkpoint(str(path))
    for key in reader.get_variable_to_shape_map():
        reader.get_tensor(key)
    return reader.get_tensor(_JOURNAL_KEY).decode("utf-8")
