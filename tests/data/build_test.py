"""The former place of the program that builds data sets."""

import runpy

from tfcl import build, commands


def test_the_former_name_runs_the_program_and_says_where_it_went(
    monkeypatch, capsys
):
    ran = []
    monkeypatch.setattr(commands, "run", ran.append)
    runpy.run_module("tfcl.data.build", run_name="__main__")
    assert ran == [build.main]
    assert "is now python -m tfcl.build" in capsys.readouterr().err
