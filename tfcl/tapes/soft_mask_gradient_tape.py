"""A gradient tape that spares what earlier tasks need."""

from __future__ import annotations

import typing

import keras
import tensorflow as tf

from tfcl.arguments import PositiveFloat, checked

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tfcl.types import Tensor


class SoftMaskGradientTape(tf.GradientTape):
    """A `tf.GradientTape` whose `gradient` is softly masked (SPG).

    The gradient of each shared variable is multiplied by 1 - its accumulated
    importance. The gradients of the head are clipped by their global norm,
    `g min(1, head_clip / (norm + 1e-6))`, and multiplied by `head_factor`.
    All other gradients are those of `tf.GradientTape`. It may be nested and
    persistent, and takes no part in what optimizers do.

    The caller keeps the importances: zeros at first, and after each task the
    maximum with the `score` of the loss's gradient over the task's data.

        import keras
        import tensorflow as tf

        from tfcl.tapes import SoftMaskGradientTape, score

        images = tf.random.normal((64, 8))
        labels = tf.cast(images[:, :1] > 0, tf.float32)
        backbone = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
        shared = backbone.trainable_variables
        importances = [tf.zeros(v.shape) for v in shared]
        loss_fn = keras.losses.BinaryCrossentropy(from_logits=True)

        for task in range(2):
            head = keras.layers.Dense(1)
            model = keras.Sequential([backbone, head])
            optimizer = keras.optimizers.SGD(0.1)
            pairs = list(zip(shared, importances))
            for step in range(20):
                with SoftMaskGradientTape(pairs, head=head.variables) as tape:
                    loss = loss_fn(labels, model(images, training=True))
                found = tape.gradient(loss, model.trainable_variables)
                optimizer.apply(found, model.trainable_variables)
            with tf.GradientTape() as plain:
                loss = loss_fn(labels, model(images))
            found = map(score, plain.gradient(loss, shared))
            importances = list(map(tf.maximum, importances, found))

    Inside `strategy.run` every replica masks its part of a gradient, which
    comes to the same as masking the sum. The norm of the head's clip is not
    of that kind: it needs `sum_over_replicas`.

    Args:
        importance: Pairs `(variable, tensor in [0, 1])` of equal shapes.
        plasticity: Such pairs with 1 - importance, which saves an operation
            per step; only one of the two may name a variable.
        head: Variables of the head.
        head_factor: Scalar, 1 - mean importance of all shared elements.
        head_clip: Largest global norm of the head's gradients; None for any.
        sum_over_replicas: Function from a tensor to its sum over replicas,
            for the norm; None where there is one replica.
        persistent: As of `tf.GradientTape`.
        watch_accessed_variables: As of `tf.GradientTape`.

    Raises:
        ValueError: If a variable comes twice, or its mask has another shape.

    Reference:
        Konishi et al., "Parameter-Level Soft-Masking for Continual
        Learning", ICML 2023, eq. 5 and 6; the clip is of its program.
    """

    @checked
    def __init__(
        self,
        importance: Any = (),
        plasticity: Any = (),
        head: Any = (),
        head_factor: Any = 1.0,  # Also a variable.
        head_clip: PositiveFloat | None = 1e4,
        sum_over_replicas: Callable[[Tensor], Tensor] | None = None,
        persistent: bool = False,
        watch_accessed_variables: bool = True,
    ):
        super().__init__(persistent, watch_accessed_variables)
        self._masks = {}  # By id; the pairs keep the variables alive.
        self._head = {id(_plain(v)) for v in head}
        self._keep = list(head)
        for pairs, complement in ((importance, True), (plasticity, False)):
            for variable, mask in pairs:
                self._add(variable, mask, complement)
        self._head_factor = head_factor
        self._head_clip = head_clip
        self._sum = sum_over_replicas or (lambda value: value)

    def _add(self, variable, mask, complement):
        key = id(_plain(variable))
        if key in self._masks or key in self._head:
            raise ValueError(
                "Arguments `importance`, `plasticity` and `head` must name a "
                f"variable once. Received twice: {variable.name}"
            )
        if tuple(mask.shape) != tuple(variable.shape):
            raise ValueError(
                "Arguments `importance` and `plasticity` must have the shapes "
                f"of their variables. Received: {tuple(mask.shape)} for "
                f"{variable.name} of shape {tuple(variable.shape)}"
            )
        self._masks[key] = (mask, complement)
        self._keep.append(variable)

    def gradient(
        self,
        target: Tensor,
        sources: Any,
        output_gradients: Tensor | None = None,
        unconnected_gradients: Any = tf.UnconnectedGradients.NONE,
    ) -> Any:
        """The masked gradients of `target`, in the structure of `sources`."""
        flat = [_plain(source) for source in tf.nest.flatten(sources)]
        gradients = super().gradient(
            target, flat, output_gradients, unconnected_gradients
        )
        scale = self._head_scale(
            g for g, s in zip(gradients, flat) if id(s) in self._head
        )
        masked = [
            self._masked(gradient, source, scale)
            for gradient, source in zip(gradients, flat)
        ]
        return tf.nest.pack_sequence_as(sources, masked)

    def jacobian(self, *args, **kwargs) -> Any:
        """Not masked, so not offered."""
        raise NotImplementedError(
            "SoftMaskGradientTape masks gradients of steps, not Jacobians. "
            "Take a tf.GradientTape for them."
        )

    batch_jacobian = jacobian

    def _head_scale(self, gradients):
        """Factor of the head's gradients: of the clip and of the task."""
        scale = tf.convert_to_tensor(self._head_factor)
        gradients = [g for g in gradients if g is not None]
        if self._head_clip is None or not gradients:
            return scale
        norm = tf.linalg.global_norm([self._sum(_dense(g)) for g in gradients])
        clip = tf.minimum(1.0, self._head_clip / (norm + 1e-6))
        return tf.cast(scale, clip.dtype) * clip

    def _masked(self, gradient, source, scale):
        if gradient is None:
            return None
        if id(source) in self._head:
            return _times(gradient, tf.cast(scale, gradient.dtype))
        if id(source) not in self._masks:
            return gradient
        mask, complement = self._masks[id(source)]
        if isinstance(gradient, tf.IndexedSlices):
            mask = tf.gather(mask, gradient.indices)
        mask = tf.cast(tf.convert_to_tensor(mask), gradient.dtype)
        return _times(gradient, 1.0 - mask if complement else mask)


def _plain(variable):
    """The tf.Variable of a keras.Variable; anything else as it is."""
    return variable.value if isinstance(variable, keras.Variable) else variable


def _times(gradient, factor):
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(
            gradient.values * factor, gradient.indices, gradient.dense_shape
        )
    return gradient * factor


def _dense(gradient):
    return tf.convert_to_tensor(gradient)
