"""`results.json` out of names, numbers and arrays."""

import dataclasses

import numpy as np

from tfcl.reporting import results
from tfcl.reporting.answers.figures import task_confusion
from tfcl.reporting.run_facts import LearnedSoFar, RunFacts

_NAN = np.nan
_FACTS = RunFacts(
    method="LASEM",
    stream="pets",
    seed=3,
    command="python -m tfcl.train",
    distribution="none",
    replicas=1,
    task_names=("cats", "dogs"),
    test_sizes=(10, 30),
    order=(0, 1, 0),
)


def _visit(number, index, row, own):
    return {
        "index": index,
        "visit": number,
        "name": _FACTS.task_names[index],
        "fingerprint": "f",
        "seconds": 1.0,
        "notes": {"width": number},
        "footprint": {"task_parameters": own, "shared_parameters": 100},
        "row": row,
        "losses": [1.0 - each for each in row],
        "top5": [None] * len(row),
    }


_RECORDS = [
    _visit(0, 0, [0.5], 7),
    _visit(1, 1, [0.25, 0.75], 5),
    _visit(2, 0, [1.0, 0.5], 9),
]
_HISTORY = {
    "train/loss": np.arange(100.0),
    "prior": np.linspace(0.0, 1.0, 200).reshape(100, 2),
}


def _learned(count, **changes):
    matrix = np.array([[0.5, _NAN], [0.25, 0.75], [1.0, 0.5]])[:count]
    learned = LearnedSoFar(
        visits=_RECORDS[:count],
        histories=[_HISTORY] * count,
        accuracy_matrix=matrix,
        loss_matrix=1.0 - matrix,
        top5_matrix=np.full((count, 2), _NAN),
        seconds=3.0,
        global_step=12,
        skipped_steps=1,
        bindings={"pets.data_seed": "5", "LASEM.prior": "'mean'"},
    )
    return dataclasses.replace(learned, **changes)


def test_a_run_that_goes_on_and_one_that_is_finished():
    going, done = (results.collect(_FACTS, _learned(k)) for k in (2, 3))
    assert (going["finished"], done["finished"]) == (False, True)
    assert going["accuracy_matrix"] == [[0.5, None], [0.25, 0.75]]
    assert going["loss_matrix"] == [[0.5, None], [0.75, 0.25]]
    assert going["seeds"] == {"run": 3, "data_seed": "5"}
    assert (going["method"], going["stream"]) == ("LASEM", "pets")
    assert (going["global_step"], going["skipped_steps"]) == (12, 1)
    assert going["task_names"] == ["cats", "dogs"]
    nothing = results.collect(_FACTS, _learned(0))
    assert (nothing["tasks"], nothing["metrics"]) == ([], {})


def test_a_task_seen_again_counts_from_its_last_visit():
    found = results.collect(_FACTS, _learned(3))
    assert found["visits"] == [0, 1, 0]
    assert [task["visit"] for task in found["tasks"]] == [2, 1]
    assert [task["visit"] for task in found["earlier_visits"]] == [0]
    assert found["metrics"]["average_accuracy"] == 0.75
    # 100 shared parameters; the tasks own 5, then 9 more, of the last visits.
    efficiency = found["metrics"]["model_size_efficiency"]
    assert efficiency == (1 + 105 / 114) / 2


def test_a_task_is_shown_without_what_stands_in_the_matrices():
    (task, _) = results.collect(_FACTS, _learned(2))["tasks"]
    assert not {"row", "losses", "top5", "notes"} & task.keys()
    assert (task["test_accuracy"], task["method"]) == (0.5, {"width": 0})
    # Vectors per epoch alone, thinned out, the first and the last kept.
    (name,) = task["vectors"]
    shown = task["vectors"][name]
    assert name == "prior" and len(shown["epochs"]) == 60
    assert (shown["epochs"][0], shown["epochs"][-1]) == (1, 100)
    assert shown["values"][-1] == [round(198 / 199, 6), 1.0]


_TOLD = {
    "tasks": [0, 1],
    "aware": [0.75, 0.5],
    "agnostic": [0.5, 0.25],
    "believed": [[3, 1], [2, 2]],
}


def test_what_is_answered_without_the_task_stands_beside():
    domains = dataclasses.replace(_FACTS, scenario="domain")
    metrics = results.collect(domains, _learned(2))["metrics"]
    agnostic = metrics["task_agnostic_accuracy"]
    assert agnostic == metrics["average_accuracy"]
    found = results.collect(_FACTS, _learned(2, task_agnostic=_TOLD))
    assert found["task_agnostic"] == _TOLD
    metrics = found["metrics"]
    assert metrics["task_aware_accuracy"] == 0.625
    assert metrics["task_agnostic_accuracy"] == 0.375
    # The images of one task are gone: the mean would be of other tasks.
    gone = {**_TOLD, "aware": [0.75, None], "agnostic": [0.5, None]}
    found = results.collect(_FACTS, _learned(2, task_agnostic=gone))
    assert not {"task_aware_accuracy"} & found["metrics"].keys()


def test_the_task_confusion_is_in_shares_of_a_task_s_images():
    figure = task_confusion([[3, 1], None], ["cats", "dogs"])
    (mesh,) = figure.axes[0].images or figure.axes[0].collections
    values = np.ma.filled(mesh.get_array(), _NAN).reshape(2, 2)
    np.testing.assert_array_equal(values, [[75.0, 25.0], [_NAN, _NAN]])


def test_five_best_answers_count_for_the_tasks_that_have_them():
    top5 = np.array([[_NAN, _NAN], [_NAN, 0.5]])
    found = results.collect(_FACTS, _learned(2, top5_matrix=top5))
    assert found["metrics"]["average_top5_accuracy"] == 0.5
    assert found["top5_accuracy_matrix"] == [[None, None], [None, 0.5]]
    found = results.collect(_FACTS, _learned(2))
    assert "average_top5_accuracy" not in found["metrics"]
