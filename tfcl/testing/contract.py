"""What every method must pass, written once."""

from __future__ import annotations

import pathlib
import typing

import numpy as np
import tensorflow as tf

from tfcl.data.scenario import TASK
from tfcl.data.scenarios.in_scenario import in_scenario
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.testing.steps import first_training, runner_for, two_replicas
from tfcl.testing.tiny import first_task_logits, learned, tiny_stream

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tfcl.methods.base import Method


def run_method_test(
    make_method: Callable[[], Method],
    folder: str | pathlib.Path,
    forgets: bool,
    class_counts: Sequence[int] = (2, 3, 2),
    grows: bool = False,
    replicated: bool = True,
    scenario: str | None = None,
) -> None:
    """Holds a method to the contract, on three tiny tasks.

    It learns more than chance; one trace serves all tasks; logits of old tasks
    keep every bit, if that is promised; the stored bytes are as reported; a
    fresh object serves what was learned, and its SavedModel predicts the same;
    two replicas train like one.

    Args:
        make_method: Function without arguments to a new method, small and
            quick (see `tiny_training`).
        folder: Temporary folder.
        forgets: Whether old tasks' logits may change. False asks for logits
            of task 0 that are bit-identical after the last task.
        class_counts: Classes of the three tasks.
        grows: Whether the method may be traced anew at each growth.
        replicated: Whether it runs on several replicas; needs `two_cpus`.
        scenario: In which the tasks come, see `tfcl.data.scenario`; None for
            tasks that are known at test.

    Raises:
        AssertionError: With what the method does not keep.
    """
    folder = pathlib.Path(folder) / "run"
    if forgets:
        run = learned(
            folder, make_method(), scenario, class_counts=class_counts
        )
    else:
        run = _keeps_old_logits(
            make_method, folder, class_counts, grows, scenario
        )
    _learns_above_chance(run, class_counts)
    if not grows:
        _keeps_one_trace(run)
    _counts_its_bytes(run)
    _serves_what_it_predicts(run, make_method)
    if replicated:
        agrees_with_two_replicas(make_method, class_counts, scenario)


def _learns_above_chance(run, class_counts):
    matrix = run.journal.accuracy_matrix(len(class_counts))
    for index, count in enumerate(class_counts):
        chance = 1.0 / count
        found = matrix[index, index]
        assert found > chance + 0.5 * (1.0 - chance), (index, found, chance)


def _keeps_one_trace(run):
    # Two for methods with a second kind of step; never one per task.
    traces = {k: n for k, n in run.runner.traces.items() if n != 1}
    assert not traces, traces


def _keeps_old_logits(make_method, folder, class_counts, grows, scenario):
    # Two tasks, then the same folder goes on with the third.
    logits = []
    for counts in (class_counts[:2], class_counts):
        run = learned(folder, make_method(), scenario, class_counts=counts)
        if not grows:
            _keeps_one_trace(run)
        logits.append(first_task_logits(run))
    np.testing.assert_array_equal(*logits)
    return run


def _counts_its_bytes(run):
    for record in run.results()["tasks"]:
        values = run.bank.load(record["index"], record["name"]).values
        total = sum(v.nbytes for v in values.values())
        assert record["footprint"]["task_bytes"] == total


def _serves_what_it_predicts(run, make_method):
    served = LearnedTasks(run.model_dir, make_method())
    task = run.stream.tasks[1]
    entry = served.find(task.name)
    wanted = served.probabilities(entry, tf.constant(task.test.images))
    path = served.export(entry)
    loaded = tf.saved_model.load(str(path))
    outputs = loaded.signatures["serving_default"](
        tf.constant(task.test.images)
    )
    np.testing.assert_allclose(outputs["probabilities"], wanted, atol=1e-5)
    for row in outputs["class_names"].numpy():
        assert tuple(name.decode() for name in row) == task.class_names
    stored = _stored_numbers(path)
    assert stored == served.method.network().lower().count_params()


def _stored_numbers(path):
    """Numbers in the SavedModel's variables file."""
    reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    shapes = reader.get_variable_to_shape_map()
    return sum(
        int(np.prod(shape))
        for key, shape in shapes.items()
        if key.endswith("VARIABLE_VALUE") and "save_counter" not in key
    )


def agrees_with_two_replicas(
    make_method: Callable[[], Method],
    class_counts: Sequence[int],
    scenario: str | None = None,
) -> None:
    """Holds twenty steps on two replicas to those on one."""
    strategies = (tf.distribute.get_strategy(), two_replicas())
    stream = in_scenario(scenario or TASK, tiny_stream(class_counts))
    weights = []
    for strategy in strategies:
        method = make_method()
        with strategy.scope():
            method.setup(stream.spec(), seed=0)
        runner = runner_for(
            method, stream.tasks[0].train.image_shape, strategy=strategy
        )
        _twenty_steps(method, runner, stream.tasks[0])
        owned = method.shared + method.slot
        weights.append({v.name: v.variable.numpy() for v in owned})
    for name, one in weights[0].items():
        np.testing.assert_allclose(
            one, weights[1][name], atol=1e-5, err_msg=name
        )


def _twenty_steps(method, runner, task):
    with runner.strategy.scope():
        method.begin_task(task)
    phase = first_training(method.phases(task))
    for name in phase.rates:
        # Small steps: Adam's first ones magnify rounding of tiny gradients.
        method.optimizers[name].learning_rate.assign(1e-4)
    split = phase.data or task.train
    for epoch in range(5):
        order = np.random.default_rng(epoch).permutation(len(split))
        runner.train(phase, split, order, 0, 4, 16, [epoch, 7], False)
