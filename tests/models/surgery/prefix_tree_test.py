"""The tree of all configurations against every single one of them."""

import keras
import numpy as np
import pytest

from tfcl.layers.transfer.selective_conv2d import CHOSEN, SelectiveConv2D
from tfcl.models.backbones.lasem_cnn import lasem_cnn
from tfcl.models.surgery.lift import lift
from tfcl.models.surgery.prefix_tree import (
    chosen_layers,
    configuration_name,
    configurations,
    prefix_tree,
    tree_bytes,
)
from tfcl.models.variables import leaf_layers

layers = keras.layers
_IMAGES = np.random.default_rng(0).normal(size=(3, 8, 8, 3))
_IMAGES = _IMAGES.astype(np.float32)


def _conv(name, filters=4, **kwargs):
    settings = {"padding": "same", "activation": "relu", "name": name}
    return layers.Conv2D(filters, 3, **{**settings, **kwargs})


def _lifted(backbone):
    """Lifted with a choice everywhere, every weight different."""
    model = lift(
        backbone, {layers.Conv2D: lambda c: SelectiveConv2D.lift(c, CHOSEN)}
    )
    generator = np.random.default_rng(1)
    for layer in chosen_layers(model):
        for variable in layer.trainable_variables:
            variable.assign(generator.normal(0.0, 0.3, variable.shape))
    return model


def _one_by_one(model, groups=None):
    """Outputs of every configuration, `(configurations * batch, ...)`."""
    choices = chosen_layers(model)
    outputs = []
    for sharing in configurations(len(choices), groups):
        for layer, shared in zip(choices, sharing):
            layer.selection.assign(float(shared))
        outputs.append(model(_IMAGES, training=False).numpy())
    return np.concatenate(outputs)


def _assert_tree_is_right(model, num_choices, rtol=0.0, groups=None):
    assert len(chosen_layers(model)) == num_choices
    wanted = _one_by_one(model, groups)
    found = prefix_tree(model, groups)(_IMAGES, training=True).numpy()
    # Every number is the same sum in the same order, so the same bits.
    np.testing.assert_allclose(found, wanted, rtol=rtol)
    # Nothing was compared with itself.
    count = 2 ** len(groups or range(num_choices))
    assert len(np.unique(found.reshape(count, -1), axis=0)) == count


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_a_chain_equals_every_single_configuration(depth):
    pools = (2, 1, 2, 1)[:depth]
    _assert_tree_is_right(
        _lifted(lasem_cnn((8, 8, 3), (4,) * depth, (3,) * depth, pools)), depth
    )


def test_residual_connections_keep_to_their_configuration():
    # One over a layer, one over two of them and the pool between.
    skips = ((1, 1), (1, 3))
    pools = (2, 1, 2, 1)
    model = _lifted(
        lasem_cnn((8, 8, 3), (4,) * 4, (3,) * 4, pools, skips=skips)
    )
    _assert_tree_is_right(model, 4)


_BETWEEN = {
    "max_pool": lambda: layers.MaxPooling2D(2),
    "average_pool": lambda: layers.AveragePooling2D(2, padding="same"),
    "relu": lambda: layers.ReLU(0.5),
    "activation": lambda: layers.Activation("tanh"),
    "softmax": lambda: layers.Softmax(),
    "padding": lambda: layers.ZeroPadding2D(1),
    "depthwise": lambda: layers.DepthwiseConv2D(3),
    "layer_norm": lambda: layers.LayerNormalization(),
    "permute": lambda: layers.Permute((2, 1, 3)),
    "no_dropout": lambda: layers.Dropout(0.0),
}


@pytest.mark.parametrize("kind", _BETWEEN)
def test_layers_may_stand_between_the_choices(kind):
    inputs = keras.Input((8, 8, 3))
    hidden = _conv("a", activation=None)(inputs)
    hidden = _BETWEEN[kind]()(_BETWEEN[kind]()(hidden))
    hidden = _conv("b")(hidden)
    outputs = layers.Flatten()(_BETWEEN[kind]()(hidden))
    _assert_tree_is_right(_lifted(keras.Model(inputs, outputs)), 2)


@pytest.mark.parametrize(
    ("pool", "rtol"),
    [
        (layers.Flatten, 0.0),
        (layers.GlobalMaxPooling2D, 0.0),
        # The mean over twice the channels adds in another order.
        (layers.GlobalAveragePooling2D, 1e-6),
    ],
)
def test_any_layer_may_end_the_backbone(pool, rtol):
    inputs = keras.Input((8, 8, 3))
    outputs = pool()(_conv("b")(_conv("a")(inputs)))
    _assert_tree_is_right(_lifted(keras.Model(inputs, outputs)), 2, rtol)


def _skip():
    inputs = keras.Input((8, 8, 3))
    one = _conv("a")(inputs)
    two = layers.MaxPooling2D(1)(_conv("b")(one))
    return inputs, _conv("c")(layers.Add()([one, two]))


def _skip_from_the_input():
    inputs = keras.Input((8, 8, 3))
    hidden = _conv("b")(_conv("a")(inputs))
    return inputs, layers.Concatenate()([inputs, hidden])


def _parallel():
    """Two branches of one depth, whose begins Keras lists and runs in
    opposite order."""
    inputs = keras.Input((8, 8, 3))
    left = layers.ReLU()(_conv("left")(inputs))
    right = layers.ReLU()(_conv("right")(inputs))
    return inputs, _conv("last")(layers.Concatenate()([left, right]))


def _unequal():
    """Branches of one, two and no choices."""
    inputs = keras.Input((8, 8, 3))
    stem = _conv("stem")(inputs)
    short = layers.AveragePooling2D(2)(_conv("short")(stem))
    long = _conv("long_1")(layers.MaxPooling2D(2)(_conv("long_0")(stem)))
    bare = layers.MaxPooling2D(2)(inputs)
    return inputs, layers.Concatenate()([long, short, bare])


def _operators():
    """Sums without layers."""
    inputs = keras.Input((8, 8, 3))
    one = _conv("a")(inputs)
    return inputs, keras.ops.relu(_conv("b")(one) - one) * 2.0


def _keywords():
    inputs = keras.Input((8, 8, 3))
    left = _conv("left")(inputs)
    right = _conv("right")(left)
    return inputs, _Difference()(left, minus=right)


class _Difference(layers.Layer):
    def call(self, inputs, minus):
        return inputs - minus


@pytest.mark.parametrize(
    ("make", "num_choices"),
    [
        (_skip, 3),
        (_skip_from_the_input, 2),
        (_parallel, 3),
        (_unequal, 4),
        (_operators, 2),
        (_keywords, 2),
    ],
)
def test_branches_and_skip_connections_are_searched(make, num_choices):
    inputs, hidden = make()
    model = keras.Model(inputs, layers.Flatten()(hidden))
    _assert_tree_is_right(_lifted(model), num_choices)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"filters": 6, "groups": 3},
        {"activation": "softmax"},
        {"use_bias": False},
        {"strides": 2},
        {"dilation_rate": 2},
    ],
    ids=lambda kwargs: next(iter(reversed(kwargs))),
)
def test_any_form_of_convolution_can_be_chosen(kwargs):
    inputs = keras.Input((8, 8, 3))
    outputs = layers.Flatten()(_conv("b")(_conv("a", **kwargs)(inputs)))
    _assert_tree_is_right(_lifted(keras.Model(inputs, outputs)), 2)


def test_a_sequential_backbone_is_searched():
    backbone = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            _conv("a"),
            layers.MaxPooling2D(),
            _conv("b"),
            layers.Flatten(),
        ]
    )
    _assert_tree_is_right(_lifted(backbone), 2)


def test_the_tree_uses_the_model_s_own_variables():
    model = _lifted(lasem_cnn((8, 8, 3), (4, 4), (3, 3), (2, 1)))
    tree = prefix_tree(model)
    mine = {id(v) for v in model.variables}
    assert {id(v) for v in tree.variables} == mine
    before = tree(_IMAGES).numpy()
    model.get_layer("conv_1").task_bias.assign_add(np.ones(4))
    now = tree(_IMAGES).numpy()
    # Configurations 2 and 3 have the second layer for the task alone.
    np.testing.assert_array_equal(now[:6], before[:6])
    assert (now[6:] != before[6:]).any()


def test_the_tree_keeps_the_layers_precision():
    inputs = keras.Input((8, 8, 3))
    hidden = _conv("a", dtype="mixed_bfloat16")(inputs)
    hidden = _conv("b", dtype="mixed_bfloat16")(hidden)
    outputs = layers.Flatten(dtype="mixed_bfloat16")(hidden)
    model = _lifted(keras.Model(inputs, outputs))
    tree = prefix_tree(model)
    assert tree.output.dtype == model.output.dtype == "bfloat16"
    np.testing.assert_array_equal(
        np.float32(tree(_IMAGES)), _one_by_one(model).astype(np.float32)
    )


def test_the_tree_takes_any_batch_size():
    tree = prefix_tree(_lifted(lasem_cnn((8, 8, 3), (4,), (3,), (2,))))
    assert tree.output_shape == (None, 64)
    for size in (1, 2, 3):
        assert tree(_IMAGES[:size]).shape == (2 * size, 64)


@pytest.mark.parametrize(
    "layer",
    [
        layers.BatchNormalization(name="culprit"),
        layers.Dropout(0.5, name="culprit"),
        layers.SpatialDropout2D(0.5, name="culprit"),
        layers.GaussianNoise(0.1, name="culprit"),
        keras.Sequential([layers.Dropout(0.5), layers.ReLU()], name="culprit"),
    ],
    ids=["batch_norm", "dropout", "spatial_dropout", "noise", "inner_model"],
)
def test_statistics_and_randomness_in_the_backbone_are_refused(layer):
    inputs = keras.Input((8, 8, 3))
    outputs = layers.Flatten()(layer(_conv("a")(inputs)))
    model = _lifted(keras.Model(inputs, outputs))
    with pytest.raises(ValueError, match="'culprit'.*every transfer config"):
        prefix_tree(model)


def test_frozen_statistics_are_welcome():
    inputs = keras.Input((8, 8, 3))
    frozen = layers.BatchNormalization(trainable=False)
    outputs = layers.Flatten()(_conv("b")(frozen(_conv("a")(inputs))))
    _assert_tree_is_right(_lifted(keras.Model(inputs, outputs)), 2)


def test_a_convolution_that_is_used_twice_is_refused():
    inputs = keras.Input((8, 8, 3))
    conv = _conv("again", filters=3)
    outputs = layers.Flatten()(conv(conv(inputs)))
    model = _lifted(keras.Model(inputs, outputs))
    with pytest.raises(ValueError, match="'again' is used twice"):
        prefix_tree(model)


def test_choices_inside_an_inner_model_are_refused():
    inner = keras.Sequential(
        [keras.Input((8, 8, 4)), _conv("hidden")], name="inner"
    )
    inputs = keras.Input((8, 8, 3))
    outputs = layers.Flatten()(inner(_conv("a")(inputs)))
    model = _lifted(keras.Model(inputs, outputs))
    with pytest.raises(ValueError, match="'inner' is a model with conv"):
        prefix_tree(model)


def test_configurations_count_from_all_shared_with_the_first_layer_fastest():
    names = [configuration_name(c) for c in configurations(3)]
    assert names == ["111", "011", "101", "001", "110", "010", "100", "000"]
    assert configurations(4).shape == (16, 4)
    assert configurations(1).tolist() == [[True], [False]]


@pytest.mark.parametrize("make", [_skip, _parallel, _unequal])
def test_digits_mean_the_same_layers_as_in_the_backbone(make):
    # Static configurations count the backbone's convolutions.
    inputs, hidden = make()
    backbone = keras.Model(inputs, layers.Flatten()(hidden))
    names = [
        layer.name
        for layer in leaf_layers(backbone)
        if isinstance(layer, keras.layers.Conv2D)
    ]
    assert [la.name for la in chosen_layers(_lifted(backbone))] == names


def _chain():
    model = lasem_cnn((8, 8, 3), (4,) * 3, (3,) * 3, (2, 1, 2))
    return model.inputs[0], model.outputs[0]


def _late():
    """The first branch ends, and with it its group, after the second began."""
    inputs = keras.Input((8, 8, 3))
    left, right = _conv("left_0")(inputs), _conv("right_0")(inputs)
    joined = layers.Add()([left, right])
    left = _conv("left_1")(layers.Add()([joined, left]))
    return inputs, _conv("right_1")(layers.Concatenate()([left, right]))


@pytest.mark.parametrize(
    ("make", "groups"),
    [
        (_chain, (1, 1, 1)),
        (_chain, (2, 1)),
        (_chain, (1, 2)),
        (_chain, (3,)),
        (_skip, (1, 1, 1)),
        (_skip, (2, 1)),
        (_skip, (1, 2)),
        (_skip, (3,)),
        (_parallel, (2, 1)),
        (_parallel, (1, 2)),
        (_unequal, (2, 2)),
        (_unequal, (1, 2, 1)),
        (_unequal, (3, 1)),
        (_late, (2, 2)),
        (_late, (1, 2, 1)),
        (_late, (3, 1)),
    ],
)
def test_groups_of_layers_are_chosen_together(make, groups):
    inputs, hidden = make()
    model = _lifted(keras.Model(inputs, layers.Flatten()(hidden)))
    # The later layers of a group see other batches than one by one.
    _assert_tree_is_right(model, sum(groups), rtol=1e-5, groups=groups)


def test_only_the_first_layer_of_a_group_doubles_the_batch():
    model = _lifted(lasem_cnn((8, 8, 3), (4,) * 3, (3,) * 3, (1, 1, 1)))
    assert prefix_tree(model, (2, 1))(_IMAGES).shape[0] == 4 * len(_IMAGES)


def test_grouped_configurations_keep_the_order_of_the_full_list():
    for groups in ((1, 1, 1, 1), (2, 2), (1, 3), (3, 1), (1, 2, 1), (4,)):
        ends = np.cumsum(groups)
        wanted = [
            c
            for c in configurations(4).tolist()
            if all(len(set(c[e - n : e])) == 1 for n, e in zip(groups, ends))
        ]
        assert configurations(4, groups).tolist() == wanted


@pytest.mark.parametrize(
    "groups", [(2, 2), (3, 0), (4, -1), (1.5, 1.5), (), 3, "3"]
)
def test_groups_that_do_not_fit_the_layers_are_refused(groups):
    model = _lifted(lasem_cnn((8, 8, 3), (4,) * 3, (3,) * 3, (1, 1, 1)))
    with pytest.raises(ValueError, match="`groups`.*convolutions, 3. Receiv"):
        prefix_tree(model, groups)
    with pytest.raises(ValueError, match="`groups`.*convolutions, 3. Receiv"):
        configurations(3, groups)


def test_the_memory_of_the_tree_is_counted_from_its_shapes():
    model = _lifted(lasem_cnn((8, 8, 3), (4, 5), (3, 3), (2, 1)))
    # Per image: both halves of the first layer; the same after the pool,
    # then unpacked; the second layer on two blocks, unpacked; features.
    numbers = 8 * 8 * 8 + 2 * 4 * 4 * 8 + 2 * 4 * 4 * 10 + 2 * 4 * 4 * 10
    numbers += 4 * 4 * 4 * 5
    assert tree_bytes(model, 7) == 4 * 7 * numbers
    grouped = 8 * 8 * 8 + 2 * 4 * 4 * 8 + 2 * (2 * 4 * 4 * 5)
    assert tree_bytes(model, 7, (2,)) == 4 * 7 * grouped


def test_memory_is_counted_without_building_what_is_too_large():
    inputs = hidden = keras.Input((4, 4, 2))
    for depth in range(60):
        hidden = _conv(f"conv_{depth}", filters=2)(hidden)
    hidden = layers.Add()([hidden, inputs])
    model = _lifted(keras.Model(inputs, layers.Flatten()(hidden)))
    assert 2**60 < tree_bytes(model, 1) < 2**70
