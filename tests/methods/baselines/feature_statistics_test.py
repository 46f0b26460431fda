"""One pass over frozen features: the sums, what they know, what is kept."""

import numpy as np
import pytest

from tests.testing import toy_run
from tfcl.data.scenario import CLASS, DOMAIN, TASK
from tfcl.data.scenarios.in_scenario import in_scenario
from tfcl.methods.baselines.fine_tuning import FineTuning
from tfcl.methods.baselines.nearest_class_mean import NearestClassMean
from tfcl.methods.baselines.slda import SLDA
from tfcl.testing import (
    learned,
    run_method_test,
    runner_for,
    tiny_stream,
    tiny_training,
    two_replicas,
)


@pytest.mark.parametrize(
    ("make", "forgets"), [(NearestClassMean, False), (SLDA, True)]
)
def test_one_pass(make, forgets, tmp_path):
    run_method_test(
        lambda: (
            make(tiny_training(), shrinkage=0.01)
            if make is SLDA
            else make(tiny_training())
        ),
        tmp_path,
        forgets,
        replicated=False,
    )


@pytest.mark.parametrize("scenario", [TASK, CLASS])
def test_kills_change_nothing(scenario, tmp_path):
    toy_run.assert_kills_change_nothing(
        tmp_path, lambda: SLDA(toy_run.toy_training()), scenario=scenario
    )


def _sums(scenario, strategy=None, order=(0, 1, 2)):
    """What the pass over each task has added up, and the method."""
    stream = in_scenario(scenario, tiny_stream((2, 2, 2)))
    runner = None
    method = SLDA(tiny_training(1), shrinkage=0.1)
    if strategy is None:
        method.setup(stream.spec(), seed=0)
        runner = runner_for(method, (8, 8, 3))
    else:
        with strategy.scope():
            method.setup(stream.spec(), seed=0)
        runner = runner_for(method, (8, 8, 3), strategy=strategy)
    for index in order:
        task = stream.tasks[index]
        method.begin_task(task)
        work = next(method.phases(task))
        runner.accumulate(work, task.train, 64, np.array([1, 2], np.int32))
        work.then()
    assert set(runner.traces.values()) == {1}
    return {n: v.numpy() for n, v in method.sums.items()}, method, stream


@pytest.mark.parametrize(
    ("scenario", "classes"), [(TASK, 6), (DOMAIN, 2), (CLASS, 6)]
)
def test_the_sums_are_those_of_all_data(scenario, classes):
    sums, method, stream = _sums(scenario)
    backbone = method.network().backbone
    features, labels = [], []
    for number, task in enumerate(stream):
        rows = np.arange(len(task.train))
        features.append(backbone(task.train.standardised_at(rows)).numpy())
        offset = 2 * number if scenario == TASK else 0
        labels.append(task.train.labels + offset)
    x, y = np.concatenate(features).astype(np.float64), np.concatenate(labels)
    np.testing.assert_array_equal(sums["counts"], np.bincount(y))
    assert len(sums["counts"]) == classes
    for label in range(classes):
        wanted = x[y == label].sum(0)
        np.testing.assert_allclose(sums["sums"][label], wanted, atol=1e-4)
    np.testing.assert_allclose(sums["products"], x.T @ x, atol=1e-3)


def test_the_order_of_the_tasks_does_not_matter():
    one, first, _ = _sums(CLASS)
    other, second, _ = _sums(CLASS, order=(2, 0, 1))
    for name, value in one.items():
        np.testing.assert_allclose(other[name], value, rtol=1e-12)
    for pair in zip(
        first.network().head.kernels, second.network().head.kernels
    ):
        np.testing.assert_allclose(*pair, rtol=1e-4, atol=1e-6)


def test_two_replicas_add_up_the_same():
    one, _, _ = _sums(CLASS)
    two, _, _ = _sums(CLASS, two_replicas())
    for name, value in two.items():
        np.testing.assert_allclose(value, one[name], rtol=1e-5, atol=1e-4)


def test_nothing_is_trained():
    _, method, _ = _sums(CLASS)
    assert method.optimizers["main"].variables[2:] == []
    assert not method._trained


def test_a_class_that_has_not_come_is_no_answer():
    _, method, stream = _sums(CLASS, order=(0,))
    images = stream.tasks[1].test.standardised_at(np.arange(8))
    network = method.network()
    outputs = network.head.outputs(network.backbone(images)).numpy()
    assert (outputs[:, 2:] < -1e8).all() and (outputs[:, :2] > -1e8).all()


@pytest.mark.parametrize("make", [NearestClassMean, SLDA])
def test_it_answers_more_classes_than_fine_tuning(make, tmp_path):
    found = {}
    for method in (FineTuning(tiny_training(8)), make(tiny_training(8))):
        folder = tmp_path / method.name
        run = learned(folder, method, CLASS, class_counts=(2, 2, 2))
        metrics = run.results()["metrics"]
        found[method.name] = metrics["task_agnostic_accuracy"]
    assert found[make.__name__] > found["FineTuning"] + 0.2, found


def test_a_run_goes_on_with_more_classes(tmp_path):
    for counts in ((2, 2), (2, 2, 2)):
        method = SLDA(tiny_training(1))
        run = learned(tmp_path / "grown", method, CLASS, class_counts=counts)
    straight = learned(
        tmp_path / "once", SLDA(tiny_training(1)), CLASS, class_counts=counts
    )
    for one, other in zip(
        run.method.sums.values(), straight.method.sums.values()
    ):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_a_backbone_of_random_weights_is_told(caplog):
    stream = in_scenario(CLASS, tiny_stream((2, 2)))
    SLDA(tiny_training(1)).setup(stream.spec(), seed=0)
    assert "SLDA never trains its backbone" in caplog.text
