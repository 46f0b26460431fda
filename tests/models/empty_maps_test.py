"""Images that are smaller than a layer's window."""

import keras
import pytest

from tfcl.models.empty_maps import refuse_empty_maps


@keras.saving.register_keras_serializable(package="tfcl_tests")
class Cut(keras.layers.Layer):
    """Leaves nothing, as a window does that no image fills."""

    def call(self, inputs):
        return inputs[:, :0]

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 0, *input_shape[2:])


def _model(layer):
    inputs = keras.Input((6, 6, 3))
    inner = keras.Sequential([keras.Input((6, 6, 3)), layer], name="inner")
    return keras.Model(inputs, inner(inputs))


def test_a_map_without_a_pixel_is_refused_wherever_it_is():
    with pytest.raises(ValueError, match="Layer 'cut' .*smaller than its"):
        refuse_empty_maps(_model(Cut(name="cut")))


def test_others_pass():
    refuse_empty_maps(_model(keras.layers.Conv2D(2, 6)))
