"""Saving of layers that hold more than a kernel and a bias."""

import keras


class SavesAllVariables:
    """Mixin for subclasses of `Conv2D` and `Dense`.

    Keras' own layers save their kernel and bias; here every variable counts.
    """

    def save_own_variables(self, store):
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store):
        keras.layers.Layer.load_own_variables(self, store)
