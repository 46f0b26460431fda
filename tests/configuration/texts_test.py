"""Configurations as texts: the same in any process, and compared."""

import os
import pathlib
import subprocess
import sys

import pytest

from tfcl import configuration
from tfcl.errors import UserError


def test_bindings_are_the_same_in_another_process():
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "import gin\n"
        "@gin.configurable\n"
        "def probe_other(a=1, b=2, c=3): pass\n"
        "from tfcl import configuration\n"
        "configuration.load([], ['probe_other.c = @s/probe_other()',"
        " 'N = 1e-4', 's/probe_other.b = {\"y\": %N, \"x\": 1}',"
        " 'probe_other.a = @probe_other'])\n"
        "print(configuration.bindings())\n"
        # Slow to import, and no part of reading a file.
        "assert not {'tensorflow', 'keras', 'optuna'} & set(sys.modules)"
    )
    root = str(pathlib.Path(__file__).resolve().parents[2])
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program, root],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {
        "{'probe_other.a': '@probe_other', "
        "'probe_other.c': '@s/probe_other()', "
        "'s/probe_other.b': \"{'x': 1, 'y': 0.0001}\"}\n"
    }


def test_a_saved_text_is_read_without_its_modules():
    found = configuration.parse_bindings(
        "import not_there\nLR = 0.1\nOPT = @Gone()\n\n"
        "Gone.rate = %LR\na/b/Gone.parts = [%OPT, %UNKNOWN, -1]\n"
    )
    assert found == {
        "Gone.rate": "0.1",
        "a/b/Gone.parts": "[@Gone(), %UNKNOWN, -1]",
    }


def test_a_saved_text_that_is_damaged_is_refused():
    with pytest.raises(UserError, match="^saved configuration, line 2: "):
        configuration.parse_bindings("A.b = 1\nA.c =\n")


def test_differences_are_lines_for_people():
    old = {"A.rate": "0.1", "s/B.x": "1", "HPS.configuration": "'0011'"}
    new = {"A.rate": "0.2", "s/B.x": "2", "m.C.y": "3"}
    assert configuration.differences(old, new, ignore=["B"]) == [
        "A.rate: 0.1 -> 0.2",
        "HPS.configuration: '0011' -> (not set)",
        "m.C.y: (not set) -> 3",
    ]
    assert configuration.differences(old, new, ["A", "B", "C", "HPS"]) == []
    names = ["A.rate", "B.x", "C.z", "HPS"]
    assert configuration.differences(old, new, names) == [
        "m.C.y: (not set) -> 3"
    ]
    assert configuration.differences(old, dict(old)) == []
