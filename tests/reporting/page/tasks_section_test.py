"""The table of tasks: what differs is a column, what does not a line."""

import pytest

from tfcl.reporting.page import tasks_section


def _results(*epochs, configuration=""):
    tasks = [
        {
            "index": k,
            "visit": k,
            "name": f"task {k}",
            "class_names": ["a", "b"],
            "sizes": {"train": 8, "validation": 2, "test": 4},
            "epochs": count,
            "seconds": 60.0,
            "test_accuracy": 0.5,
            "footprint": {"task_parameters": 10, "task_bytes": 40},
            "method": {"configuration": configuration},
        }
        for k, count in enumerate(epochs)
    ]
    rows = [[0.5] * (k + 1) for k in range(len(epochs))]
    return {"tasks": tasks, "accuracy_matrix": rows}


def test_what_is_the_same_for_all_tasks_is_a_line():
    page = tasks_section.section(_results(3, 5))
    line = page.partition("</p>")[0]
    assert line == (
        "<p>The same for all tasks: classes 2; train / validation / test "
        "8 / 2 / 4; parameters of task 10; size of task 40 bytes; minutes 1.0."
    )
    assert '<th class="n">epochs</th>' in page
    # Equal accuracies are still what one looks for.
    assert '<th class="n">final %</th>' in page
    assert "<th>task</th>" in page and "configuration" not in page


def test_a_single_task_has_all_its_columns():
    page = tasks_section.section(_results(3, configuration="01"))
    assert "The same" not in page
    assert '<th class="n">minutes</th><th>configuration</th>' in page


@pytest.mark.parametrize("configuration", ["01", "<b>"])
def test_texts_stand_to_the_left_and_are_escaped(configuration):
    results = _results(3, 3, configuration=configuration)
    results["tasks"][1]["method"]["configuration"] = "11"
    page = tasks_section.section(results)
    assert "<th>configuration</th>" in page and "<b>" not in page
