"""A Memory Head sees the points of examples/dense_2d.py, and keeps them."""

import keras
import numpy as np
import tensorflow as tf

from tfcl import layers
from tfcl.data.streams.point_stream import Modes, drawn_point_stream


def main(count=1000):
    """Learns that many points; prints the test accuracy of each class, %."""
    (task,) = drawn_point_stream(Modes(2 * count), "ci").tasks
    keras.utils.set_random_seed(0)
    key = layers.KeyOptions(similarity="euclidean", key_rate=0.01)
    layer = layers.MemoryDense(4, layers.MemoryOptions(10, 2, 25.0), key)
    layer.build((None, 2))
    optimizer = keras.optimizers.Adam(0.01)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            logits, reading = layer.read(x)
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
        gradient = tape.gradient(loss, layer.memories.value)
        layer.assign(layer.updated(layer.state(), reading))  # keys, counters
        optimizer.apply([gradient], [layer.memories])

    x, y = tf.constant(task.train.images[:, 0, 0]), task.train.labels
    points, labels = task.test.images[:, 0, 0], task.test.labels
    for k in range(count):
        step(x[k : k + 1], tf.constant(y[k : k + 1]))
        if k + 1 == count or y[k + 1] != y[k]:
            hits = 100.0 * (np.argmax(layer(points), axis=1) == labels)
            shares = [hits[labels == c].mean() for c in range(4)]
            print(f"after class {y[k]}:", *(f"{s:6.1f}" for s in shares))


if __name__ == "__main__":
    main()
