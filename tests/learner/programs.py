"""What the tests of the learner give: small images, a small model."""

import keras
import numpy as np

from tfcl.methods import CLR, TaskTraining

SIZE = 12


def examples(seed=0, count=200, classes=2, size=SIZE):
    """uint8 images whose brightest channel is their class, and labels."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=count)
    images = generator.integers(60, size=(count, size, size, 3))
    images[np.arange(count), :, :, labels] += 120
    return images.astype(np.uint8), labels


def model(converts=True, name="mine", norm=True):
    """A Keras model that a user might have."""
    keras.utils.set_random_seed(7)
    inputs = keras.Input((SIZE, SIZE, 3))
    hidden = inputs
    if converts:
        hidden = keras.layers.Rescaling(1 / 127.5, -1)(hidden)
    hidden = keras.layers.Conv2D(6, 3, strides=2, activation="relu")(hidden)
    if norm:
        hidden = keras.layers.BatchNormalization(momentum=0.5)(hidden)
    return keras.Model(inputs, hidden, name=name)


def method(epochs=6, make=CLR, norm=True, **options):
    """A method on that model."""
    training = TaskTraining(
        backbone=model(norm=norm),
        epochs=epochs,
        schedule=0.01,
        dropout=0.0,
        hidden_units=(),
    )
    return make(training, **options)
