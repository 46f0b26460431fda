"""`tfcl` and its commands, as they are typed."""

import os
import subprocess
import sys

import pytest

import tfcl
from tfcl import __main__ as console


def _typed(*words):
    return subprocess.run(
        [sys.executable, "-m", "tfcl", *words],
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def said(monkeypatch, capsys):
    def say(*words):
        monkeypatch.setattr(sys, "argv", ["tfcl", *words])
        console.main()
        return capsys.readouterr().out

    return say


@pytest.mark.parametrize("words", [(), ("--help",), ("help",)])
def test_it_lists_its_commands(said, words):
    lines = said(*words).splitlines()
    for name in console._COMMANDS:
        (line,) = [line for line in lines if line.startswith(f"  {name} ")]
        assert line.endswith(".") and len(line) > 20, line


def test_it_says_its_version(said):
    assert said("--version") == f"tfcl {tfcl.__version__}\n"


def test_an_unknown_command_is_one_line(said, capsys):
    with pytest.raises(SystemExit) as ended:
        said("trian")
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tfcl: error: There is no command 'trian'. Did you")
    assert "'tfcl train'" in line


def test_commands_know_their_flags_with_those_they_require():
    ended = _typed("evaluate", "--help")
    assert "--data_dir: " in ended.stdout
    assert "--model_dir: Folder of the run. Required." in ended.stdout
    assert "python -m tfcl.evaluate --model_dir=..." in ended.stdout


def test_a_command_gets_the_rest_of_the_words(tmp_path):
    ended = _typed("predict", f"--model_dir={tmp_path}", "--task=x", "no.png")
    assert ended.returncode == 2, ended.stderr
    assert "no.png" in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "words", [(), ("train", "--list"), ("build", "--list"), ("add", "--help")]
)
def test_a_reader_that_has_seen_enough_is_no_error(words):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "tfcl", *words],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, "")
