"""The head of the task in hand: masked, moved, trimmed and lowered."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing.layers import run_layer_test
from tfcl.layers.task_head import TaskHead

_FEATURES = np.random.default_rng(7).normal(size=(5, 8)).astype(np.float32)


def _head(max_classes=4, num_outputs=None, hidden_units=(), **kwargs):
    head = TaskHead(
        max_classes,
        num_outputs,
        hidden_units,
        name="head",
        bias_initializer="glorot_uniform",
        **kwargs,
    )
    head.build(_FEATURES.shape)
    return head


def _values(head):
    return {f"head/{name}": v.numpy() for name, v, _ in head.owned_variables()}


@pytest.mark.parametrize(
    "kwargs",
    [
        {"max_classes": 3},
        {"max_classes": 3, "num_outputs": 7},
        {"max_classes": 2, "hidden_units": (6, 5)},
        {"max_classes": 3, "kernel_initializer": "he_normal"},
    ],
)
def test_is_a_proper_layer(kwargs):
    run_layer_test(
        TaskHead,
        kwargs,
        input_shape=(4, 16),
        expected_output_shape=(4, kwargs["max_classes"]),
        expected_mixed_dtype="float32",
    )


def test_a_new_head_uses_every_column_in_its_place():
    head = _head(4)
    np.testing.assert_array_equal(head(_FEATURES), head.outputs(_FEATURES))
    assert head.active_columns.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_masked_places_have_exactly_zero_probability(dtype):
    head = _head(4, dtype=dtype)
    head.use_columns([0, 1])
    probabilities = keras.ops.softmax(head(_FEATURES)).numpy()
    assert (probabilities[:, 2:] == 0.0).all()
    np.testing.assert_allclose(probabilities[:, :2].sum(1), 1.0, rtol=1e-6)


@pytest.mark.parametrize("hidden_units", [(), (6,)])
def test_masked_columns_have_exactly_zero_gradient(hidden_units):
    head = _head(4, hidden_units=hidden_units)
    head.use_columns([0, 1])
    output_layer = [v.value for v in (head.kernels[-1], head.biases[-1])]
    with tf.GradientTape() as tape:
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(
            [0, 1, 0, 1, 1], head(_FEATURES)
        )
    for gradient in tape.gradient(loss, output_layer):
        gradient = gradient.numpy()
        assert np.isfinite(gradient).all()
        assert gradient[..., :2].any()
        assert not gradient[..., 2:].any()


def test_the_loss_is_that_of_a_narrow_head():
    head = _head(4)
    head.use_columns([0, 1])
    narrow = head.outputs(_FEATURES)[:, :2]
    labels = [0, 1, 0, 1, 1]
    cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits
    np.testing.assert_allclose(
        cross_entropy(labels, head(_FEATURES)),
        cross_entropy(labels, narrow),
        rtol=1e-6,
    )


def test_columns_may_stand_anywhere_and_in_any_order():
    head = _head(3, num_outputs=7)
    everything = head.outputs(_FEATURES).numpy()
    head.use_columns(range(4, 7))
    np.testing.assert_array_equal(head(_FEATURES), everything[:, 4:])
    head.use_columns([5, 1])
    np.testing.assert_array_equal(
        head(_FEATURES).numpy()[:, :2], everything[:, [5, 1]]
    )
    assert head.active_columns.tolist() == [5, 1]


def test_columns_change_inside_one_trace():
    head = _head(3)
    traced = tf.function(head)
    before = traced(_FEATURES).numpy()
    head.use_columns([2, 0])
    np.testing.assert_array_equal(
        traced(_FEATURES).numpy()[:, :2], before[:, [2, 0]]
    )
    assert traced.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("columns", [[0, 1, 2, 3], [3], [-1], [[0, 1]]])
def test_columns_that_the_head_does_not_have_are_refused(columns):
    head = _head(3)
    with pytest.raises(ValueError, match="`columns` must list at most 3"):
        head.use_columns(columns)
    assert head.active_columns.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("max_classes", "num_outputs"), [(0, None), (-1, 4), (4, 3), (2, 0)]
)
def test_impossible_widths_are_refused(max_classes, num_outputs):
    with pytest.raises(ValueError, match="max_classes=.*num_outputs="):
        TaskHead(max_classes, num_outputs)


@pytest.mark.parametrize("columns", [[0, 1], [2, 0], [0, 1, 2, 3]])
def test_trimmed_values_serve_the_same_logits(columns):
    head = _head(4, hidden_units=(6,))
    head.use_columns(columns)
    wanted = head(_FEATURES).numpy()
    values = head.trimmed(_values(head))
    assert values["head/kernel_1"].shape == (6, len(columns))
    assert values["head/bias_1"].shape == (len(columns),)
    assert values["head/kernel_0"].shape == (8, 6)
    # Into a wider head, as when a later task has more classes.
    wider = _head(6, hidden_units=(6,))
    for name, variable, _ in wider.owned_variables()[:4]:
        value = np.zeros(variable.shape, np.float32)
        kept = values[f"head/{name}"]
        value[tuple(slice(n) for n in kept.shape)] = kept
        variable.assign(value)
    wider.use_columns(values["head/columns"])
    found = wider(_FEATURES).numpy()
    # Another width of the same product may be summed in another order.
    np.testing.assert_allclose(found[:, :4], wanted, rtol=1e-5, atol=1e-6)
    assert not keras.ops.softmax(found).numpy()[:, len(columns) :].any()


def test_a_head_of_all_classes_keeps_every_column():
    head = _head(2, num_outputs=6)
    head.use_columns([4, 5])
    values = head.trimmed(_values(head))
    assert values["head/kernel_0"].shape == (8, 6)
    assert values["head/columns"].tolist() == [4, 5]


def test_trimming_leaves_the_given_values_alone():
    head = _head(4)
    head.use_columns([0])
    values = _values(head)
    head.trimmed(values)
    assert values["head/kernel_0"].shape == (8, 4)


@pytest.mark.parametrize("columns", [[0, 1], [3, 1, 0]])
def test_lower_gives_dense_layers_of_the_active_classes(columns):
    head = _head(4, hidden_units=(6, 5))
    head.use_columns(columns)
    outputs = _FEATURES
    for layer, weights in head.lower():
        assert type(layer) is keras.layers.Dense
        layer.build(outputs.shape)
        layer.set_weights(weights)
        outputs = layer(outputs)
    assert outputs.shape == (5, len(columns))
    np.testing.assert_allclose(
        outputs, head(_FEATURES)[:, : len(columns)], rtol=1e-5, atol=1e-6
    )


def test_the_dropout_mask_multiplies_the_features():
    head = _head(3, hidden_units=(6,))
    mask = np.random.default_rng(0).integers(0, 2, _FEATURES.shape) * 2.0
    np.testing.assert_array_equal(
        head(_FEATURES, mask), head(np.float32(_FEATURES * mask))
    )


def test_used_weights_have_zeros_where_no_task_looks():
    head = _head(4, hidden_units=(3,))
    head.use_columns([2, 0])
    kernel, bias, *output = head.used_weights()
    np.testing.assert_array_equal(kernel, head.kernels[0])
    np.testing.assert_array_equal(bias, head.biases[0])
    for found, whole in zip(output, (head.kernels[1], head.biases[1])):
        wanted = whole.numpy()
        wanted[..., [1, 3]] = 0.0
        np.testing.assert_array_equal(found, wanted)
