"""Compares runs: `python -m tfcl.compare RUN [RUN ...]`.

Runs that differ in their seeds alone are one row: mean and sample deviation.
With `--output` the table is written as Markdown, every value as CSV, and the
average accuracy over the tasks as a figure.
"""

from __future__ import annotations

import pathlib
import typing

from absl import flags
from rich.console import Console

from tfcl import commands
from tfcl.configuration import command_flags
from tfcl.engine.serving.written_again import mend_results
from tfcl.errors import UserError
from tfcl.files import cannot, write_atomically
from tfcl.reporting import comparison, drawing

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def main(argv: Sequence[str]) -> None:
    """Entry point; see the module."""
    if len(argv) < 2:
        raise UserError(
            "Which runs? python -m tfcl.compare RUN [RUN ...] "
            "[--single_task=RUN] [--joint=RUN] [--output=FOLDER]"
        )
    given = flags.FLAGS
    for folder in (*argv[1:], given.single_task, given.joint):
        if folder is not None:
            mend_results(folder)
    runs = comparison.read_runs(argv[1:], given.single_task, given.joint)
    rows = comparison.rows_of(runs, commands.SAME_ROW)
    Console().print(comparison.table(rows))
    if given.output:
        print(f"in {write(given.output, rows)}")


def write(
    folder: str | pathlib.Path, rows: Sequence[Any]
) -> str | pathlib.Path:
    """Writes compare.md, compare.csv and average_accuracy.png.

    Returns:
        The folder, as given.
    """
    contents: dict[str, bytes | str] = {
        "compare.md": comparison.markdown(rows),
        "compare.csv": comparison.to_csv(rows),
        "average_accuracy.png": drawing.png_bytes(comparison.figure(rows)),
    }
    for name, content in contents.items():
        try:
            write_atomically(pathlib.Path(folder) / name, content)
        except OSError as error:
            raise cannot(
                f"write {pathlib.Path(folder) / name}",
                error,
                error.strerror,
                then="or give another --output",
            ) from error
    return folder


if __name__ == "__main__":
    command_flags.define_path(
        "single_task",
        "Run of individual networks, one per task, to compare the others to.",
    )
    command_flags.define_path(
        "joint", "Run that trains jointly on all tasks so far, likewise."
    )
    command_flags.define_path("output", "Folder for table, values, figure.")
    commands.run(main)
