"""Which units of the layer below the active task knows."""

import keras


@keras.saving.register_keras_serializable(package="tfcl")
class UnitGate(keras.layers.Layer):
    """Passes open units (channels, last axis) and silences the others.

    The time stamp of DEN: a task opens the units that existed when it was
    learned; those that came later give it zeros.

    Weights: `open`, float32 `(units,)` of ones and zeros, not trained.

    Reference:
        Yoon et al., "Lifelong Learning with Dynamically Expandable Networks",
        ICLR 2018, sec. 3 (time-stamped inference).
    """

    def build(self, input_shape):
        self.open = self.add_weight(
            name="open",
            shape=(input_shape[-1],),
            initializer="ones",
            trainable=False,
        )
        self.built = True

    def call(self, inputs):
        gate = keras.ops.cast(self.open, inputs.dtype)
        return keras.ops.multiply(inputs, gate)

    def compute_output_shape(self, input_shape):
        return input_shape

    def owned_variables(self):
        """`(name, variable, initializer)` of each variable."""
        return [("open", self.open, keras.initializers.Ones())]
