"""Optimizers driven by hand."""

import keras
import numpy as np
import tensorflow as tf

from tfcl.testing import two_replicas


def take_steps(optimizer, variable, gradients, rates=None):
    """The variable's value after a step for every gradient.

    Args:
        optimizer: Not built yet.
        variable: `keras.Variable`.
        gradients: `(steps, *variable.shape)`.
        rates: Learning rate of every step; None leaves the optimizer's.
    """
    optimizer.build([variable])
    for step, gradient in enumerate(gradients):
        if rates is not None:
            optimizer.learning_rate.assign(rates[step])
        optimizer.apply([tf.constant(gradient, variable.dtype)], [variable])
    return variable.numpy()


def take_steps_on_two_replicas(make_optimizer, gradients):
    """The same from ones, where each replica has half of every gradient."""
    strategy = two_replicas()
    with strategy.scope():
        variable = keras.Variable(np.ones(gradients.shape[1:]))
        optimizer = make_optimizer()
        optimizer.build([variable])

    def update(gradient):
        optimizer.apply([gradient / 2.0], [variable.value])

    run = tf.function(lambda gradient: strategy.run(update, args=(gradient,)))
    for gradient in gradients:
        run(tf.constant(gradient, tf.float32))
    return variable.numpy()
