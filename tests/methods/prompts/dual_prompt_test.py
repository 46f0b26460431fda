"""DualPrompt: the contract, kills, whose prefixes an image gets."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.methods.prompts import tiny_transformer
from tests.testing import toy_run
from tfcl.data.scenario import CLASS, TASK
from tfcl.data.scenarios.in_scenario import in_scenario
from tfcl.methods.prompts.dual_prompt import DualPrompt
from tfcl.testing import run_method_test

_SMALL = functools.partial(
    DualPrompt,
    general_length=2,
    expert_length=3,
    general_blocks=(0,),
    expert_blocks=(1,),
)
_STREAM = toy_run.toy_stream((2, 2))


def _training(*args, **kwargs):
    backbone = functools.partial(tiny_transformer.sighted, depth=2)
    return tiny_transformer.training(*args, backbone=backbone, **kwargs)


def test_dual_prompt(tmp_path):
    run_method_test(lambda: _SMALL(_training(30)), tmp_path, forgets=True)


def test_kills_change_nothing(tmp_path):
    toy_run.assert_kills_change_nothing(
        tmp_path,
        lambda: _SMALL(_training(1, dropout=0.5)),
        moments=2,
        stream=_STREAM,
        scenario=CLASS,
    )


def _set_up(scenario, **options):
    method = _SMALL(_training(), **options)
    stream = in_scenario(scenario, _STREAM)
    method.setup(stream.spec(), 0)
    return method, stream


def test_sizes_are_those_of_the_stream():
    method, _ = _set_up(CLASS)
    shapes = {v.name: tuple(v.variable.shape) for v in method._trained}
    assert shapes["task_keys/keys"] == (2, 16)
    assert shapes["general_prefix_0/prefix"] == (2, 2, 16)
    assert shapes["task_prefix_1/prefixes"] == (2, 2, 3, 16)
    wide = {id(variable) for variable in method.widening}
    grow = {v.name for v in method.shared if id(v.variable) in wide}
    assert grow == {
        *("task_keys/keys", "task_prefix_1/prefixes"),
        *("head/kernel_0", "head/bias_0"),
    }


def test_a_learned_task_keeps_its_key_and_its_prefix(tmp_path):
    kept = []
    for counts in ((2,), (2, 2)):
        stream = toy_run.toy_stream(counts)
        method = _SMALL(_training(1))
        toy_run.learn(tmp_path, method, stream, scenario=CLASS)
        prefixes = method._experts[0].prefixes.numpy()
        kept.append((method._keys.keys.numpy()[0], prefixes[0]))
    for before, after in zip(*kept):
        np.testing.assert_array_equal(before, after)


def test_an_image_gets_the_prefix_whose_key_is_nearest():
    method, stream = _set_up(CLASS)
    for task in stream:
        method.begin_task(task)
    images = tf.constant(stream.tasks[0].test.images[:8], tf.float32)
    _, cosines = method._both(images, training=False)
    nearest = np.argmax(cosines, axis=1)
    logits = method.predict(images).numpy()
    # One after the other, as if every image had been told its task.
    told, _ = _set_up(TASK)
    for ours, theirs in zip(method.shared, told.shared):
        if ours.name == theirs.name and "head" not in ours.name:
            theirs.variable.assign(ours.variable)
    for task in range(2):
        told._choice.task.assign(task)
        features = told.network().backbone(images)
        wanted = method.head(features).numpy()
        chosen = nearest == task
        np.testing.assert_allclose(logits[chosen], wanted[chosen], atol=1e-5)
    assert not np.allclose(wanted, logits)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"expert_blocks": (2, 3)}, "`expert_blocks`.*0 to 1.*Received"),
        ({"general_blocks": (-1,)}, "`general_blocks`.*0 to 1.*Received"),
        ({"expert_length": 0}, "`expert_length`"),
    ],
)
def test_wrong_values_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        _set_up(CLASS, **wrong)
