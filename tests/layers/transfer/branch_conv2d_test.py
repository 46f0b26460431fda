"""Both kernels at once against one kernel after the other."""

import keras
import numpy as np
import pytest

from tests.testing.layers import run_layer_test
from tfcl.layers.transfer.branch_conv2d import BranchConv2D, Unpack
from tfcl.layers.transfer.selective_conv2d import CHOSEN, SelectiveConv2D

_FORMS = {
    "plain": {},
    "strides": {"strides": 2, "padding": "same"},
    "dilation": {"dilation_rate": 2},
    "groups": {"groups": 2},
    "no_bias": {"use_bias": False},
    "softmax": {"activation": "softmax"},
}
_IMAGES = np.random.default_rng(5).normal(size=(2, 7, 6, 4))
_IMAGES = _IMAGES.astype(np.float32)


def _selective(**kwargs):
    settings = {"filters": 6, "kernel_size": 3, "activation": "relu"}
    layer = SelectiveConv2D(sharing=CHOSEN, **{**settings, **kwargs})
    layer.build(_IMAGES.shape)
    generator = np.random.default_rng(0)
    for variable in layer.trainable_variables:
        variable.assign(generator.normal(size=variable.shape))
    return layer


def _one_after_the_other(layer):
    outputs = []
    for selected in (1.0, 0.0):
        layer.selection.assign(selected)
        outputs.append(layer(_IMAGES).numpy())
    return outputs


@pytest.mark.parametrize(
    ("form", "shape"),
    [
        ("plain", (2, 5, 4, 12)),
        ("strides", (2, 4, 3, 12)),
        ("dilation", (2, 3, 2, 12)),
        ("groups", (2, 5, 4, 12)),
        ("no_bias", (2, 5, 4, 12)),
        ("softmax", (2, 5, 4, 12)),
    ],
)
def test_branches_are_a_proper_layer(form, shape):
    run_layer_test(
        BranchConv2D,
        {"selective": _selective(**_FORMS[form])},
        input_shape=_IMAGES.shape,
        expected_output_shape=shape,
        saved=False,
    )


@pytest.mark.parametrize("form", _FORMS)
def test_shared_half_first_then_the_task_s(form):
    layer = _selective(**_FORMS[form])
    wanted = np.concatenate(_one_after_the_other(layer), axis=-1)
    # Some processors add up wider convolutions in another order.
    outputs = BranchConv2D(layer)(_IMAGES)
    np.testing.assert_allclose(outputs, wanted, rtol=1e-4, atol=1e-5)


def test_adds_no_variables():
    layer = _selective()
    branch = BranchConv2D(layer)
    branch(_IMAGES)
    assert [id(v) for v in branch.variables] == [id(v) for v in layer.variables]


def test_computes_in_the_precision_of_its_layer():
    layer = _selective(dtype="mixed_bfloat16")
    outputs = Unpack()(BranchConv2D(layer)(_IMAGES))
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"


def test_channels_in_front_are_refused():
    layer = SelectiveConv2D(4, 3, sharing=CHOSEN, data_format="channels_first")
    with pytest.raises(ValueError, match="channels_last.*channels_first"):
        BranchConv2D(layer)


@pytest.mark.parametrize("shape", [(2, 5, 4, 6), (2, 6)])
def test_unpack_is_a_proper_layer(shape):
    run_layer_test(
        Unpack,
        {},
        input_shape=shape,
        expected_output_shape=(4, *shape[1:-1], 3),
        expected_mixed_dtype="float32",  # passes on what it gets
        saved=False,
    )


def test_unpack_turns_halves_of_the_channels_into_halves_of_the_batch():
    layer = _selective()
    wanted = np.concatenate(_one_after_the_other(layer), axis=0)
    outputs = Unpack()(BranchConv2D(layer)(_IMAGES))
    np.testing.assert_allclose(outputs, wanted, rtol=1e-4, atol=1e-5)
