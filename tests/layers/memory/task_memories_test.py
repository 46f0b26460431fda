"""Heads of unequal tasks in one layer against heads on their own."""

import dataclasses

import keras
import numpy as np
import pytest

from tests.testing.layers import run_layer_test
from tfcl.layers.memory.memory_dense import MemoryDense
from tfcl.layers.memory.memory_options import (
    KeyOptions,
    MemoryOptions,
    ScramblingOptions,
)
from tfcl.layers.memory.task_memories import TaskMemories

_MEMORY = MemoryOptions(memory_units=4, delta=2)


def test_it_is_a_layer():
    run_layer_test(
        TaskMemories,
        {
            "sizes": (3, 1),
            "memory": _MEMORY,
            "scrambling": ScramblingOptions(scramble=False),
        },
        (5, 6),
        (5, 4),
        expected_mixed_dtype="float32",
    )


def test_each_task_answers_as_on_its_own():
    keras.utils.set_random_seed(0)
    sizes, inputs = (3, 1, 2), np.random.default_rng(0).normal(size=(5, 6))
    inputs = inputs.astype(np.float32)
    layer = TaskMemories(sizes, _MEMORY)
    together = layer(inputs).numpy()
    np.testing.assert_allclose(layer.read(inputs)[0], together, atol=1e-6)
    for task, size in enumerate(sizes):
        alone = MemoryDense(size, _MEMORY)
        alone.build(inputs.shape)
        alone.keys.assign(layer.keys[task : task + 1])
        rows = layer.memories.numpy()[4 * task : 4 * task + 4]
        alone.memories.assign(rows[:, : alone.memories.shape[1]])
        first = sum(sizes[:task])
        np.testing.assert_allclose(
            together[:, first : first + size], alone(inputs), atol=1e-6
        )


@pytest.mark.parametrize("kind", ["variance", "deviation"])
@pytest.mark.parametrize("use_bias", [True, False])
def test_each_task_has_a_layer_norm_of_its_own(kind, use_bias):
    """As in the published program, where each head is a layer."""
    memory = dataclasses.replace(_MEMORY, layer_norm=kind, use_bias=use_bias)
    generator = np.random.default_rng(0)
    sizes, inputs = (3, 1, 2), generator.normal(size=(5, 6)).astype("float32")
    layer = TaskMemories(sizes, memory)
    layer.build(inputs.shape)
    # Gains and offsets that differ from task to task.
    layer.memories.assign(generator.normal(size=layer.memories.shape))
    together = layer(inputs).numpy()
    np.testing.assert_allclose(layer.read(inputs)[0], together, atol=1e-5)
    width, tail = 6 + int(use_bias), 2 * 6
    for task, size in enumerate(sizes):
        alone = MemoryDense(size, memory)
        alone.build(inputs.shape)
        alone.keys.assign(layer.keys[task : task + 1])
        rows = layer.memories.numpy()[4 * task : 4 * task + 4]
        own = np.concatenate([rows[:, : size * width], rows[:, -tail:]], 1)
        alone.memories.assign(own)
        first = sum(sizes[:task])
        np.testing.assert_allclose(
            together[:, first : first + size], alone(inputs), atol=1e-5
        )
    # A new layer's gains are 1 and its offsets 0.
    fresh = TaskMemories(sizes, memory)
    fresh.build(inputs.shape)
    tails = fresh.memories.numpy()[:, -tail:]
    np.testing.assert_array_equal(tails, [[1.0] * 6 + [0.0] * 6] * 12)


def test_sizes_must_be_positive():
    for sizes in ((), (2, 0)):
        with pytest.raises(ValueError, match="`sizes`.*Received"):
            TaskMemories(sizes)


def test_key_sets_are_not_to_be_chosen():
    with pytest.raises(ValueError, match="`key_sets`.*Received"):
        TaskMemories((2, 2), key=KeyOptions(key_sets=2))
