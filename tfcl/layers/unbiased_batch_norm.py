"""Batch normalisation that keeps the unbiased variance."""

from __future__ import annotations

import typing

import keras
import tensorflow as tf

if typing.TYPE_CHECKING:
    from tfcl.types import Lowered, Tensor


@keras.saving.register_keras_serializable(package="tfcl")
class UnbiasedBatchNorm(keras.layers.BatchNormalization):
    """Batch normalisation as PyTorch computes it.

    A batch is normalised by its own mean and variance, but the variance that
    goes into the running one is the unbiased estimate, n / (n - 1) times the
    batch's, where n counts the values of a channel over the batch (and over
    the replicas). `keras.layers.BatchNormalization` keeps the biased one; its
    defaults differ, too.

    Args:
        momentum: Share of the running statistics that a step keeps; 0.9 is
            what PyTorch calls momentum 0.1.
        epsilon: Added to the variance.
        synchronized: Statistics of the batch over all replicas.
        **kwargs: As for `keras.layers.BatchNormalization`, without `renorm`.

    Input shape: any, channels on `axis`.
    Output shape: same as the input.

    Note:
        Masks are not regarded. A channel with a single value keeps its
        biased variance, 0, where PyTorch stops.

    Reference:
        Ioffe and Szegedy, "Batch Normalization", ICML 2015, algorithm 2;
        `torch.nn.BatchNorm2d`.
    """

    def __init__(
        self,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        synchronized: bool = True,
        **kwargs,
    ):
        if kwargs.get("renorm"):
            raise ValueError(
                "UnbiasedBatchNorm has no renormalisation; use "
                "keras.layers.BatchNormalization. Received: renorm=True"
            )
        super().__init__(
            momentum=momentum,
            epsilon=epsilon,
            synchronized=synchronized,
            **kwargs,
        )

    def call(
        self,
        inputs: Tensor,
        training: bool | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        del mask
        training = bool(training) and self.trainable
        if self._can_be_fused(inputs, training):
            outputs = self._fused(inputs, training)
            return keras.ops.cast(outputs, self.compute_dtype)
        dtype = keras.backend.result_type(inputs.dtype, "float32")
        inputs = keras.ops.cast(inputs, dtype)
        if training:
            mean, variance = self._normalizing(inputs)
        else:
            mean, variance = self.moving_mean, self.moving_variance
        outputs = keras.ops.batch_normalization(
            inputs,
            keras.ops.cast(mean, dtype),
            keras.ops.cast(variance, dtype),
            axis=self.axis,
            offset=self.beta,
            scale=self.gamma,
            epsilon=self.epsilon,
        )
        return keras.ops.cast(outputs, self.compute_dtype)

    def _can_be_fused(self, inputs, training):
        """Whether TensorFlow has one operation for it, twice as fast.

        It takes statistics in float32 also where the inputs are bfloat16.
        """
        return (
            len(inputs.shape) == 4
            and self.axis in (3, -1)
            and inputs.dtype in ("float32", "bfloat16")
            and self.scale
            and self.center
            and not (training and self._replicas() > 1)
        )

    def _fused(self, inputs, training):
        moving = [v.value for v in (self.moving_mean, self.moving_variance)]
        outputs, mean, unbiased, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma.value,
            offset=self.beta.value,
            mean=tf.zeros(0) if training else moving[0],
            variance=tf.zeros(0) if training else moving[1],
            epsilon=self.epsilon,
            is_training=training,
        )
        if training:
            self._move(mean, unbiased)
        return outputs

    def _normalizing(self, inputs):
        """Mean and variance of the batch; the running ones move."""
        replicas = self._replicas()
        synchronized = replicas > 1
        count = self._values_per_channel(inputs, replicas)
        mean, variance = keras.ops.moments(
            inputs, axes=self._reduction_axes, synchronized=synchronized
        )
        if synchronized:
            # Keras takes E(x^2) - E(x)^2 here, which loses digits unless
            # the mean is near zero.
            shape = [1] * len(inputs.shape)
            shape[self.axis] = -1
            centred = inputs - keras.ops.reshape(mean, shape)
            _, variance = keras.ops.moments(
                centred, axes=self._reduction_axes, synchronized=True
            )
        unbiased = variance * count / keras.ops.maximum(count - 1.0, 1.0)
        self._move(mean, unbiased)
        return mean, variance

    def _move(self, mean, unbiased):
        """A step of the running statistics.

        Channels of a batch that is not finite keep theirs: such a step may be
        skipped, and what is NaN once would stay so.
        """
        finite = keras.ops.isfinite(mean) & keras.ops.isfinite(unbiased)
        for running, value in (
            (self.moving_mean, mean),
            (self.moving_variance, unbiased),
        ):
            old = keras.ops.cast(running, value.dtype)
            new = self.momentum * old + (1.0 - self.momentum) * value
            running.assign(keras.ops.where(finite, new, old))

    def _replicas(self):
        """Number of replicas whose batches count as one."""
        if not self.synchronized:
            return 1
        # A variable knows the strategy under which it was made.
        strategy = getattr(self.moving_mean.value, "distribute_strategy", None)
        return 1 if strategy is None else strategy.num_replicas_in_sync

    def _values_per_channel(self, inputs, replicas):
        """n: values of a channel over all replicas, a float scalar."""
        sizes = keras.ops.shape(inputs)
        count = 1
        for axis in self._reduction_axes:
            count = count * sizes[axis]
        count = keras.ops.cast(count, inputs.dtype)
        if replicas == 1:
            return count
        # The only reduction that Keras offers is a mean.
        mean, _ = keras.ops.moments(
            keras.ops.reshape(count, (1,)), axes=[0], synchronized=True
        )
        return replicas * mean

    def lower(self) -> Lowered:
        """The plain Keras layer that serves the same, and its weights."""
        plain = keras.layers.BatchNormalization
        config = plain.get_config(self)
        return plain.from_config(config), [v.numpy() for v in self.weights]
