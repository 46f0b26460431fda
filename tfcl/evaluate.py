"""Measures a run again: `python -m tfcl.evaluate --model_dir=...`."""

from __future__ import annotations

import typing

from absl import flags
from rich.console import Console
from rich.table import Table

from tfcl import commands, configuration
from tfcl.configuration import command_flags
from tfcl.engine.experiment import Experiment
from tfcl.errors import RunError
from tfcl.learner import runs

if typing.TYPE_CHECKING:
    from collections.abc import Sequence


command_flags.define_data_dir()
command_flags.define_model_dir()


def main(argv: Sequence[str]) -> None:
    """Recomputes the last row of R from the bank and compares it."""
    del argv
    runs.load_run(flags.FLAGS.model_dir)
    with runs.explained():
        run = Experiment(
            model_dir=flags.FLAGS.model_dir,
            data_dir=flags.FLAGS.data_dir,
            bindings=configuration.bindings(),
        )
    try:
        runs.refuse_changed_file(run.model_dir, run.journal.bindings)
        found, recorded = run.measure_again()
    finally:
        run.close()
    earlier = run.earlier_state()
    title = str(run.model_dir)
    if earlier is not None:
        title += f": EARLIER STATE, after {len(recorded)} tasks"
    table = Table("task", "recorded %", "now %", title=title)
    for task, old, new in zip(run.stream, recorded, found):
        table.add_row(task.name, f"{100 * old:.2f}", f"{100 * new:.2f}")
    Console().print(table)
    if found != recorded:
        raise RunError(
            "The accuracies differ from the recorded ones: data, bank or "
            "TensorFlow version have changed since the run."
        )
    commands.refuse_earlier_state(earlier, "These numbers")


if __name__ == "__main__":
    commands.run(main)
