"""Rows of runs on a terminal of 80 columns, in a pipe, in an old encoding."""

import io

import pytest
from rich.console import Console

from tfcl.configuration import messages
from tfcl.reporting import comparison
from tfcl.reporting.terminal import comparison_table

_LONG = "/data/experiments/2026/of_everybody/a_rather_long_name_of_a_run"
_NUMBERS = {
    "learning_accuracy": 0.9,
    "average_accuracy": 0.8,
    "forgetting": 0.123,
    "backward_transfer": -0.123,
    "gain_over_single_task": 0.01,
    "final_gap_to_single_task": -0.2,
    "intransigence": 0.125,
    "stored_bytes": 1_234_567,
    "seconds": 3600.0,
}


def _rows(method="LASEM-HPS"):
    def run(folder, seed, epochs):
        results = {
            "method": method,
            "stream": "pets",
            "tasks": [
                {"name": name, "epochs": count, "visit": 0}
                for name, count in zip(("cats", "dogs"), epochs)
            ],
            "task_names": ["cats", "dogs"],
            "bindings": {
                "Experiment.seed": seed,
                "TaskTraining.epochs": str(epochs[0]),
            },
        }
        return comparison.Run(folder, results, _NUMBERS)

    return comparison.rows_of(
        [
            run(f"{_LONG}_0", "0", [30, 30]),
            run(f"{_LONG}_1", "1", [30, 30]),
            run("runs/short", "0", [5, 12]),
        ]
    )


def _printed(rows, width=80, file=None):
    file = file or io.StringIO()
    console = Console(file=file, width=width)
    console.print(comparison_table.shown(rows, width), soft_wrap=True)
    return file


def test_folders_are_whole_and_tables_fit():
    lines = _printed(_rows()).getvalue().splitlines()
    text = "\n".join(lines)
    assert lines[0] == "pets, 2/2 tasks"
    for folder in (f"{_LONG}_0", f"{_LONG}_1", "runs/short"):
        assert folder in text
    assert "2 runs:" in text
    assert "30 epochs, seeds 0, 1, TaskTraining.epochs = 30" in text
    assert "5 to 12 epochs, seed 0, TaskTraining.epochs = 5" in text
    assert all(len(line) <= 80 for line in lines if _LONG not in line)
    # Every number of a row, in several tables, each with the row's number.
    for heading in ("learned %", "forgetting", "intransigence", "minutes"):
        assert heading in text
    assert sum(line.startswith("2 ") for line in lines) > 2
    assert text.count("LASEM-HPS") >= 6, "no name is broken"


def test_a_wide_terminal_has_one_table():
    lines = _printed(_rows(), width=200).getvalue().splitlines()
    (header,) = [line for line in lines if "learned %" in line]
    assert "minutes" in header


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_old_encodings_are_no_error(encoding, monkeypatch):
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr("sys.stdout", file)
    messages.write_what_the_terminal_can()
    _printed(_rows("Ж[red]"), file=file).flush()
    text = file.buffer.getvalue().decode(encoding)
    assert "-12.3" in text and "[red]" in text


def test_names_cannot_control_the_terminal():
    text = _printed(_rows("a\x1b[2Jb")).getvalue()
    assert "\x1b" not in text and r"a\x1b[2Jb" in text
