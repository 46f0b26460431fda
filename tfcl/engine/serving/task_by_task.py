"""A batch of several tasks, taken apart: each task by its own network."""

from __future__ import annotations

import functools
import itertools
import typing

import tensorflow as tf

from tfcl.data.preprocessing import grey_levels
from tfcl.engine.serving.image_bytes import decoded
from tfcl.models.surgery.task_networks import TaskNetworks, bytes_together

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    import keras

    from tfcl.engine.storage.bank import BankedTask
    from tfcl.methods.base import Method
    from tfcl.types import Tensor


# Tasks that tell in which form the networks have most in common.
_TRIED = 3
# A form that stores so much more than the best is taken if it comes earlier.
_MUCH = 1.05
_EXPORTED = "folded"  # The form of single exports.


class TaskByTask:
    """Answers for every method: the images of each task through its network.

    The networks are those of the single exports, or in another form of them
    (`TaskNetwork.forms`) if then more of them is stored once.

    Args:
        method: `Method`, set up, shared variables restored.
        entries: `BankedTask`s whose networks take images.

    Attributes:
        separate_bytes: Bytes of the weights of single exports; None if the
            networks are in another form.
    """

    takes_files = True

    def __init__(self, method: Method, entries: Sequence[BankedTask]):
        self._entries = entries
        self._classes = max(len(entry.class_names) for entry in entries)
        form = _best_form(method, entries)
        self._networks = TaskNetworks(_networks(method, entries, form))
        self.separate_bytes = None
        if form == _EXPORTED:
            self.separate_bytes = self._networks.separate_bytes
        self._levels = functools.cache(_traced_levels)

    @property
    def weights(self) -> list[tf.Variable]:
        """The variables, each once."""
        return self._networks.weights

    @property
    def num_bytes(self) -> int:
        """Bytes of the values that are stored."""
        return self._networks.num_bytes

    def of_images(self, images: Tensor, tasks: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities `(n, C)` and the best class's number `(n,)`; traced.

        Args:
            images: uint8 `(n, height, width, 1, 3 or 4 channels)`.
            tasks: Number of each one's task, int32 `(n,)`.
        """

        def levels(rule, rows):
            found = self._levels(rule.image_shape, rule.resize)
            return found(tf.gather(images, rows))

        return self._answers(tasks, levels)

    def of_files(self, files: Tensor, tasks: Tensor) -> tuple[Tensor, Tensor]:
        """As `of_images`, from contents of image files, strings `(n,)`."""

        def levels(rule, rows):
            pixels = decoded(tf.gather(files, rows), rule)
            return tf.cast(pixels, tf.float32)

        return self._answers(tasks, levels)

    def _answers(self, tasks, levels):
        places, answers = [], []
        for number in range(len(self._entries)):
            rows = tf.where(tasks == number)[:, 0]
            places.append(rows)
            answers.append(
                tf.cond(
                    tf.size(rows) > 0,
                    functools.partial(self._answer, number, rows, levels),
                    self._nothing,
                )
            )
        back = tf.math.invert_permutation(tf.concat(places, 0))
        probabilities, best = (
            tf.gather(tf.concat(parts, 0), back) for parts in zip(*answers)
        )
        return probabilities, best

    def _answer(self, number, rows, levels):
        """Of the images of one task."""
        rule = self._entries[number].preprocessing
        images = rule.standardised(levels(rule, rows))
        logits = self._networks(number, images)
        probabilities = tf.nn.softmax(tf.cast(logits, tf.float32))
        spare = self._classes - len(self._entries[number].class_names)
        probabilities = tf.pad(probabilities, [[0, 0], [0, spare]])
        best = tf.argmax(logits, axis=-1)
        return tf.ensure_shape(probabilities, (None, self._classes)), best

    def _nothing(self):
        return (
            tf.zeros((0, self._classes), tf.float32),
            tf.zeros((0,), tf.int64),
        )


def _traced_levels(image_shape, resize):
    """One function for all tasks that resize alike."""
    return tf.function(
        lambda images: grey_levels(images, image_shape, resize),
        autograph=False,
    )


def _best_form(method: Method, entries: Sequence[BankedTask]) -> str:
    """The form in which the first tasks are stored in the fewest bytes."""
    method.activate(entries[0].values, entries[0].index)
    names = list(_forms(method))
    if len(names) == 1:
        return names[0]
    first = list(itertools.islice(entries, _TRIED))
    sizes = {
        name: bytes_together(_networks(method, first, name)) for name in names
    }
    least = min(sizes.values())
    return next(name for name in names if sizes[name] <= _MUCH * least)


def _networks(
    method: Method, entries: Sequence[BankedTask], form: str
) -> Iterator[keras.Model]:
    for entry in entries:
        method.activate(entry.values, entry.index)
        yield _forms(method)[form]()


def _forms(method: Method) -> dict[str, Callable[[], Any]]:
    network: Any = method.network()
    # One of a user's method may know its plain form alone.
    if not hasattr(network, "forms"):
        return {_EXPORTED: network.lower}
    return network.forms()
