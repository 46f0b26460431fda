"""Arrays of many networks, of which equal ones are stored once."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import typing

import numpy as np
import tensorflow as tf

if typing.TYPE_CHECKING:
    from tfcl.types import Tensor


_LOOKED_AT = 4096  # Entries that tell most of what differs.


class SharedValues(tf.Module):
    """A store of arrays that tells from the values what is shared.

    An array that is equal to an earlier one, bit for bit, is that one. Arrays
    of one name whose entries are either 0 or those of one common array (what
    masks and pruning make of a kernel) are stored as that array and a bit per
    entry; a smaller one may lie in its leading block (a network that has
    grown). All others are stored as they are.

    Call `add` for every array, then `freeze`; `read` gives them back in a
    graph.

    Attributes:
        variables_once: What `freeze` makes.

    Note:
        A -0.0 of an array that is stored as bits comes back as 0.0.
    """

    variables_once: list[tf.Variable]

    def __init__(self):
        super().__init__()
        self._kept = []
        self._groups = {}
        self._known = {}
        self.variables_once = []

    def add(self, name: str, array: np.ndarray) -> int:
        """Stores an array; returns its number.

        Args:
            name: Arrays of one name are compared with each other.
            array: Any shape and type.
        """
        array = np.asarray(array)
        digest = hashlib.sha256(array.tobytes()).digest()
        key = (digest, array.shape, str(array.dtype))
        if key not in self._known:
            self._known[key] = len(self._kept)
            self._kept.append(self._placed(name, array))
        return self._known[key]

    def _placed(self, name, array):
        kind = (name, str(array.dtype), array.ndim)
        groups = self._groups.setdefault(kind, [])
        for group in groups:
            if group.takes(array):
                break
        else:
            group = _Group(array)
            groups.append(group)
        bits = np.packbits(np.ravel(array != 0))
        return _Kept(group, array.shape, bits)

    @property
    def num_bytes(self) -> int:
        """Bytes of all that is stored."""
        groups = [g for each in self._groups.values() for g in each]
        return sum(group.array.nbytes for group in groups) + sum(
            len(kept.bits) for kept in self._kept if not kept.is_whole
        )

    def freeze(self) -> None:
        """Makes the variables; nothing can be added any more."""
        for groups in self._groups.values():
            for group in groups:
                group.variable = self._made(group.array)
        for kept in self._kept:
            if not kept.is_whole:
                kept.mask = self._made(kept.bits)
        for groups in self._groups.values():
            for group in groups:
                del group.array

    def _made(self, value):
        variable = tf.Variable(value, trainable=False)
        self.variables_once.append(variable)
        return variable

    def read(self, number: int) -> Tensor:
        """An array as a tensor; traced.

        Args:
            number: What `add` has returned.
        """
        kept = self._kept[number]
        value = tf.convert_to_tensor(kept.group.variable)
        if tuple(value.shape) != kept.shape:
            value = value[tuple(slice(size) for size in kept.shape)]
        if kept.mask is None:
            return value
        places = tf.constant([128, 64, 32, 16, 8, 4, 2, 1], tf.uint8)
        bits = tf.bitwise.bitwise_and(kept.mask[:, None], places)
        marked = tf.reshape(bits, [-1])[: math.prod(kept.shape)]
        marked = tf.reshape(marked, kept.shape) > 0
        return tf.where(marked, value, tf.zeros((), value.dtype))


class _Group:
    """Arrays that are parts of one."""

    def __init__(self, array):
        self.array = array
        self.variable = None

    def takes(self, array):
        """Adds an array if it and the others are parts of one array."""
        mine = self.array
        pairs = list(zip(mine.shape, array.shape))
        if all(a >= b for a, b in pairs):
            wide = False
        elif all(a <= b for a, b in pairs):
            wide = True
        else:
            return False
        block = tuple(slice(min(pair)) for pair in pairs)
        left, right = mine[block], array[block]
        step = max(left.size // _LOOKED_AT, 1)
        if not _agree(left.ravel()[::step], right.ravel()[::step]):
            return False
        if not _agree(left, right):
            return False
        joined = np.array(array if wide else mine)
        joined[block] = np.where(left == 0, right, left)
        self.array = joined
        return True


def _agree(left, right):
    return bool(np.all((left == 0) | (right == 0) | (left == right)))


@dataclasses.dataclass(eq=False)
class _Kept:
    """An array as its part of a group."""

    group: _Group
    shape: tuple[int, ...]
    bits: np.ndarray
    mask: tf.Variable | None = None

    @property
    def is_whole(self):
        """Whether the group's leading block is the array."""
        block = self.group.array[tuple(slice(size) for size in self.shape)]
        return np.array_equal(np.packbits(np.ravel(block != 0)), self.bits)
