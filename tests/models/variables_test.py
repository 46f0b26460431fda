"""Names, start values and storage of a model's variables."""

import dataclasses

import keras
import numpy as np
import pytest

from tfcl.errors import RunError
from tfcl.layers.faces.verification_head import VerificationHead
from tfcl.layers.task_head import TaskHead
from tfcl.layers.transfer.selective_conv2d import CHOSEN, SelectiveConv2D
from tfcl.models.backbones.lasem_cnn import lasem_cnn
from tfcl.models.network import TaskNetwork
from tfcl.models.surgery.lift import lift
from tfcl.models.variables import (
    Owned,
    leaf_layers,
    owned_variables,
    redraw,
    restore,
    stored,
)

layers = keras.layers


def _cnn():
    return lasem_cnn((8, 8, 3), (4, 4), (3, 3), (2, 1))


def _model(*inner):
    return keras.Sequential([keras.Input((8, 8, 3)), *inner])


def _owned(name, shape=(3, 2), initializer="glorot_uniform", **kwargs):
    variable = keras.Variable(np.full(shape, 7.0, np.float32), **kwargs)
    return Owned.of(name, variable, keras.initializers.get(initializer))


def _drawn(owned, seed=0):
    redraw(owned, seed)
    return stored(owned)


def _assert_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def test_names_are_those_of_layer_and_weight():
    lifted = lift(
        _cnn(),
        {layers.Conv2D: lambda c: SelectiveConv2D.lift(c, CHOSEN)},
    )
    names = [owned.name for owned in owned_variables(lifted)]
    weights = ["shared_kernel", "shared_bias", "task_kernel", "task_bias"]
    weights += ["selection"]
    assert names == [
        f"{layer}/{weight}"
        for layer in ("conv_0", "conv_1")
        for weight in weights
    ]


def test_every_weight_is_listed_once():
    model = _model(
        _model(layers.Conv2D(4, 3), layers.BatchNormalization()),
        layers.SeparableConv2D(4, 3),
        layers.Dropout(0.5),
        layers.Flatten(),
        TaskHead(3, hidden_units=(4,)),
    )
    model(np.zeros((1, 8, 8, 3)))
    listed = [id(owned.variable) for owned in owned_variables(model)]
    assert len(set(listed)) == len(listed)
    # Seeds of dropout are no weights.
    assert set(listed) == {id(v) for v in model.weights}


def test_weights_of_one_name_in_one_layer_are_numbered():
    inputs = keras.Input((4, 8))
    attention = layers.MultiHeadAttention(2, 4, name="attention")
    model = keras.Model(inputs, attention(inputs, inputs))
    names = [owned.name for owned in owned_variables(model)]
    assert names[:3] == [
        "attention/kernel",
        "attention/bias",
        "attention/kernel_1",
    ]
    assert len(set(names)) == len(names) == len(attention.weights)


def test_layers_of_one_name_are_refused():
    inner = [_model(layers.Conv2D(3, 1, name="conv")) for _ in range(2)]
    with pytest.raises(ValueError, match="different names.*conv/kernel"):
        owned_variables(_model(*inner))


def test_leaf_layers_look_into_models_and_count_no_inputs():
    model = _model(_model(layers.Conv2D(3, 3), layers.ReLU()), layers.Flatten())
    kinds = [type(layer).__name__ for layer in leaf_layers(model)]
    assert kinds == ["Conv2D", "ReLU", "Flatten"]


def test_a_layer_in_two_models_is_listed_once():
    conv = layers.Conv2D(3, 1, name="conv")
    model = _model(_model(conv), conv, layers.ReLU())
    assert [la.name for la in leaf_layers(model)][:1] == ["conv"]
    names = [owned.name for owned in owned_variables(model)]
    assert names == ["conv/kernel", "conv/bias"]


def test_a_draw_depends_on_seed_and_name_alone():
    first = _drawn(owned_variables(_cnn()), seed=3)
    keras.utils.set_random_seed(99)
    again = owned_variables(_cnn())
    redraw(again, 5)  # what was drawn before has no say
    _assert_same(_drawn(again, seed=3), first)
    # Nor has the company in which a variable is drawn.
    alone = [o for o in owned_variables(_cnn()) if o.name == "conv_1/kernel"]
    np.testing.assert_array_equal(
        _drawn(alone, seed=3)["conv_1/kernel"], first["conv_1/kernel"]
    )


def test_other_seeds_and_other_names_give_other_draws():
    one, two = _owned("one"), _owned("two")
    values = [_drawn([one], 0)["one"], _drawn([one], 1)["one"]]
    values.append(_drawn([two], 0)["two"])
    for i, value in enumerate(values):
        for other in values[:i]:
            assert (value != other).all()


def test_a_draw_follows_the_layer_s_initializer():
    values = _drawn(owned_variables(_cnn()))
    for name, value in values.items():
        if name.endswith("bias"):
            np.testing.assert_array_equal(value, np.float32(0.2))
        else:
            # Normal of deviation 0.05, cut off at two deviations.
            assert 0.03 < value.std() < 0.06
            assert np.abs(value).max() <= 0.1


def test_a_seed_of_the_layer_s_own_is_replaced():
    conv = layers.Conv2D(
        2, 3, kernel_initializer=keras.initializers.HeNormal(seed=1)
    )
    owned = owned_variables(_model(conv))[:1]
    kernels = [conv.kernel.numpy()]
    for seed in (0, 1):
        redraw(owned, seed)
        kernels.append(conv.kernel.numpy())
    assert (kernels[0] != kernels[1]).any()
    assert (kernels[1] != kernels[2]).any()


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(2, 3),
        layers.DepthwiseConv2D(3),
        layers.SeparableConv2D(2, 3),
        layers.Conv2DTranspose(2, 3),
        layers.Dense(3),
        layers.BatchNormalization(),
        layers.PReLU(),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_every_weight_of_the_usual_layers_has_an_initializer(layer):
    for owned in owned_variables(_model(layer)):
        assert owned.initializer is not None, owned.name


def test_a_weight_without_initializer_goes_back_to_its_first_value():
    variable = keras.Variable([1.0, 2.0])
    owned = Owned.of("statistics", variable)
    variable.assign([5.0, 6.0])
    redraw([owned], seed=4)
    assert variable.numpy().tolist() == [1.0, 2.0]


def test_a_plain_function_is_called_with_shape_and_type():
    seen = []

    def initializer(shape, dtype):
        seen.append((shape, dtype))
        return np.full(shape, 3.0, dtype)

    variable = keras.Variable(np.zeros((2, 1), np.float32))
    owned = Owned.of("w", variable, initializer)
    redraw([owned], seed=0)
    assert seen == [((2, 1), "float32")]
    assert owned.variable.numpy().tolist() == [[3.0], [3.0]]


def test_pretrained_weights_are_their_own_start_values():
    model = _cnn()
    owned = owned_variables(model, pretrained=True)
    before = stored(owned)
    for variable in model.weights:
        variable.assign(variable + 1.0)
    _assert_same(_drawn(owned, seed=8), before)


def test_a_head_s_columns_start_in_their_places():
    head = TaskHead(3, name="head")
    head.build((None, 4))
    head.use_columns([1])
    listed = [Owned.of(n, v, i) for n, v, i in head.owned_variables()]
    redraw(listed, seed=0)
    assert head.columns.numpy().tolist() == [0, 1, 2]


def test_stored_values_come_back_and_are_copies():
    owned = owned_variables(_cnn())
    redraw(owned, seed=1)
    values = stored(owned)
    copies = {name: value.copy() for name, value in values.items()}
    redraw(owned, seed=2)
    _assert_same(values, copies)
    restore(owned, values)
    _assert_same(stored(owned), copies)


def test_a_layer_s_constants_follow_what_is_restored():
    images = np.random.default_rng(0).normal(3.0, 2.0, (4, 8, 8, 3))
    images = images.astype(np.float32)
    norms = [layers.Normalization(name="same") for _ in range(2)]
    model, other = map(_model, norms)
    norms[0].adapt(images)
    owned = owned_variables(other)
    restore(owned, stored(owned_variables(model)))
    np.testing.assert_array_equal(other(images), model(images))
    redraw(owned, 0)
    np.testing.assert_allclose(other(images), images, rtol=1e-6)


def _head_variables():
    """Kernel and bias of a head of four classes, and a plain kernel."""
    kernel, bias = _owned("head/kernel", (3, 4)), _owned("head/bias", (4,))
    return [
        dataclasses.replace(kernel, class_axis=-1),
        dataclasses.replace(bias, class_axis=-1),
        _owned("conv/kernel", (3, 4)),
    ]


def _values_of_two_classes():
    return {
        "head/kernel": np.arange(6, dtype=np.float32).reshape(3, 2),
        "head/bias": np.ones(2, np.float32),
        "conv/kernel": np.ones((3, 4), np.float32),
    }


def test_a_head_of_fewer_classes_fills_the_leading_columns():
    owned = _head_variables()
    restore(owned, _values_of_two_classes())
    values = stored(owned)
    assert values["head/kernel"].tolist() == [
        [0.0, 1.0, 0.0, 0.0],
        [2.0, 3.0, 0.0, 0.0],
        [4.0, 5.0, 0.0, 0.0],
    ]
    assert values["head/bias"].tolist() == [1.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("conv/kernel", (3, 2)),
        ("conv/kernel", (2, 4)),
        ("head/kernel", (2, 4)),
        ("head/kernel", (2, 2)),
        ("head/kernel", (3, 5)),
        ("head/bias", (5,)),
        ("head/bias", ()),
        ("head/bias", (2, 1)),
    ],
)
def test_no_axis_is_padded_but_the_classes_of_a_head(name, shape):
    owned = _head_variables()
    wanted = tuple({o.name: o for o in owned}[name].variable.shape)
    values = {**_values_of_two_classes(), name: np.zeros(shape, np.float32)}
    with pytest.raises(RunError) as caught:
        restore(owned, values)
    for part in (f"'{name}'", str(shape), str(wanted)):
        assert part in str(caught.value)
    # Nothing is half restored.
    assert all((o.variable.numpy() == 7.0).all() for o in owned)


def test_the_classes_of_every_head_are_its_only_padded_axis():
    heads = [
        TaskHead(5, hidden_units=(4,), name="head"),
        VerificationHead(5, 4, 6, name="head"),
    ]
    for head in heads:
        network = TaskNetwork(_flat(), head)
        axes = {
            o.name: o.class_axis
            for o in network.backbone_variables + network.head_variables
            if o.class_axis is not None
        }
        last = len(head.kernels) - 1
        wanted = {f"kernel_{last}": -1, f"bias_{last}": -1, "columns": 0}
        if isinstance(head, VerificationHead):
            wanted["angular_kernel"] = -1
        assert axes == {f"head/{k}": v for k, v in wanted.items()}


def _flat():
    return _model(layers.Conv2D(4, 3, name="conv"), layers.Flatten())


def test_an_array_that_no_one_has_declared_absent_is_an_error():
    owned = [_owned("kept"), _owned("gone")]
    values = {"kept": np.ones((3, 2), np.float32)}
    with pytest.raises(RunError, match="no values are stored for 'gone'"):
        restore(owned, values)
    assert (owned[0].variable.numpy() == 7.0).all()
    restore(owned, values, absent=["gone"])
    assert stored(owned)["kept"].all()
    assert not stored(owned)["gone"].any()


def test_an_array_of_no_variable_is_an_error():
    owned = [_owned("conv2d/kernel")]
    value = np.ones((3, 2), np.float32)
    with pytest.raises(RunError, match="no variables 'conv2d_3/kernel'"):
        restore(owned, {"conv2d/kernel": value, "conv2d_3/kernel": value})
    assert (owned[0].variable.numpy() == 7.0).all()
