"""Terminals of any encoding take what commands write."""

import io
import sys

import numpy as np
import pytest
from rich.console import Console

from tfcl.configuration import messages
from tfcl.metrics import accuracy_matrix
from tfcl.reporting import tables

_R = [[0.3, None], [0.5, 0.75]]


def _results(name):
    """What the final table needs, with a task of that name."""
    task = {
        "validation_accuracy": None,
        "epochs": 1,
        "seconds": 1.0,
        "visit": 0,
        "class_names": ["a", "b"],
        "footprint": {
            "task_parameters": 3,
            "task_bytes": 10,
            "shared_bytes": 1000,
        },
        "method": {},
        "phases": [],
    }
    return {
        "method": "LASEM",
        "stream": "pets",
        "tasks": [
            {**task, "name": name, "index": 0, "test_accuracy": 0.5},
            {**task, "name": "b", "index": 1, "test_accuracy": 0.75},
        ],
        "task_names": [name, "b"],
        "accuracy_matrix": _R,
        "visits": [0, 1],
        "metrics": accuracy_matrix.summarise(np.array(_R, float)),
        "seconds": 2.0,
        "global_step": 7,
        "skipped_steps": 0,
    }


def _shown(monkeypatch, encoding, write):
    """What `write` leaves on a terminal of an encoding."""
    content = io.BytesIO()
    terminal = io.TextIOWrapper(content, encoding=encoding)
    monkeypatch.setattr(sys, "stdout", terminal)
    messages.write_what_the_terminal_can()
    write()
    terminal.flush()
    return content.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8", "cp1252"])
def test_the_final_table_is_written_in_every_encoding(monkeypatch, encoding):
    name = "Vögel_鳥"

    def write():
        results = _results(name)
        Console().print(tables.final_table(results))
        Console().print(tables.summary_line(results))

    shown = _shown(monkeypatch, encoding, write)
    if encoding == "utf-8":
        assert name in shown and "−20.0" in shown
    else:
        # A minus stays one: not "?20.0", not "20.0".
        assert "-20.0" in shown and r"gel_\u9ce5" in shown.replace("\n", "")


def test_names_that_are_no_text_end_no_command(monkeypatch):
    shown = _shown(monkeypatch, "utf-8", lambda: print("f\udce9"))
    assert shown == "f\\udce9\n"


def test_the_listing_of_what_there_is_is_plain_in_ascii(monkeypatch):
    signs = "− – — ± × → …"
    shown = _shown(monkeypatch, "ascii", lambda: print(signs))
    assert shown.split() == ["-", "-", "-", "+-", "x", "->", "..."]
