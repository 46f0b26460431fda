"""acc.csv, loss.csv and metrics_latest.json of a run."""

import csv
import functools
import json

import numpy as np

from tests.testing import toy_run
from tfcl.data.scenarios.repeated_stream import repeated_stream
from tfcl.reporting.tracked import latest


def _lines(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_files_under_the_names_of_spg(tmp_path):
    with toy_run.no_figures():
        found = toy_run.learn(tmp_path / "run")
    folder, run = tmp_path / "run", found.run
    assert (folder / "acc.csv").read_bytes() == found.csv
    losses = _lines(folder / "loss.csv")
    assert losses[0] == _lines(folder / "acc.csv")[0]
    # The bank's last task as it is served, by hand.
    task = run.stream.tasks[2]
    entry = run.bank.load(2, task.name)
    run.method.activate(entry.values, 2)
    measured = run.runner.measurement.evaluate(task.test, 250)
    np.testing.assert_allclose(float(losses[3][3]), measured.loss, atol=1e-6)
    assert [len([c for c in line if c]) for line in losses[1:]] == [2, 3, 4]
    numbers = json.loads((folder / "metrics_latest.json").read_text())
    matrix = run.journal.accuracy_matrix(3)
    names = [task.name for task in run.stream]
    for j, name in enumerate(names):
        assert numbers[f"acc__{name}"] == matrix[2, j]
        assert numbers[f"btf__{name}"] == matrix[2, j] - matrix[j, j]
    np.testing.assert_allclose(numbers["acc__Overall"], matrix[2].mean())
    assert numbers["epoch"] == 1
    assert 0 < numbers["sec_each_consumed"] < numbers["sec_total_consumed"]


def test_tasks_that_come_again_count_from_their_last_visit(tmp_path):
    stream = functools.partial(
        repeated_stream, stream=toy_run.toy_stream((2, 2)), order=[0, 1, 0]
    )
    with toy_run.no_figures():
        run = toy_run.learn(tmp_path, stream=stream).run
    numbers = latest(run.results())
    matrix = run.journal.accuracy_matrix(2)
    first, second = (task.name for task in run.stream)
    assert numbers[f"btf__{first}"] == 0.0
    assert numbers[f"btf__{second}"] == matrix[2, 1] - matrix[1, 1]
    assert latest({"tasks": []}) == {}
