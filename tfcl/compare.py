"""Compares runs: `python -m tfcl.compare RUN [RUN ...]`.

Runs that differ in their seeds alone are one row: mean and sample deviation.
With `--output=FOLDER` the table is written as Markdown, every value as CSV, and
the average accuracy over the tasks as a figure; `--output=FILE.md`, `.csv` or
`.png` writes one of them.
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
from tfcl.reporting.terminal import comparison_table

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Sequence
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
    console = Console()
    console.print(comparison_table.shown(rows, console.width), soft_wrap=True)
    if given.output:
        print(f"in {write(given.output, rows)}")


def write(
    output: str | pathlib.Path, rows: Sequence[Any]
) -> str | pathlib.Path:
    """Writes compare.md, compare.csv and average_accuracy.png.

    Args:
        output: Folder of all three; or a file, whose ending .md, .csv or .png
            says which of them it is to hold.
        rows: Of `comparison.rows_of`.

    Returns:
        The folder or file, as given.

    Raises:
        RunError: If it cannot be written.
    """
    contents: dict[str, Callable[[], bytes | str]] = {
        "compare.md": lambda: comparison.markdown(rows),
        "compare.csv": lambda: comparison.to_csv(rows),
        "average_accuracy.png": lambda: drawing.png_bytes(
            comparison.figure(rows)
        ),
    }
    path = pathlib.Path(output)
    paths = {path / name: content for name, content in contents.items()}
    for name, content in contents.items():
        if path.suffix.lower() == pathlib.Path(name).suffix:
            paths = {path: content}
    for file, content in paths.items():
        try:
            write_atomically(file, content())
        except OSError as error:
            raise cannot(
                f"write {file}",
                error,
                error.strerror,
                then="or give another --output",
            ) from error
    return output


if __name__ == "__main__":
    command_flags.define_path(
        "single_task",
        "Run of individual networks, one per task, to compare the others to.",
    )
    command_flags.define_path(
        "joint", "Run that trains jointly on all tasks so far, likewise."
    )
    command_flags.define_path(
        "output",
        "Folder for table, values, figure; or a file .md, .csv or .png.",
    )
    commands.run(main)
