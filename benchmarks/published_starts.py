"""The start values with which the published program of Memory Head runs.

Its networks start from PyTorch's generator on a CPU: 32-bit words of a
Mersenne Twister seeded with the run's seed, the lowest 24 bits of each word
making one float32. So a run here can begin where one of the program's began.
"""

import math

import numpy as np

from tfcl.layers.memory.memory_dense import MemoryDense
from tfcl.layers.memory.memory_update import COSINE

SEEDS = (1234, 123456, 12346578)  # Of the published experiments.


class Words:
    """PyTorch's uniform float32 numbers, in the order of their drawing."""

    def __init__(self, seed):
        self._generator = np.random.RandomState(seed)

    def uniform(self, shape, fan_in):
        """U(-1/sqrt(fan_in), 1/sqrt(fan_in)), row by row."""
        count = math.prod(shape)
        words = self._generator.randint(0, 2**32, count, dtype=np.uint64)
        numbers = (words % 2**24).astype(np.float32) * np.float32(2.0**-24)
        bound = 1.0 / math.sqrt(fan_in)
        numbers = numbers * np.float32(2.0 * bound) - np.float32(bound)
        return numbers.reshape(shape)


def begin(network, seed):
    """Gives an `OnlineNetwork` without backbone the program's start values.

    Args:
        network: `OnlineNetwork`, to whose variables they are assigned.
        seed: Of the program's run.
    """
    words = Words(seed)
    if len(network.members) > 1:
        # An ensemble is made of a network that has been drawn already.
        _draw(*network.members[0], words)
    for member in network.members:
        _draw(*member, words)


def _draw(backbone, head, words):
    for layer in backbone.layers:
        if layer.weights:
            _draw_dense(layer, words)
    if not isinstance(head, MemoryDense):
        _draw_dense(head, words)
        return
    keys = words.uniform(head.keys.shape, head.keys.shape[-1])
    if head.key.similarity == COSINE:
        keys /= np.linalg.norm(keys, axis=-1, keepdims=True)
    memories = words.uniform(head.memories.shape, head.memories.shape[-1])
    head.keys.assign(keys)
    head.memories.assign(memories)


def _draw_dense(layer, words):
    features, units = layer.kernel.shape
    layer.kernel.assign(words.uniform((units, features), features).T)
    layer.bias.assign(words.uniform((units,), features))
