"""One pass over data that gives the gradients behind SPG's importance."""

from __future__ import annotations

import typing

import numpy as np
import tensorflow as tf
from absl import logging

from tfcl.errors import RunError
from tfcl.methods.base import cross_entropy, values_of
from tfcl.methods.work import Accumulate
from tfcl.models.running_statistics import running_statistics
from tfcl.models.surgery.top_dense import top_dense
from tfcl.models.variables import statistic
from tfcl.tapes.importance import are_equal, score

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from tfcl.methods.base import Batch
    from tfcl.models.network import TaskNetwork


class ImportancePass:
    """Accumulated gradients of several heads' objectives, in one pass.

    Every batch runs forward once. What an objective asks of the backbone is the
    vector-Jacobian product of its gradient at the features, the cotangent:

    - of an earlier head, the sum of all its logits: the row sums of its
      kernel, the same for every example;
    - of the task's own head, the mean cross-entropy of a training batch:
      `(softmax - onehot) W^T`, each example weighted by 1 / the size of the
      training batch in which it stands, so that passes may have any batch.

    If a dense layer makes the features (`top_dense`), an earlier head's
    gradient of its kernel is `M * s`, where M, the product of a cotangent of
    ones, is the same for all heads, and s the cotangent.

    The heads of a pass share the draws of dropout.

    Args:
        network: `TaskNetwork` with a head of one layer.
        masked: The backbone's trained variables, list of `Owned`.
        heads: Most objectives of one pass: a pass keeps so many gradients of
            the backbone (without that dense layer) in memory.
        dropout: Share of features dropped before the head.
        training: Whether the backbone runs in its training mode. Batch norm
            uses its running statistics in any case.
        batch_size: Examples of a batch of the pass.
    """

    def __init__(
        self,
        network: TaskNetwork,
        masked: Sequence[Any],
        heads: Any,
        dropout: float,
        training: bool,
        batch_size: int,
    ):
        self._network = network
        self._masked = masked
        self._heads = heads
        self._dropout = dropout
        self._training = training
        self._batch_size = batch_size
        top = top_dense(network.backbone)
        inside = {id(v) for v in top.trainable_weights} if top else set()
        places = range(len(masked))
        self._top = [i for i in places if id(masked[i].variable) in inside]
        self._rest = [i for i in places if i not in self._top]
        shapes = [tuple(owned.variable.shape) for owned in masked]
        self._sums = [_sums((heads, *shapes[i])) for i in self._rest]
        self._ones = [_sums(shapes[i]) for i in self._top]
        self._own = [_sums(shapes[i]) for i in self._top]
        features = network.backbone.output_shape[-1]
        self._cotangents = _sums((heads, features))
        # Objectives of this pass, whether the first is the own one, examples
        # of the pass, and of a training batch.
        self._counts = statistic(np.zeros(4), "pass_counts", "int32")
        # Places in `masked` of which this task has told.
        self._told = set()

    def over(
        self,
        data: Any,
        cotangents: Any,
        own: Any,
        weight_batch: Any,
        then: Callable[..., None] | None,
    ) -> Any:
        """The `Accumulate` of some objectives.

        Args:
            data: `Split`.
            cotangents: Of earlier heads, list of `(features,)` arrays.
            own: Whether the task's own objective comes first, which begins
                the passes of a task.
            weight_batch: Examples of a training batch.
            then: Function of the scores, called for every objective: a list
                of tensors in [0, 1], one per variable of `masked`.
        """
        if own:
            self._told = set()
        values = np.zeros(self._cotangents.shape, np.float32)
        if cotangents:
            values[own : own + len(cotangents)] = cotangents
        self._cotangents.assign(values)
        count = len(cotangents) + own
        self._counts.assign([count, own, len(data), weight_batch])
        return Accumulate(
            "importance",
            self.step,
            [*self._sums, *self._ones, *self._own],
            data=data,
            batch_size=self._batch_size,
            then=lambda: self._hand_over(then),
        )

    # One batch

    def step(self, batch: Batch) -> Any:
        """The part of a batch in all gradients of the pass."""
        sources = values_of(self._masked)
        top = [sources[i] for i in self._top]
        rest = [sources[i] for i in self._rest]
        with tf.GradientTape(
            persistent=True, watch_accessed_variables=False
        ) as tape:
            tape.watch(sources)
            features = self._features(batch)
        own = self._own_cotangent(batch, features)
        ones = tf.ones_like(features)
        return [
            *self._products(tape, features, rest, own),
            *_product(tape, features, top, ones),
            *_product(tape, features, top, own),
        ]

    def _features(self, batch):
        backbone = self._network.backbone
        with running_statistics(backbone):
            features = backbone(batch.images, training=self._training)
        rate = self._dropout if self._training else 0.0
        mask = batch.dropout_mask(rate, features.shape[-1])
        return features if mask is None else features * mask

    def _own_cotangent(self, batch, features):
        first = batch.step * self._batch_size + batch.positions
        examples, size = self._counts[2], self._counts[3]
        sizes = tf.minimum(size, examples - first // size * size)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(features)
            losses = cross_entropy(batch.labels, self._network.head(features))
            loss = tf.reduce_sum(losses / tf.cast(sizes, losses.dtype))
        return tape.gradient(loss, features)

    def _products(self, tape, features, sources, own):
        """Products of all cotangents, `(heads, *shape)` each."""
        if not sources:
            return []
        counts = tf.convert_to_tensor(self._counts)
        cotangents = tf.convert_to_tensor(self._cotangents)
        arrays = [
            tf.TensorArray(
                source.dtype, self._heads, element_shape=source.shape
            )
            for source in sources
        ]

        def body(number, *arrays):
            earlier = tf.cast(cotangents[number], features.dtype)
            is_own = tf.equal(number, 0) & tf.equal(counts[1], 1)
            cotangent = tf.where(is_own, own, earlier[None])
            found = _product(tape, features, sources, cotangent)
            return (
                number + 1,
                *(a.write(number, g) for a, g in zip(arrays, found)),
            )

        _, *arrays = tf.while_loop(
            lambda number, *_: number < counts[0],
            body,
            (tf.constant(0), *arrays),
            parallel_iterations=1,
        )
        # What was not written is zeros.
        return [array.stack() for array in arrays]

    # After the pass

    def _hand_over(self, then):
        count, own, *_ = (int(n) for n in self._counts.numpy())
        for number in range(count):
            gradients = self.gradients(number, bool(own) and number == 0)
            then([self._score(g, i) for i, g in enumerate(gradients)])

    def gradients(self, number: int, own: Any) -> Any:
        """g of the objective `number` of the last pass, in `masked`'s order."""
        found = [None] * len(self._masked)
        for place, sums in zip(self._rest, self._sums):
            found[place] = sums[number]
        cotangent = self._cotangents[number]
        for place, ones, mine in zip(self._top, self._ones, self._own):
            # Columns are units, of kernel and bias alike.
            value = mine if own else ones * cotangent
            found[place] = tf.convert_to_tensor(value)
        return found

    def _score(self, gradient, place):
        result = score(gradient)
        if not bool(tf.reduce_all(tf.math.is_finite(result))):
            raise RunError(
                f"The gradient behind the importance of "
                f"'{self._masked[place].name}' is not finite, though its "
                "training was. Everything learned before this task is kept. "
                "Start anew in another --model_dir with a lower rate."
            )
        self._tell_of_no_deviation(gradient, place)
        return result

    def _tell_of_no_deviation(self, gradient, place):
        """Warns once per task and variable."""
        single = tf.size(gradient) == 1
        if place in self._told or not bool(are_equal(gradient)):
            return
        if bool(single | tf.reduce_any(gradient != 0)):
            self._told.add(place)
            logging.warning(
                "The gradient of '%s' has no deviation over its %d elements: "
                "their importance is 0, so later tasks may change them.",
                self._masked[place].name,
                int(tf.size(gradient)),
            )


def _product(tape, features, sources, cotangent):
    return tape.gradient(
        features,
        sources,
        output_gradients=cotangent,
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )


def _sums(shape):
    # Never checkpointed: a pass that was killed begins anew.
    return statistic(np.zeros(shape), "importance_sums")
