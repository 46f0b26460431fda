"""Networks as functions of their values; they count on Keras' defaults."""

from tfcl import keras_state

keras_state.refuse_other()
