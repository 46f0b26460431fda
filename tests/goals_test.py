"""Goals from the results of runs."""

import json
import math

import pytest

from tfcl import commands, goals
from tfcl.errors import UserError
from tfcl.methods.cpg.accuracy_goals import GoalFile


def _run(folder, **accuracies):
    folder.mkdir()
    tasks = [
        {"name": name, "validation_accuracy": accuracy}
        for name, accuracy in accuracies.items()
    ]
    (folder / "results.json").write_text(json.dumps({"tasks": tasks}))
    return folder


@pytest.fixture(name="runs")
def _runs(tmp_path):
    return [
        _run(tmp_path / "a", fish=0.5, birds=0.75),
        _run(tmp_path / "b", fish=1.0, birds=0.25),
    ]


def test_goals_are_the_mean_or_the_largest_of_runs(runs):
    assert goals.goals_of(runs) == {"fish": 0.75, "birds": 0.5}
    assert goals.goals_of(runs, "max") == {"fish": 1.0, "birds": 0.75}
    assert goals.goals_of(runs[:1]) == {"fish": 0.5, "birds": 0.75}


def test_runs_of_other_tasks_are_refused(runs, tmp_path):
    other = _run(tmp_path / "c", fish=0.5)
    with pytest.raises(UserError, match="has learned other tasks than"):
        goals.goals_of([*runs, other])


@pytest.mark.parametrize("missing", [None, math.nan])
def test_runs_that_were_not_validated_are_refused(tmp_path, missing):
    run = _run(tmp_path / "a", fish=0.5, birds=missing, cars=missing)
    with pytest.raises(UserError, match="accuracy of the tasks birds, cars:"):
        goals.goals_of([run])


def test_folders_without_results_are_named(tmp_path):
    with pytest.raises(UserError, match="nowhere has no results of a run"):
        goals.goals_of([tmp_path / "nowhere"])


def test_the_file_can_be_read_by_the_method(runs, tmp_path, capsys):
    path = tmp_path / "goals.json"
    goals.write(path, goals.goals_of(runs))
    assert "2 goals in" in capsys.readouterr().out
    file = GoalFile(str(path))
    file.check(["fish", "birds"])
    assert file.of("birds", unpruned=0.1) == 0.5


def test_runs_must_be_named(capsys):
    with pytest.raises(SystemExit) as ended, commands.one_line_errors():
        goals.main(["goals"])
    assert ended.value.code == 2
    assert "Which runs?" in capsys.readouterr().err


def test_accuracies_may_be_texts_as_in_the_published_files(tmp_path):
    path = tmp_path / "goals.json"
    path.write_text('{"imagenet": "0.7616", "flowers": 0.9656}')
    file = GoalFile(str(path))
    file.check(["imagenet", "flowers"])
    assert file.of("imagenet", 0.0) == 0.7616
    assert file.of("flowers", 0.0) == 0.9656
    path.write_text('{"imagenet": "good"}')
    with pytest.raises(UserError, match="accuracies between 0 and 1"):
        GoalFile(str(path)).check(["imagenet"])


@pytest.mark.parametrize(
    "name, tasks",
    [
        (
            "finegrained",
            "imagenet cubs_cropped stanford_cars_cropped flowers wikiart "
            "sketches",
        ),
        (
            "faces",
            "face_verification gender emotion age0 age1 age2 age3 age4",
        ),
    ],
)
def test_the_published_goals_are_at_hand(name, tasks):
    file = GoalFile(f"gin/goals/{name}.json")
    file.check(tasks.split())
    assert all(0.5 < file.of(task, 0.0) < 1.0 for task in tasks.split())
