"""What tasks cannot pack is said in the log and in the results."""

import functools

import keras
import pytest

from tfcl.methods.cpg.packnet import PackNet
from tfcl.testing import tiny_stream, tiny_training

layers = keras.layers


def _attentive(image_shape):
    inputs = keras.Input(image_shape)
    hidden = layers.Conv2D(6, 3, name="conv")(inputs)
    hidden = layers.DepthwiseConv2D(3, name="depthwise")(hidden)
    hidden = layers.BatchNormalization(name="norm")(hidden)
    hidden = layers.Reshape((16, 6))(hidden)
    hidden = layers.MultiHeadAttention(2, 3, name="attention")(hidden, hidden)
    outputs = layers.Dense(5, name="dense")(layers.Flatten()(hidden))
    return keras.Model(inputs, outputs, name="attentive")


def _method(backbone=_attentive):
    method = PackNet(
        tiny_training(1, backbone=backbone, hidden_units=()),
        retraining_epochs=0,
    )
    stream = tiny_stream()()
    method.setup(stream.spec(), seed=0)
    method.begin_task(stream.tasks[0])
    return method


_MASKED = 3 * 3 * 3 * 6 + 96 * 5
_ATTENTION = 3 * (6 * 6 + 6) + 36 + 6
_OWN = 6 + 5 + (54 + 6) + 24 + _ATTENTION


def test_results_say_what_is_masked_and_what_is_own():
    shares = _method().bank_notes()["weights"]
    assert shares["masked"] == _MASKED
    assert shares["own"] == _OWN
    assert shares["masked_share"] == pytest.approx(_MASKED / (_MASKED + _OWN))
    assert set(shares["own_kernels"]) == {"depthwise", "attention"}
    assert shares["own_kernels"]["depthwise"] == 54


def test_the_log_names_layers_whose_weights_every_task_has_for_itself(caplog):
    with caplog.at_level("INFO", logger="absl"):
        _method()
    packed, copied = [
        r.getMessage() for r in caplog.records if "PackNet" in r.getMessage()
    ]
    assert f"packs {_MASKED} of the {_MASKED + _OWN} weights" in packed
    assert "depthwise (DepthwiseConv2D, 54 weights)" in copied
    assert "attention (MultiHeadAttention" in copied


def test_nothing_is_warned_of_where_all_kernels_are_packed(caplog):
    def plain(image_shape):
        return keras.Sequential(
            [
                keras.Input(image_shape),
                layers.Conv2D(4, 3),
                layers.BatchNormalization(),
                layers.GlobalAveragePooling2D(),
            ]
        )

    with caplog.at_level("WARNING", logger="absl"):
        _method(plain)
    assert not [r for r in caplog.records if "PackNet" in r.getMessage()]


def test_a_network_of_which_nothing_can_be_shared_is_refused():
    def depthwise(image_shape):
        return keras.Sequential(
            [
                keras.Input(image_shape),
                layers.DepthwiseConv2D(3),
                layers.GlobalAveragePooling2D(),
            ]
        )

    with pytest.raises(ValueError, match="has no layer of type Conv2D or"):
        _method(functools.partial(depthwise))
