"""Keys, prompts and prefixes: what they hold, and who gets which."""

import numpy as np
import pytest

from tests.testing.layers import run_layer_test
from tfcl.layers.prompts.general_prefix import GeneralPrefix
from tfcl.layers.prompts.prompt_keys import PromptKeys
from tfcl.layers.prompts.prompt_pool import PromptPool
from tfcl.layers.prompts.task_choice import TaskChoice
from tfcl.layers.prompts.task_prefix import TaskPrefix

_COSINES = np.float32([[0.1, 0.9, -0.5, 0.8], [0.7, -0.9, 0.6, 0.2]])


def test_all_are_layers():
    run_layer_test(
        PromptKeys, {"count": 4}, (3, 5), (3, 4), expected_mixed_dtype="float32"
    )
    sizes = {"length": 2, "width": 5}
    run_layer_test(PromptPool, {**sizes, "chosen": 3}, (3, 4), (3, 6, 5))
    run_layer_test(
        PromptPool,
        {**sizes, "chosen": 3, "diversified": True},
        (3, 4),
        (3, 6, 5),
    )
    run_layer_test(TaskChoice, {}, (3, 4), (3, 4))
    run_layer_test(TaskPrefix, sizes, (3, 4), (3, 2, 2, 5))
    run_layer_test(GeneralPrefix, {"length": 2}, (3, 4, 15), (3, 2, 2, 5))


def test_keys_are_compared_by_the_cosine():
    queries, keys = np.random.default_rng(0).normal(size=(2, 4, 5))
    layer = PromptKeys(4)
    layer.build((None, 5))
    layer.keys.assign(keys)
    wanted = queries @ keys.T
    wanted /= np.linalg.norm(queries, axis=1)[:, None]
    wanted /= np.linalg.norm(keys, axis=1)
    np.testing.assert_allclose(layer(np.float32(queries)), wanted, atol=1e-6)


def test_an_image_gets_the_prompts_of_the_nearest_keys():
    layer = PromptPool(length=3, width=2, chosen=2)
    found = layer(_COSINES, training=True)
    prompts = layer.prompts.numpy()
    wanted = [np.concatenate(prompts[list(p)]) for p in ((1, 3), (0, 2))]
    np.testing.assert_array_equal(found, wanted)


def test_frequent_prompts_are_farther_in_training():
    layer = PromptPool(length=1, width=2, chosen=2, diversified=True)
    layer.build((None, 4))
    # Ones at first: all alike.
    for training in (True, False):
        found = layer.choice(_COSINES, training)
        np.testing.assert_array_equal(found, [[1, 3], [0, 2]])
    layer.frequency.assign([0.05, 0.5, 0.05, 0.4])
    # Equation 4, by hand: 0.045, 0.05, 0.075, 0.08; 0.015, 0.95, 0.02, 0.32.
    found = layer.choice(_COSINES, True)
    np.testing.assert_array_equal(found, [[0, 1], [0, 2]])
    np.testing.assert_array_equal(
        layer.choice(_COSINES, False), [[1, 3], [0, 2]]
    )


def test_no_more_prompts_can_be_chosen_than_there_are():
    with pytest.raises(ValueError, match="`chosen`.*4 prompts.*chosen=5"):
        PromptPool(length=1, width=2, chosen=5)(_COSINES)


def test_a_task_is_told_in_training_and_found_at_test():
    layer = TaskChoice()
    layer.build((None, 4))
    layer.task.assign(2)
    layer.learned.assign(3)
    third = [[0, 0, 1, 0]] * 2
    np.testing.assert_array_equal(layer(_COSINES, training=True), third)
    # The last task has not been learned, however near its key.
    near = np.float32([[0.1, 0.2, -0.5, 0.8], [0.7, -0.9, 0.6, 0.2]])
    found = layer(near, training=False)
    np.testing.assert_array_equal(found, [[0, 1, 0, 0], [1, 0, 0, 0]])
    told = TaskChoice(told=True)
    told.build((None, 4))
    told.task.assign(2)
    np.testing.assert_array_equal(told(near), third)


def test_prefixes_are_those_of_the_task_or_of_all():
    layer = TaskPrefix(length=3, width=2)
    found = layer(np.float32([[0, 0, 1], [1, 0, 0]]))
    prefixes = layer.prefixes.numpy()
    np.testing.assert_array_equal(found, prefixes[[2, 0]])
    general = GeneralPrefix(length=3)
    found = general(np.zeros((2, 4, 6), np.float32))
    np.testing.assert_array_equal(found, [general.prefix.numpy()] * 2)
