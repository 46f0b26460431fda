"""Which metrics are in sight, and how the undefined ones are had."""

import numpy as np

from tfcl.metrics import accuracy_matrix
from tfcl.reporting.page import metrics_section

_R = [[0.9, None], [0.8, 0.85]]


def _page(R=_R, **given):
    R = np.array(R, float)
    return metrics_section.section(accuracy_matrix.summarise(R, **given))


def test_the_usual_metrics_are_in_sight_and_the_others_folded():
    page = _page(parameters=[10, 20])
    sight, _, folded = page.partition("<details>")
    for name in ("average accuracy", "learning accuracy", "forgetting"):
        assert f"<td>{name}<" in sight
    assert sight.count("<tr>") <= 7
    for name in ("retention ratio", "rem", "parameter growth"):
        assert f"<td>{name}<" not in sight and f"<td>{name}<" in folded
    assert "further metrics</summary>" in folded


def test_every_undefined_metric_says_how_to_get_it():
    for R in (_R, [[0.9]], [[0.0, None], [0.0, 0.0]]):
        sizes = [10] * len(R)  # Which every run gives.
        metrics = accuracy_matrix.summarise(
            np.array(R, float), test_sizes=sizes, parameters=sizes
        )
        assert metrics["undefined"]
        for name, reason in metrics["undefined"].items():
            words, why, way = metrics_section._missing_row(name, reason)
            assert words == name.replace("_", " ") and why == reason
            assert way.endswith("."), name


def test_a_metric_without_a_known_way_is_computed_by_hand():
    reason = "an accuracy is not known: the test images were not here"
    assert "once more" in metrics_section._missing_row("rem", reason)[2]
    odd = metrics_section._missing_row("rem", "the moon is full")
    assert odd[2] == "Compute it from the matrix by tfcl.metrics.rem."


def test_undefined_metrics_fit_a_telephone():
    page = metrics_section.section(
        {"rem": None, "undefined": {"rem": "only one task <has>"}}
    )
    assert '<table class="ways">' in page and "scrolls" not in page
    assert "rem<div" in page and "only one task &lt;has&gt;" in page


def test_references_are_given_to_compare():
    page = _page()
    assert "tfcl compare RUN --single_task=OTHER" in page
    assert "--joint=OTHER" in page and "--method=joint" in page
    assert "joint=OTHER" not in _page(single_task=[0.9, 0.9], joint=[0.9, 0.9])


def test_metrics_are_written_in_their_units():
    metrics = {"average_accuracy": 0.5, "forgetting": 0.05, "rem": 0.25}
    metrics["own"] = 17.5
    written = [metrics_section.metric_text(n, metrics) for n in metrics]
    assert written == ["50.0 %", "+5.0 points", "0.25", "17.5"]
    assert metrics_section.metric_text("absent", metrics) == "–"


def test_a_run_without_metrics_has_no_section():
    assert metrics_section.section({}) == ""
