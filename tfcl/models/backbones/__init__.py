"""Backbones, a family per file; they count on Keras' defaults."""

from tfcl import keras_state

keras_state.refuse_other()
