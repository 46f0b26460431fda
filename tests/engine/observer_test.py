"""What a person sees is complete, also after a kill."""

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

from tests.testing import toy_run
from tfcl.methods.expansion.prognn import ProgNN

_MEASURED = ("run/images_per_second", "run/memory_gb")


@pytest.fixture(scope="module", autouse=True)
def _no_figures():
    with toy_run.no_figures():
        yield


def _scalars(folder):
    """`{tag: [(step, value)]}` as TensorBoard shows them."""
    reader = event_accumulator.EventAccumulator(
        str(folder / "tensorboard"), purge_orphaned_data=True
    )
    reader.Reload()
    return {
        tag: [(e.step, e.value) for e in reader.Scalars(tag)]
        for tag in reader.Tags()["scalars"]
    }


def test_metrics_of_tasks_that_ended_before_a_kill_are_written_again(tmp_path):
    with toy_run.Snapshots(tmp_path / "run", tmp_path / "copies") as copies:
        straight = toy_run.learn(tmp_path / "run")
    wanted = _scalars(tmp_path / "run")
    assert len(wanted["metrics/average_accuracy"]) == 3
    # The checkpoint that ends a task is written, its metrics are not.
    names = [label for label, _ in copies.copies]
    ends = [
        path
        for (label, path), following in zip(copies.copies, names[1:])
        if label == "after save" and "results.json" in following
    ]
    assert len(ends) == 3
    for number, folder in enumerate(ends):
        tags = _scalars(folder).get("metrics/average_accuracy", [])
        assert len(tags) == number
        again = toy_run.learn(folder)
        toy_run.assert_same_outcome(again, straight)
        found = _scalars(folder)
        assert found.keys() == wanted.keys()
        for tag, points in wanted.items():
            if tag.startswith(_MEASURED):  # By a clock, by the system.
                steps = [step for step, _ in points]
                assert [step for step, _ in found[tag]] == steps, tag
            else:
                assert found[tag] == points, tag
        assert len(list((folder / "tensorboard").iterdir())) == 1


def test_a_deleted_folder_gets_the_metrics_of_every_task(tmp_path):
    toy_run.learn(tmp_path, stream=toy_run.toy_stream((2, 3)))
    wanted = _scalars(tmp_path)
    for path in (tmp_path / "tensorboard").iterdir():
        path.unlink()
    toy_run.learn(tmp_path, stream=toy_run.toy_stream((2, 3)))
    found = _scalars(tmp_path)
    for tag, points in wanted.items():
        if tag.startswith(("metrics/", "test_accuracy/", "method/")):
            assert found[tag] == points, tag


def test_a_start_sweeps_what_kills_have_left(tmp_path):
    stream = toy_run.toy_stream((2,))
    toy_run.learn(tmp_path, stream=stream)
    left = [
        tmp_path / ".results.json.abcd_123.tmp",
        tmp_path / "checkpoints" / "best" / ".x.npz.zzzzzzzz.tmp",
        tmp_path / "tasks" / "000_task_00" / ".task.json.00000000.tmp",
    ]
    mine = tmp_path / ".mine.tmp"
    for path in (*left, mine):
        path.parent.mkdir(exist_ok=True)
        path.write_text("half")
    toy_run.learn(tmp_path, stream=stream)
    assert not any(path.exists() for path in left)
    assert mine.exists()


def _graphs(folder):
    """The graphs on disk, in their order."""
    found = []
    for path in sorted((folder / "tensorboard").iterdir()):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            if event.WhichOneof("what") == "graph_def":
                graph = tf.compat.v1.GraphDef()
                graph.ParseFromString(event.graph_def)
                found.append(graph)
    return found


def test_the_graph_of_the_network_is_shown_when_asked_for(tmp_path):
    stream = toy_run.toy_stream((2, 2))
    plain = toy_run.learn(tmp_path / "plain", stream=stream)
    assert not _graphs(tmp_path / "plain")
    shown = toy_run.learn(tmp_path / "shown", stream=stream, graphs=True)
    toy_run.assert_same_outcome(shown, plain)
    (graph,) = _graphs(tmp_path / "shown")
    kinds = {node.op for node in graph.node}
    kinds |= {
        node.op for each in graph.library.function for node in each.node_def
    }
    assert {"Placeholder", "Conv2D", "MatMul"} <= kinds
    # It is there, with the points, when the run has gone on.
    again = toy_run.learn(
        tmp_path / "shown", stream=toy_run.toy_stream((2, 2, 2))
    )
    assert again.found == 2
    assert _graphs(tmp_path / "shown") == [graph]


def test_the_graph_of_a_network_that_grows_is_shown_again(tmp_path):
    toy_run.learn(
        tmp_path,
        ProgNN(toy_run.toy_training()),
        toy_run.toy_stream((2, 2)),
        graphs=True,
    )
    first, second = _graphs(tmp_path)
    assert len(second.SerializeToString()) > len(first.SerializeToString())
