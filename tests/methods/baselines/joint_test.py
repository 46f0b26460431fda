"""Joint training: what it is validated on, and when it trains."""

import functools

import numpy as np
import pytest

from tests.testing import toy_run
from tfcl.data.scenarios.repeated_stream import repeated_stream
from tfcl.methods.baselines.joint import Joint
from tfcl.reporting.tables import task_rows
from tfcl.testing import tiny_stream, tiny_training, undrawn_figures

COUNTS = (2, 3, 2)


def _joint(**options):
    return Joint(tiny_training(hidden_units=()), **options)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What training at every task gives, and training once."""
    folder, stream = tmp_path_factory.mktemp("joint"), tiny_stream(COUNTS)
    with undrawn_figures():
        return {
            each: toy_run.learn(
                folder / str(each), _joint(every_task=each), stream
            )
            for each in (True, False)
        }


def test_a_phase_is_validated_on_all_that_it_trains_on(runs):
    run = runs[True].run
    method, last = run.method, run.stream.tasks[-1]
    phase = next(method.phases(last))
    joined = run.evaluator.running(phase.validation, 8, phase.validation_logits)
    # Each task alone, with its own head: the engine's other way.
    alone = []
    for task in run.stream:
        offset = sum(COUNTS[: task.index])
        method.head.use_columns(range(offset, offset + task.num_classes))
        assert len(task.validation) % 8 == 0
        alone.append(run.evaluator.running(task.validation, 8))
    assert len({len(task.validation) for task in run.stream}) == 1
    np.testing.assert_allclose(
        joined.accuracy, np.mean([e.accuracy for e in alone])
    )
    np.testing.assert_allclose(
        joined.loss, np.mean([e.loss for e in alone]), rtol=1e-5
    )
    np.testing.assert_allclose(
        joined.batch_losses, np.sum([e.batch_losses for e in alone]), rtol=1e-5
    )
    assert joined.accuracy == run.journal.visits[-1].validation_accuracy


def test_best_epoch_and_rates_see_the_joined_losses(tmp_path):
    training = tiny_training(
        epochs=3,
        hidden_units=(),
        restore_best=True,
        best_by="validation/batch_losses",
        validation_batch_size=8,
    )
    with toy_run.no_figures():
        found = toy_run.learn(
            tmp_path, Joint(training, every_task=False), tiny_stream((2, 3))
        )
    history = found.run.bank.history(1, found.run.stream.tasks[1].name)
    batches = sum(len(t.validation) for t in found.run.stream) / 8
    np.testing.assert_allclose(
        history["validation/batch_losses"],
        batches * history["validation/loss"],
        rtol=1e-5,
    )
    record = found.run.journal.visits[1].phases[0]
    assert record["best_epoch"] == 1 + np.argmin(
        history["validation/batch_losses"]
    )


def test_training_once_ends_where_training_at_every_task_ends(runs):
    rows = {each: found.run.journal.visits for each, found in runs.items()}
    assert rows[False][-1].row == rows[True][-1].row
    assert [visit.steps for visit in rows[False][:-1]] == [0, 0]
    assert rows[False][-1].steps == rows[True][-1].steps > 0


def test_results_say_what_waited(runs):
    results = runs[False].run.results()
    assert results["finished"]
    texts = [row.configuration for row in task_rows(results)]
    assert texts == 2 * ["waits for the last task"] + ["3 tasks at once"]
    matrix = runs[False].run.journal.accuracy_matrix(3)
    # The network of before does not change, nor does what it gives.
    assert matrix[0, 0] == matrix[1, 0]
    assert np.mean(matrix[-1]) == results["metrics"]["average_accuracy"] > 0.8
    assert "configuration" not in runs[True].results["tasks"][0]["method"]


def test_kills_change_nothing(tmp_path):
    toy_run.assert_kills_change_nothing(
        tmp_path,
        lambda: Joint(toy_run.toy_training(epochs=1), every_task=False),
        moments=2,
        stream=toy_run.toy_stream((2, 3)),
    )


def test_a_task_seen_again_keeps_its_columns(tmp_path):
    """Groups are tasks, in whatever order these were seen last."""
    stream = functools.partial(
        repeated_stream, stream=tiny_stream((2, 3)), order=[0, 1, 0]
    )
    with toy_run.no_figures():
        found = toy_run.learn(tmp_path, _joint(every_task=False), stream)
    assert [v.steps > 0 for v in found.run.journal.visits] == [0, 1, 1]
    assert min(found.run.journal.visits[-1].row) > 0.8
