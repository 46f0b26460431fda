"""One stream in four scenarios: labels, names, and what cannot be."""

import dataclasses
import functools

import numpy as np
import pytest

from tests.testing import toy_run
from tfcl.data.scenario import CLASS, DOMAIN, ONLINE, SCENARIOS, TASK
from tfcl.data.scenarios.class_incremental_stream import (
    class_incremental_stream,
)
from tfcl.data.scenarios.in_scenario import in_scenario, stream_for
from tfcl.data.scenarios.repeated_stream import repeated_stream
from tfcl.data.task import TaskStream
from tfcl.engine.experiment import Experiment
from tfcl.errors import UserError
from tfcl.methods import EWC, FineTuning
from tfcl.testing import tiny_training

_PLAIN = toy_run.toy_stream((2, 2, 2))


def _domains(data_dir=None):
    """Three tasks of the same two classes."""
    own = _PLAIN(data_dir=data_dir)
    tasks = []
    for task in own:
        names = {"class_names": ("cat", "dog"), "earlier": tuple(tasks)}
        tasks.append(dataclasses.replace(task, **names))
    return TaskStream("domains", tasks, own.batch_size, scenario=DOMAIN)


@pytest.mark.parametrize(
    ("stream", "scenario"),
    [
        (_PLAIN, TASK),
        (_domains, DOMAIN),
        (functools.partial(class_incremental_stream, _PLAIN), CLASS),
    ],
)
def test_what_is_so_already_stays_as_it_is(stream, scenario):
    own = stream()
    assert in_scenario(scenario, lambda data_dir: own) is own


def _named_apart():
    own = _PLAIN()
    tasks = [
        dataclasses.replace(task, class_names=(f"a{n}", f"b{n}"))
        for n, task in enumerate(own)
    ]
    return TaskStream("pairs", tasks, own.batch_size)


def test_known_tasks_as_domains_have_one_pair_of_classes():
    own = _named_apart()
    stream = in_scenario(DOMAIN, lambda data_dir: own)
    assert (stream.name, stream.scenario) == ("pairs_domain", DOMAIN)
    assert {t.class_names for t in stream} == {("class_0", "class_1")}
    for task, before in zip(stream, own):
        for name, split in task.splits.items():
            labels = before.splits[name].labels
            np.testing.assert_array_equal(split.labels, labels)
    assert [t.class_names for t in stream.tasks[2].earlier] == [
        ("class_0", "class_1")
    ] * 2


def test_domains_keep_the_names_that_they_have_in_common():
    known = in_scenario(TASK, _domains)
    assert known.scenario == TASK
    again = in_scenario(DOMAIN, lambda data_dir: known)
    assert {task.class_names for task in again} == {("cat", "dog")}


def test_domains_as_classes_are_told_apart_by_their_task():
    stream = in_scenario(CLASS, _domains)
    assert stream.scenario == CLASS
    names = stream.tasks[0].class_names
    assert names[2:4] == ("task_01/cat", "task_01/dog")
    assert np.unique(stream.tasks[2].test.labels).tolist() == [4, 5]


def test_an_online_stream_is_one_task():
    stream = in_scenario(ONLINE, _PLAIN)
    assert (len(stream), stream.scenario) == (1, ONLINE)
    assert stream.tasks[0].num_classes == 6


def test_tasks_that_come_again_come_again():
    stream = functools.partial(repeated_stream, _PLAIN, [0, 1, 0, 2])
    found = in_scenario(DOMAIN, stream)
    assert [visit.task.index for visit in found.visits] == [0, 1, 0, 2]


@pytest.mark.parametrize("scenario", [TASK, DOMAIN, ONLINE])
def test_numbered_classes_are_not_made_into_tasks_again(scenario):
    stream = functools.partial(class_incremental_stream, _PLAIN)
    with pytest.raises(UserError, match="is class-incremental.*Give the str"):
        in_scenario(scenario, stream)


def test_tasks_of_different_sizes_are_no_domains():
    with pytest.raises(UserError, match=r"with \[2, 3\]. Give tasks of equal"):
        in_scenario(DOMAIN, toy_run.toy_stream((2, 3)))


def test_a_word_that_is_no_scenario_is_refused():
    with pytest.raises(ValueError, match="scenario.*'classes'"):
        in_scenario("classes", _PLAIN)


def test_what_the_stream_itself_says_does_not_count_if_one_is_chosen():
    heard = []
    stream = stream_for(lambda *told: heard.append(told), _domains, TASK, None)
    assert stream.scenario == TASK
    assert heard == [(TASK, "Experiment.scenario")]


@pytest.mark.parametrize("scenario", [DOMAIN, CLASS])
def test_a_run_learns_in_the_scenario_that_is_chosen(scenario, tmp_path):
    method = EWC(tiny_training(1))
    run = toy_run.learn(tmp_path, method, _PLAIN, scenario=scenario).run
    assert run.spec.scenario == scenario
    assert run.results()["scenario"] == scenario
    # Another one is another run.
    with pytest.raises(UserError, match=f"learned in the scenario '{scenario}"):
        Experiment(tmp_path, method=EWC(tiny_training(1)), stream=_PLAIN)


def test_a_pair_that_makes_no_sense_is_one_line(tmp_path):
    method = EWC(tiny_training(1))
    with pytest.raises(UserError, match="EWC passes over .* 'online' of Exp"):
        Experiment(tmp_path, method=method, stream=_PLAIN, scenario=ONLINE)
    with pytest.raises(ValueError, match="scenario"):
        Experiment(tmp_path, method=method, stream=_PLAIN, scenario="tasks")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_has_a_word_in_old_and_new_specs(scenario):
    stream = TaskStream("s", _PLAIN().tasks, 8, scenario=scenario)
    spec = stream.spec()
    stored = spec.to_json()
    assert type(spec).from_json(stored) == spec
    del stored["scenario"]
    assert type(spec).from_json(stored).scenario == TASK


def test_one_head_over_tasks_of_different_sizes_is_refused():
    method = FineTuning(tiny_training(1))
    with pytest.raises(ValueError, match="one head .* heads='per_task'"):
        method.setup(toy_run.toy_stream((2, 3))().spec(), 0)
