"""Adam by rows."""

import keras
import numpy as np
import tensorflow as tf

from tfcl.optimizers.adam_torch import AdamTorch
from tfcl.optimizers.lazy_adam import LazyAdam


def _stepped(optimizer, gradients):
    variable = keras.Variable(np.arange(8.0).reshape(4, 2), dtype="float32")
    optimizer.build([variable])
    for gradient in gradients:
        optimizer.apply([gradient], [variable])
    return variable.numpy()


def _rows(rows, values):
    values = tf.constant(values, tf.float32)
    return tf.IndexedSlices(values, tf.constant(rows), tf.constant([4, 2]))


def test_rows_that_have_a_gradient_every_time_move_as_by_adam():
    gradients = [
        _rows([2, 0, 2], [[k, 1.0], [0.5, -k], [1.0, 2.0]])
        for k in (1.0, -2.0, 3.0)
    ]
    dense = [tf.convert_to_tensor(g) for g in gradients]
    wanted = _stepped(AdamTorch(0.1), dense)
    # The operation behind AdamTorch knows 1 - 0.999 in float32 only.
    np.testing.assert_allclose(
        _stepped(LazyAdam(0.1), gradients), wanted, rtol=2e-5
    )
    np.testing.assert_array_equal(_stepped(LazyAdam(0.1), dense), wanted)


def test_a_row_without_a_gradient_rests():
    gradients = [_rows([1], [[1.0, 1.0]]), _rows([3], [[1.0, 1.0]])]
    one = _stepped(LazyAdam(0.1), gradients[:1])
    both = _stepped(LazyAdam(0.1), gradients)
    np.testing.assert_array_equal(both[:3], one[:3])
    assert (both[3] != one[3]).all()
    plain = _stepped(
        AdamTorch(0.1), [tf.convert_to_tensor(g) for g in gradients]
    )
    assert (plain[1] != one[1]).all()
