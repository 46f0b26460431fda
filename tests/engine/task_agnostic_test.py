"""Accuracies with and without the task, of answers that are known."""

import dataclasses

import numpy as np
import pytest

from tests.testing import toy_run
from tests.testing.running import no_figures
from tfcl.data.scenario import CLASS, DOMAIN, TASK
from tfcl.data.scenarios.class_incremental_stream import (
    class_incremental_stream,
)
from tfcl.data.synthetic import synthetic_stream
from tfcl.data.task import TaskStream
from tfcl.engine.evaluator import ALWAYS, AUTO, NEVER, EvaluationPolicy
from tfcl.engine.loop import learn_stream
from tfcl.engine.measurement import Given
from tfcl.engine.storage.journal import Journal
from tfcl.engine.task_agnostic import TaskAgnostic, measured
from tfcl.methods.baselines.fine_tuning import FineTuning
from tfcl.methods.regularization.ewc import EWC


class _Evaluator:
    """Answers by `logits[answering task][asked task]`, `(n, classes)`."""

    def __init__(self, tasks, logits, wanted=AUTO):
        self.policy = EvaluationPolicy(task_agnostic=wanted)
        self._logits = logits
        self._asked = {id(task.test.images): task.index for task in tasks}
        self._active = None
        self.passes = 0

    def activated(self, task, visit):
        assert visit == task.index
        self._active = task.index

    def answers(self, task, split=None, columns=None):
        assert task.index == self._active
        self.passes += 1
        columns = list(range(task.num_classes) if columns is None else columns)
        asked = self._asked[id((split or task.test).images)]
        logits = np.array(self._logits[self._active][asked], float)[:, columns]
        largest = np.argmax(logits, axis=1)
        known = np.ones(len(largest), np.float32)
        return Given(np.array(columns)[largest], known, logits.max(axis=1))


def _stream(labels, scenario=TASK, offset=0):
    plain = synthetic_stream((2,) * len(labels), train_size=4, test_size=2)
    tasks = [
        dataclasses.replace(
            task,
            test=dataclasses.replace(
                task.test,
                images=task.test.images[: len(each)],
                labels=np.array(each, np.int32),
                groups=None,
            ),
        )
        for task, each in zip(plain, labels)
    ]
    return TaskStream("known", tasks, 2, scenario=scenario)


# Of two tasks with two images each, which are of classes 0 and 1.
_LABELS = [[0, 1], [0, 1]]
_LOGITS = {
    # Task 0 is right about its own, and loud about the first of task 1.
    0: {0: [[2, 0], [0, 2]], 1: [[9, 0], [0, 0]]},
    # Task 1 is right about one of its own, and louder about one of task 0.
    1: {0: [[0, 1], [3, 0]], 1: [[4, 0], [5, 0]]},
}


def test_without_the_task_the_loudest_head_of_all_answers():
    stream = _stream(_LABELS)
    found = measured(stream, 1, _Evaluator(stream.tasks, _LOGITS))
    assert found == TaskAgnostic(
        tasks=[0, 1],
        aware=[1.0, 0.5],
        # Of task 1, the second image is given to its task, but another class.
        agnostic=[0.5, 0.0],
        believed=[[1, 1], [1, 1]],
    )


def test_an_answer_that_is_no_number_is_never_the_loudest():
    logits = {**_LOGITS, 1: {0: [[np.nan] * 2] * 2, 1: [[4, 0], [0, 5]]}}
    stream = _stream(_LABELS)
    found = measured(stream, 1, _Evaluator(stream.tasks, logits))
    assert (found.agnostic, found.believed[0]) == ([1.0, 0.5], [2, 0])


def test_one_answer_for_all_classes_chooses_among_a_task_s_if_it_is_told():
    plain = _stream(_LABELS)
    stream = class_incremental_stream(lambda data_dir: plain)
    logits = {0: [[1, 0, 2, 0], [0, 3, 0, 0]], 1: [[0, 9, 3, 0], [0, 0, 1, 4]]}
    tables = {active: logits for active in range(2)}
    evaluator = _Evaluator(stream.tasks, tables)
    found = measured(stream, 1, evaluator)
    assert (found.aware, found.agnostic) == ([1.0, 1.0], [0.5, 0.5])
    assert found.believed == [[1, 1], [1, 1]]
    assert evaluator.passes == 4


@pytest.mark.parametrize(
    ("scenario", "visit", "wanted"),
    [(DOMAIN, 1, ALWAYS), (TASK, 0, ALWAYS), (TASK, 1, NEVER)],
)
def test_what_has_no_meaning_or_is_not_wanted(scenario, visit, wanted):
    stream = _stream(_LABELS, scenario)
    evaluator = _Evaluator(stream.tasks, _LOGITS, wanted)
    assert measured(stream, visit, evaluator) is None
    assert not evaluator.passes


def test_a_task_that_is_served_no_more_is_no_answer():
    stream = _stream([[0, 1]] * 3)
    known = {0: [[2, 0], [0, 2]], 1: [[2, 0], [0, 2]], 2: [[2, 0], [0, 2]]}
    logits = {0: known, 1: {t: [[9, 9], [9, 9]] for t in range(3)}, 2: known}
    found = measured(stream, 2, _Evaluator(stream.tasks, logits), gone=[1])
    assert found.tasks == [0, 2] and found.aware == [1.0, 1.0]
    assert np.shape(found.believed) == (2, 2)


@pytest.mark.parametrize(("trained", "is_asked"), [(7, False), (8, True)])
def test_a_short_run_is_not_made_long(trained, is_asked):
    stream = _stream(_LABELS)
    evaluator = _Evaluator(stream.tasks, _LOGITS)
    found = measured(stream, 1, evaluator, trained=trained)
    assert bool(found) == bool(evaluator.passes) == is_asked


@pytest.mark.parametrize(("wanted", "is_asked"), [(AUTO, 0), (ALWAYS, 21 * 21)])
def test_many_heads_are_asked_only_on_demand(wanted, is_asked):
    stream = _stream([[0, 1]] * 21)
    logits = {a: {t: [[1, 0], [0, 1]] for t in range(21)} for a in range(21)}
    evaluator = _Evaluator(stream.tasks, logits, wanted)
    found = measured(stream, 20, evaluator)
    assert evaluator.passes == is_asked and bool(found) == bool(is_asked)


@pytest.mark.parametrize(
    ("method", "scenario"),
    [
        (lambda: EWC(toy_run.toy_training()), TASK),
        (lambda: FineTuning(toy_run.toy_training()), CLASS),
    ],
)
def test_a_run_measures_it_at_the_end_of_its_stream(method, scenario, tmp_path):
    plain = toy_run.toy_stream((2, 2))

    def stream(data_dir=None):
        if scenario == TASK:
            return plain(data_dir=data_dir)
        return class_incremental_stream(plain, data_dir)

    run = toy_run.open_run(tmp_path, method(), stream)
    try:
        run.start({})
        with no_figures():
            learn_stream(run)
    finally:
        run.close()
    journal = Journal.loads(run.journal.dumps())
    found = TaskAgnostic.from_json(journal.task_agnostic)
    known = found.aware if scenario == TASK else found.agnostic
    np.testing.assert_allclose(known, journal.visits[-1].row)
    assert all(a >= b for a, b in zip(found.aware, found.agnostic))
    assert np.sum(found.believed, axis=1).tolist() == [32, 32]
