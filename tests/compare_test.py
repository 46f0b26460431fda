"""Runs side by side: what is one row, its numbers, what is refused."""

import csv
import json
from unittest import mock

import numpy as np
import PIL.Image
import pytest

from tfcl import commands, compare
from tfcl.errors import RunError, UserError
from tfcl.metrics import accuracy_matrix
from tfcl.reporting import comparison

_NAMES = ("fish", "birds")


def _run(folder, R, method="SPG", works=(1, 1), names=_NAMES, **bindings):
    """A run with the accuracies R."""
    folder.mkdir()
    tasks = [
        {
            "name": names[k],
            "visit": k,
            "index": k,
            "class_names": ["a", "b"],
            "phases": [{"epochs": 3}] * works[k],
            "test_accuracy": R[k][k],
            "footprint": {"task_bytes": 10, "shared_bytes": 1000},
            "method": {"blocked": 0.25, "configuration": "01", "wide": True},
        }
        for k in range(len(R))
    ]
    results = {
        "method": method,
        "stream": "pets",
        "tasks": tasks,
        "task_names": list(names),
        "visits": list(range(len(R))),
        "accuracy_matrix": R,
        "metrics": accuracy_matrix.summarise(np.array(R, float)),
        "seconds": 90.0,
        "global_step": 70,
        "bindings": {key.replace("__", "."): v for key, v in bindings.items()},
    }
    (folder / "results.json").write_text(json.dumps(results))
    return str(folder)


@pytest.fixture(name="seeds")
def _seeds(tmp_path):
    """Two runs of SPG that differ in their seed, and where they ran."""
    return [
        _run(
            tmp_path / "a",
            [[0.9, None], [0.7, 0.5]],
            Experiment__seed="0",
            Runtime__threads="1",
        ),
        _run(
            tmp_path / "b",
            [[0.8, None], [0.4, 0.6]],
            Experiment__seed="1",
            Runtime__threads="2",
        ),
    ]


def _rows(folders, **references):
    runs = comparison.read_runs(folders, **references)
    return comparison.rows_of(runs, commands.SAME_ROW)


def test_runs_that_differ_in_seeds_alone_are_one_row(seeds):
    (row,) = _rows(seeds)
    assert [run.folder for run in row.runs] == seeds
    # Final averages 0.6 and 0.5.
    spread = row.spread("average_accuracy")
    assert spread["mean"] == pytest.approx(0.55)
    assert spread["std"] == pytest.approx(0.1 / np.sqrt(2))
    assert row.spread("backward_transfer")["mean"] == pytest.approx(-0.3)
    assert row.spread("stored_bytes")["mean"] == 1020
    assert row.spread("method/blocked")["mean"] == 0.25
    assert row.spread("steps")["mean"] == 70
    # Texts and truth values are no numbers, and this metric is undefined.
    for name in ("method/configuration", "method/wide", "forward_transfer"):
        assert row.spread(name) is None
    text = comparison.markdown([row])
    title, _, header, _, line = text.splitlines()
    assert title == "pets, 2/2 tasks"
    assert header.startswith(
        "| runs | method | epochs, seeds | learned % | final % |"
    )
    told = f"| {seeds[0]}, {seeds[1]} | SPG | seeds 0, 1 | 70.0 ± 0.0 |"
    assert f"{told} 55.0 ± 7.1 |" in line
    assert line.endswith("| −30.0 ± 14.1 | 1.02 kB | 1.5 |")


def test_rows_name_the_settings_in_which_they_differ(seeds, tmp_path):
    R = [[0.5, None], [0.5, 0.5]]
    hard = {"Experiment__seed": "0", "SPG__cross_head": "False"}
    other = _run(tmp_path / "c", R, **hard)
    short = _run(tmp_path / "d", R[:1], **hard)
    naive = _run(tmp_path / "e", R, method="FineTuning")
    rows = _rows([*seeds, other, short, naive])
    assert [len(row.runs) for row in rows] == [2, 1, 1, 1]
    assert [row.settings for row in rows] == [
        "SPG.cross_head = default, after 2 tasks",
        "SPG.cross_head = False, after 2 tasks",
        "SPG.cross_head = False, after 1 tasks",
        "",
    ]
    text = comparison.markdown(rows)
    assert "| settings | epochs, seeds | tasks |" in text
    assert text.count("| 2/2 |") == 3
    # One task has no forgetting; others do.
    assert "| – |" in text
    labels = comparison.figure(rows).axes[0].get_legend().get_texts()
    assert len(labels) == 4


def test_references_give_what_is_gained_over_them(seeds, tmp_path):
    single = _run(tmp_path / "one", [[0.8, None], [0.8, 0.7]], method="STL")
    joint = _run(tmp_path / "mtl", [[0.9, None], [0.9, 0.75]], method="Joint")
    (row,) = _rows(seeds[:1], single_task=single, joint=joint)
    heading = "| over individual | final over individual | intransigence |"
    assert heading in comparison.markdown([row])
    # Learned 0.9 and 0.5, in the end 0.7 and 0.5.
    assert row.spread("gain_over_single_task")["mean"] == pytest.approx(-0.05)
    assert row.spread("final_gap_to_single_task")["mean"] == pytest.approx(
        -0.15
    )
    assert row.spread("intransigence")["mean"] == pytest.approx(0.125)
    assert "| −5.0 | −15.0 | +12.5 |" in comparison.markdown([row])


def test_a_run_that_waits_for_the_last_task_has_numbers_of_the_end(tmp_path):
    R = [[0.1, None], [0.9, 0.8]]
    (row,) = _rows([_run(tmp_path / "mtl", R, method="Joint", works=(0, 1))])
    assert row.spread("average_accuracy")["mean"] == pytest.approx(0.85)
    for name in ("learning_accuracy", "forgetting", "backward_transfer"):
        assert row.spread(name) is None
    (line,) = comparison.figure([row]).axes[0].get_lines()
    np.testing.assert_allclose(line.get_ydata(), [np.nan, 85])


def test_tasks_that_came_again_count_from_their_last_visit(tmp_path):
    folder = _run(tmp_path / "a", [[0.9, None], [0.7, 0.5]])
    path = tmp_path / "a" / "results.json"
    found = json.loads(path.read_text())
    found["accuracy_matrix"].append([0.6, 0.4])
    found["visits"] = [0, 1, 0]
    found["tasks"][0] |= {"visit": 2, "test_accuracy": 0.6}
    path.write_text(json.dumps(found))
    single = _run(tmp_path / "one", [[0.5, None], [0.5, 0.5]], method="STL")
    (row,) = _rows([folder], single_task=single)
    # Learned: birds 0.5, fish 0.6.
    assert row.spread("gain_over_single_task")["mean"] == pytest.approx(0.05)


def test_everything_is_written(seeds, tmp_path, capsys):
    rows = _rows(seeds)
    compare.write(tmp_path / "out", rows)
    assert (tmp_path / "out/compare.md").read_text().startswith("pets")
    with open(tmp_path / "out/compare.csv", newline="") as file:
        (line,) = csv.DictReader(file)
    assert (line["seeds"], line["tasks"]) == ("2", "2")
    assert float(line["average_accuracy"]) == pytest.approx(0.55)
    assert float(line["average_accuracy_std"]) == pytest.approx(0.0707107)
    with PIL.Image.open(tmp_path / "out/average_accuracy.png") as image:
        image.verify()
    with mock.patch.object(
        compare, "write_atomically", side_effect=OSError(28, "No space")
    ):
        with pytest.raises(RunError, match="compare.md: No space"):
            compare.write(tmp_path / "out", rows)
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "begin"),
    [("a.md", b"pets"), ("b.CSV", b"runs,"), ("c.png", b"\x89PNG")],
)
def test_an_output_with_an_ending_is_one_file(seeds, tmp_path, name, begin):
    path = tmp_path / "out" / name
    assert compare.write(path, _rows(seeds)) == path
    assert path.read_bytes().startswith(begin)
    assert [each.name for each in path.parent.iterdir()] == [name]


def test_rows_of_other_methods_differ_in_what_both_have(seeds, tmp_path):
    R = [[0.5, None], [0.5, 0.5]]
    mine = _run(
        tmp_path / "c", R, SPG__gamma="2", TaskTraining__epochs="60",
        Experiment__method="@SPG()",
    )  # fmt: skip
    other = _run(
        tmp_path / "d", R, method="EWC", EWC__strength="1",
        TaskTraining__epochs="30", Experiment__method="@EWC()",
    )  # fmt: skip
    assert [row.settings for row in _rows([mine, other])] == [
        "TaskTraining.epochs = 60",
        "TaskTraining.epochs = 30",
    ]


def test_a_band_shows_the_deviation_and_a_line_the_mean(seeds):
    (axes,) = comparison.figure(_rows(seeds)).axes
    np.testing.assert_allclose(axes.get_lines()[0].get_ydata(), [85, 55])
    (band,) = axes.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == pytest.approx(55 - 10 / np.sqrt(2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ("fish", "cars")}, "has not learned the task 'birds'"),
        ({"works": (1, 0)}, "has not trained at the task 'birds'"),
    ],
)
def test_references_on_other_tasks_are_refused(
    seeds, tmp_path, change, message
):
    other = _run(tmp_path / "x", [[0.5, None], [0.5, 0.5]], **change)
    with pytest.raises(UserError, match=message):
        _rows(seeds, single_task=other)


def test_runs_must_be_there_once(seeds, tmp_path):
    with pytest.raises(UserError, match="a is given twice"):
        _rows([*seeds, seeds[0]])
    with pytest.raises(UserError, match="nowhere has no results of a run"):
        _rows([tmp_path / "nowhere"])
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "results.json").write_text('{"tasks": []}')
    with pytest.raises(UserError, match="has not learned a task yet"):
        _rows([empty])


def test_runs_must_be_named(capsys):
    with pytest.raises(SystemExit) as ended, commands.one_line_errors():
        compare.main(["compare"])
    assert ended.value.code == 2
    assert "Which runs?" in capsys.readouterr().err


def test_runs_of_different_precision_are_never_one_row(seeds, tmp_path):
    """Whether a task was learned with it, or all of an older run."""
    R = [[0.5, None], [0.5, 0.5]]
    older = _run(tmp_path / "c", R, Runtime__precision="'mixed_bfloat16'")
    explicit = _run(tmp_path / "d", R, Runtime__precision="'float32'")
    mixed = _run(tmp_path / "e", R)
    path = tmp_path / "e" / "results.json"
    found = json.loads(path.read_text())
    for task, precision in zip(found["tasks"], ("float32", "mixed_bfloat16")):
        task["numerics"] = [{"Runtime.precision": precision}]
    path.write_text(json.dumps(found))
    rows = _rows([*seeds, older, explicit, mixed])
    assert [[run.folder for run in row.runs] for row in rows] == [
        [*seeds, explicit],
        [older],
        [mixed],
    ]
    assert [row.settings for row in rows] == [
        "Runtime.precision = float32",
        "Runtime.precision = mixed_bfloat16",
        "Runtime.precision = float32, then mixed_bfloat16",
    ]
