"""A dense layer sees each point of MODES once, a class after the other.

It forgets; examples/memory_head_2d.py learns the same points and does not.
"""

import keras
import numpy as np
import tensorflow as tf

from tfcl.data.streams.point_stream import Modes, drawn_point_stream


def main(count=1000):
    """Learns that many points; prints the test accuracy of each class, %."""
    (task,) = drawn_point_stream(Modes(2 * count), "ci").tasks
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4)])
    optimizer = keras.optimizers.Adam(0.01)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(y, model(x))
        optimizer.apply(tape.gradient(loss, model.weights), model.weights)

    x, y = tf.constant(task.train.images[:, 0, 0]), task.train.labels
    points, labels = task.test.images[:, 0, 0], task.test.labels
    for k in range(count):
        step(x[k : k + 1], tf.constant(y[k : k + 1]))
        if k + 1 == count or y[k + 1] != y[k]:
            hits = 100.0 * (np.argmax(model(points), axis=1) == labels)
            shares = [hits[labels == c].mean() for c in range(4)]
            print(f"after class {y[k]}:", *(f"{s:6.1f}" for s in shares))


if __name__ == "__main__":
    main()
