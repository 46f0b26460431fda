"""Initializers as arguments, kept in a layer's configuration."""

import keras
import pytest

from tfcl.layers.has_initializers import HasInitializers


class _Layer(HasInitializers, keras.layers.Layer):
    pass


@pytest.mark.parametrize(
    "given, wanted",
    [
        ({}, ("GlorotUniform", "Zeros")),
        (
            {
                "kernel_initializer": keras.initializers.HeNormal(),
                "bias_initializer": "ones",
            },
            ("HeNormal", "Ones"),
        ),
    ],
)
def test_they_survive_the_configuration(given, wanted):
    layer = _Layer(name="mine", **given)
    again = _Layer.from_config(layer.get_config())
    for each in (layer, again):
        found = each.kernel_initializer, each.bias_initializer
        assert tuple(type(one).__name__ for one in found) == wanted
        assert each.name == "mine"
