"""Histograms of notes: TensorBoard and report."""

import numpy as np
import pytest
from tensorboard.backend.event_processing import event_accumulator

from tests.testing import toy_run
from tfcl.methods.spg.spg import SPG
from tfcl.reporting import histograms, report
from tfcl.testing import tiny_training


@pytest.mark.parametrize(
    ("note", "wanted"),
    [
        ({"a": [1, 2], "b": [0, 4]}, True),
        ({"a": [1, 2], "b": [4]}, False),
        ({"a": [], "b": []}, False),
        ({"a": 1.0}, False),
        ({}, False),
        ([1, 2], False),
        (None, False),
    ],
)
def test_what_counts_as_histograms(note, wanted):
    assert histograms.is_histograms(note) == wanted


def test_importance_reaches_tensorboard_and_the_report(tmp_path):
    training = tiny_training(1, hidden_units=(), dropout=0.0)
    with toy_run.no_figures():
        run = toy_run.learn(tmp_path, SPG(training)).run
    events = event_accumulator.EventAccumulator(
        str(tmp_path / "tensorboard"), size_guidance={"tensors": 0}
    )
    events.Reload()
    results = run.results()
    for task in range(3):
        notes = results["tasks"][task]["method"]
        for name, counts in notes["importance_histogram"].items():
            tag = f"importance_histogram/{name}"
            found = events.Tensors(tag)[task].tensor_proto
            buckets = np.frombuffer(found.tensor_content).reshape(-1, 3)
            np.testing.assert_array_equal(buckets[:, 2], counts)
            assert buckets[0, 0] == 0.0 and buckets[-1, 1] == 1.0
            for key in ("blocked_share", "mean_importance"):
                found = events.Scalars(f"method/{key}/{name}")[task].value
                np.testing.assert_allclose(found, notes[key][name], rtol=1e-6)
    figures = report.method_figures(results)
    assert {"importance_histogram", "blocked_share", "mean_importance"} <= set(
        figures
    )
    names = list(results["tasks"][0]["method"]["importance_histogram"])
    tasks = [task["name"] for task in results["tasks"]]
    for name in names:
        drawn = figures[f"importance_histogram_{name.replace('/', '_')}"]
        _shows(drawn, tasks, [_shares(results, k, name) for k in range(3)])
    shares = [task["method"]["blocked_share"] for task in results["tasks"]]
    wanted = [[share[name] for name in names] for share in shares]
    _shows(figures["blocked_share"], tasks, wanted)


def _shares(results, task, name):
    counts = results["tasks"][task]["method"]["importance_histogram"][name]
    return np.array(counts) / sum(counts)


def _shows(figure, rows, values):
    """Holds a heat map to the names of its rows and to its numbers."""
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == rows
    cells = np.asarray(axes.collections[0].get_array())
    np.testing.assert_allclose(cells.reshape(np.shape(values)), values)
