"""Random draws as pure functions of seeds and counters.

A resumed run must draw what an uninterrupted one draws, so nothing here (and
nothing elsewhere in tfcl) depends on how often a process has started.
"""

from __future__ import annotations

import typing
import zlib

import numpy as np

if typing.TYPE_CHECKING:
    pass


def seed_words(count: int, *key) -> np.ndarray:
    """`count` unsigned 32-bit words that depend on `key` alone.

    Args:
        count: Number of words.
        *key: Non-negative integers or texts (seed, task, phase, epoch, ...).
    """
    entropy = [
        zlib.crc32(part.encode()) if isinstance(part, str) else int(part)
        for part in key
    ]
    return np.random.SeedSequence(entropy).generate_state(count, np.uint32)


def stateless_seed(*key) -> np.ndarray:
    """An int32 pair for `tf.random.stateless_*`."""
    return seed_words(2, *key).view(np.int32)


def generator(*key) -> np.random.Generator:
    """A NumPy generator (Philox) started from `key`."""
    words = seed_words(4, *key).view(np.uint64)
    return np.random.Generator(np.random.Philox(key=words))
