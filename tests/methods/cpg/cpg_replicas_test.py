"""The parts of CPG on two replicas: one batch, one owner map."""

import keras
import numpy as np
import tensorflow as tf

from tfcl.layers.masked.masked_dense import MaskedDense
from tfcl.layers.masked.straight_through import straight_through
from tfcl.layers.unbiased_batch_norm import UnbiasedBatchNorm
from tfcl.optimizers.adam_torch import AdamTorch
from tfcl.optimizers.magnitude_pruning import GradualSparsity, prune_gradually
from tfcl.optimizers.owned_weights import without_foreign
from tfcl.optimizers.sgd_nesterov import SGDNesterov
from tfcl.testing import two_replicas

_IMAGES = np.random.default_rng(0).normal(1.0, 2.0, (11, 5))
_IMAGES = tf.constant(_IMAGES, tf.float32)


def _trained(strategy):
    """Weights after some steps of pruning; replicas share the batch."""
    replicas = strategy.num_replicas_in_sync
    with strategy.scope():
        layer = MaskedDense(6, kernel_initializer=_Ramp(), name="dense")
        norm = UnbiasedBatchNorm(name="norm")
        layer.build((None, 5))
        norm.build((None, 6))
        layer.owner.assign(np.arange(30).reshape(5, 6) % 3)
        layer.task.assign(2)
        layer.kernel.assign(without_foreign(layer.kernel, layer.owner, 2))
        trained = [layer.kernel, norm.gamma]
        sgd, adam = SGDNesterov(0.05), AdamTorch(0.01)
        sgd.build(trained)
        adam.build([layer.scores])
        schedule = keras.Variable(
            GradualSparsity(0.0, 0.6, 0, 6, 2).vector(), dtype="float64"
        )

    def replica(images, step):
        variables = [v.value for v in (*trained, layer.scores)]
        with tf.GradientTape() as tape:
            outputs = norm(layer(images, training=True), training=True)
            loss = tf.reduce_sum(outputs**3) / 11.0
        effective, gamma = tape.gradient(loss, variables[:2])
        owner, task = layer.owner, layer.task
        decay = 0.01 / replicas
        kernel, scores = straight_through(
            effective, layer.kernel, owner, task, decay
        )
        sgd.apply([kernel, gamma], variables[:2])
        adam.apply([scores], variables[2:])
        (pruned,) = prune_gradually(
            [layer.kernel], [owner], task, step, schedule
        )
        owner.assign(pruned)

    @tf.function
    def step(number):
        def mine():
            context = tf.distribute.get_replica_context()
            first = context.replica_id_in_sync_group
            return replica(_IMAGES[first::replicas], number)

        strategy.run(mine)

    for number in range(7):
        step(tf.constant(number))
    return {v.path: v.numpy() for v in (*layer.weights, *norm.weights)}


class _Ramp(keras.initializers.Initializer):
    """Different weights of both signs."""

    def __call__(self, shape, dtype=None):
        values = np.linspace(-1.0, 0.7, int(np.prod(shape)))
        return values.reshape(shape).astype("float32")


def test_two_replicas_train_and_prune_like_one():
    alone = _trained(tf.distribute.get_strategy())
    both = _trained(two_replicas())
    owner = alone["dense/owner"]
    assert (owner == 0).sum() == 12  # 0.6 of the 20 candidates
    for name, value in both.items():
        if value.dtype == np.uint8:
            np.testing.assert_array_equal(value, alone[name], name)
        else:
            np.testing.assert_allclose(
                value, alone[name], rtol=1e-4, atol=1e-5, err_msg=name
            )
