"""What L2P and DualPrompt have in common: what is trained, by which loss."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.methods.prompts import tiny_transformer
from tests.testing import toy_run
from tests.testing.running import no_figures
from tfcl.data.scenario import CLASS, DOMAIN, TASK
from tfcl.data.scenarios.in_scenario import in_scenario
from tfcl.engine.experiment import Experiment
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.methods import L2P, DualPrompt, FrozenBackbone
from tfcl.methods.base import Batch
from tfcl.methods.prompts.prompt_method import PromptMethod
from tfcl.methods.shared_backbone import GROWING, ONE, PER_TASK
from tfcl.models.variables import owned_variables
from tfcl.testing import runner_for, tiny_training

_PLAIN = toy_run.toy_stream((2, 2, 2))
_METHODS = {
    "L2P": functools.partial(L2P, pool=4, length=2, chosen=2),
    "DualPrompt": functools.partial(
        DualPrompt,
        general_length=2,
        expert_length=3,
        general_blocks=(0,),
        expert_blocks=(0,),
    ),
}


def _set_up(name, scenario, training=None):
    method = _METHODS[name](training or tiny_transformer.training())
    stream = in_scenario(scenario, _PLAIN)
    method.setup(stream.spec(), 0)
    return method, stream


def _frozen(method):
    """`{name: array}` of the transformer."""
    return {
        owned.name: owned.variable.numpy()
        for owned in method.shared
        if owned.name.startswith(("block_", "norm/", "patch_", "tokens/"))
    }


def _steps(method, task, count=4):
    """What moves when a task is trained; names of variables."""
    owned = [*method.shared, *method.slot]
    with tf.distribute.get_strategy().scope():
        method.begin_task(task)
    before = [each.variable.numpy() for each in owned]
    runner = runner_for(method, task.train.image_shape)
    phase = next(method.phases(task))
    order = np.arange(len(task.train))
    method.optimizers["main"].learning_rate.assign(0.01)
    runner.train(phase, task.train, order, 0, count, 16, [1, 2], False)
    return {
        each.name
        for each, old in zip(owned, before)
        if (each.variable.numpy() != old).any()
    }


@pytest.mark.parametrize("name", sorted(_METHODS))
def test_the_stream_chooses_the_heads(name):
    for scenario, heads in ((TASK, PER_TASK), (DOMAIN, ONE), (CLASS, GROWING)):
        method, _ = _set_up(name, scenario)
        assert isinstance(method, PromptMethod)
        assert method.heads == heads
        assert method.needs_task == (scenario == TASK)


@pytest.mark.parametrize("name", sorted(_METHODS))
def test_all_but_the_transformer_is_drawn_and_trained(name):
    method, stream = _set_up(name, CLASS)
    frozen = _frozen(method)
    assert len(frozen) == 18
    # A pretrained network's weights are as given, all else is the seed's.
    given = tiny_transformer.sighted((8, 8, 3))
    for owned in owned_variables(given):
        np.testing.assert_array_equal(frozen[owned.name], owned.variable)
    again, _ = _set_up(name, CLASS)
    for one, other in zip(method.shared, again.shared):
        np.testing.assert_array_equal(one.variable, other.variable)
    moved = _steps(method, stream.tasks[0])
    assert moved == {owned.name for owned in method._trained}
    assert {"head/kernel_0", "head/bias_0"} < moved
    assert not moved & set(frozen)


@pytest.mark.parametrize("name", sorted(_METHODS))
def test_a_transformer_without_weights_learns_with_the_first_task(name):
    training = tiny_training(
        1, backbone=tiny_transformer.PLAIN, hidden_units=()
    )
    method, stream = _set_up(name, CLASS, training)
    frozen = set(_frozen(method))
    # Added to all keys, the same changes no attention.
    assert frozen - _steps(method, stream.tasks[0]) <= {"block_0_attn_qkv/bias"}
    assert not frozen & _steps(method, stream.tasks[1])


@pytest.mark.parametrize("name", sorted(_METHODS))
def test_the_loss_is_that_of_the_papers(name):
    method, stream = _set_up(name, CLASS)
    method.pull = 0.7
    # What it takes from the stream, in the order of learning.
    for task in stream.tasks[:2]:
        method.begin_task(task)
    batch = _batch([2, 3, 3, 2, 3])
    update = method.train_step(batch)
    features, cosines = method._both(batch.images, training=True)
    # Cross-entropy over the classes of the task alone, 2 and 3 here.
    kernel, bias = (v.variable.numpy() for v in method.head_weights)
    logits = (features.numpy() @ kernel + bias)[:, 2:4]
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    wanted = -logs[np.arange(5), batch.labels.numpy() - 2].mean()
    # The keys of those prompts that each image got.
    near = {"L2P": np.sort(cosines, axis=1)[:, 2:]}
    near["DualPrompt"] = cosines.numpy()[:, 1:2]
    wanted += 0.7 * (1.0 - near[name]).sum(-1).mean()
    np.testing.assert_allclose(update.loss, wanted, rtol=1e-4)
    ((_, gradients, variables),) = update.gradients
    assert len(gradients) == len(variables) == len(method._trained)


def _batch(labels):
    """Random images with these labels, as a step on one replica gets them."""
    count = len(labels)
    images = np.random.default_rng(0).normal(size=(count, 8, 8, 3))
    return Batch(
        images=tf.constant(images, tf.float32),
        labels=tf.constant(labels, tf.int32),
        tasks=tf.zeros(count, tf.int32),
        black=tf.zeros((count, 3)),
        positions=tf.range(count),
        size=tf.constant(count),
        step=tf.constant(0),
        seed=tf.constant([1, 2]),
        replicas=1,
        sum_over_replicas=lambda tensor: tensor,
    )


@pytest.mark.parametrize("name", sorted(_METHODS))
def test_answers_are_the_same_whichever_task_is_active(name, tmp_path):
    with no_figures():
        run = toy_run.learn(
            tmp_path,
            _METHODS[name](tiny_transformer.training(1)),
            _PLAIN,
            scenario=CLASS,
        ).run
    images = tf.constant(np.random.default_rng(0).normal(size=(5, 8, 8, 3)))
    images = tf.cast(images, tf.float32)
    found = []
    for task in run.stream.tasks:
        values = run.bank.load(task.index, task.name).values
        run.method.activate(values, task.index)
        found.append(run.method.predict(images).numpy())
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    _assert_serves(run, _METHODS[name](tiny_transformer.training(1)))


def _assert_serves(run, method):
    """A SavedModel holds both runs of the transformer, keys included."""
    served = LearnedTasks(run.model_dir, method)
    task = run.stream.tasks[0]
    entry = served.find(task.name)
    images = tf.constant(task.test.images)
    wanted = served.probabilities(entry, images)
    loaded = tf.saved_model.load(str(served.export(entry)))
    outputs = loaded.signatures["serving_default"](images)
    np.testing.assert_allclose(outputs["probabilities"], wanted, atol=1e-5)


def test_classes_are_kept_better_than_by_a_head_alone():
    """The same frozen transformer, its head trained on task after task."""
    found = {}
    for name, make in {**_METHODS, "head": FrozenBackbone}.items():
        method = make(tiny_transformer.training())
        found[name] = _final_accuracy(method)
        held = {v.name: v.variable for v in method.shared}
        for owned in owned_variables(tiny_transformer.sighted((8, 8, 3))):
            np.testing.assert_array_equal(held[owned.name], owned.variable)
    # 0.70 and 0.80 against a third, the classes of the last task.
    assert found["L2P"] > found["head"] + 0.15, found
    assert found["DualPrompt"] > found["head"] + 0.15, found


def _final_accuracy(method, epochs=40):
    """Over all classes, when the tasks have been learned one by one."""
    stream = in_scenario(CLASS, _PLAIN)
    method.setup(stream.spec(), 0)
    runner = runner_for(method, (8, 8, 3))
    for task in stream:
        method.begin_task(task)
        phase = next(method.phases(task))
        method.optimizers["main"].learning_rate.assign(0.01)
        for epoch in range(epochs):
            order = np.random.default_rng(epoch).permutation(64)
            seed = [epoch, 1]
            runner.train(phase, task.train, order, 0, 4, 16, seed, False)
    right = []
    for test in (task.test for task in stream):
        images = (test.images * test.scale - test.mean[0]) / test.std[0]
        logits = method.predict(tf.constant(images, tf.float32))
        right += [*(np.argmax(logits, axis=1) == test.labels)]
    return np.mean(right)


def test_a_run_goes_on_with_more_tasks(tmp_path):
    make = _METHODS["DualPrompt"]
    training = functools.partial(tiny_transformer.training, 1)
    first, more = toy_run.toy_stream((2, 2)), toy_run.toy_stream((2, 2, 2))
    toy_run.learn(tmp_path, make(training()), first, scenario=CLASS)
    run = Experiment(
        tmp_path,
        method=make(training()),
        stream=more,
        scenario=CLASS,
        seed=1,
    )
    try:
        row, noted = run.measure_again()
        assert row == noted
    finally:
        run.close()
    grown = toy_run.learn(tmp_path, make(training()), more, scenario=CLASS).run
    assert len(grown.journal.visits) == 3
    assert int(grown.method._choice.learned.numpy()) == 3


def test_other_networks_are_refused():
    with pytest.raises(ValueError, match="must be a vision transformer"):
        L2P(tiny_training(1)).setup(_PLAIN().spec(), 0)
