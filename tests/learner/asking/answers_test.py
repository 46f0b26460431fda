"""Answers as text, CSV and JSON lines."""

import csv
import json
import types

import numpy as np
import pytest

from tfcl.learner.asking import answers
from tfcl.learner.asking.answers import best, writer

_BIRDS = types.SimpleNamespace(name="birds", class_names=("crow", "a,\x1bb"))
_BOATS = types.SimpleNamespace(name="boats", class_names=("raft", "ferry"))
_FOUND = [
    (_BIRDS, np.array([0.25, 0.75], np.float32)),
    (_BOATS, np.array([0.5, 0.5], np.float32)),
]


@pytest.fixture(name="said")
def _said(monkeypatch):
    said = []
    monkeypatch.setattr(answers.logging, "info", lambda *a: said.append(a[1]))
    return said


def test_the_most_probable_come_first_and_equal_ones_in_their_order():
    assert best(_BIRDS, _FOUND[0][1], 5) == [("a,\x1bb", 0.75), ("crow", 0.25)]
    assert best(_BOATS, _FOUND[1][1], 1) == [("raft", 0.5)]


def test_text_of_one_task_is_a_line(capsys, said):
    writer("text", 2, chosen=True).write("x\n.png", _FOUND[:1])
    assert capsys.readouterr().out == (
        "x\\n.png: a,\\x1bb 0.7500, crow 0.2500\n"
    )
    assert not said


def test_text_of_all_tasks_stands_side_by_side(capsys, said):
    writer("text", 1, chosen=False).write("x.png", _FOUND)
    assert capsys.readouterr().out == (
        "x.png\n  birds: a,\\x1bb 0.7500\n  boats: raft 0.5000\n"
    )
    (line,) = said
    assert "None of them is chosen" in line


def test_csv_has_a_row_per_class(capsys, said):
    written = writer("csv", 2, chosen=False)
    written.write("a b.png", _FOUND)
    written.write("c.png", _FOUND[1:])
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert len(rows) == 6 and rows[1] == {
        "file": "a b.png",
        "task": "birds",
        "rank": "2",
        "class": "crow",
        "probability": "0.250000",
    }
    assert rows[0]["class"] == "a,\\x1bb"
    assert said


def test_json_lines_have_an_object_per_task(capsys, said):
    writer("jsonl", 1, chosen=False).write("\x1b.png", _FOUND)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert [json.loads(line) for line in out.splitlines()] == [
        {
            "file": "\x1b.png",
            "task": "birds",
            "top": [{"class": "a,\x1bb", "probability": 0.75}],
        },
        {
            "file": "\x1b.png",
            "task": "boats",
            "top": [{"class": "raft", "probability": 0.5}],
        },
    ]
