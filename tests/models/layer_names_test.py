"""What a process has named before has no say in the names of a network."""

import gc

import keras
import pytest

from tests.testing.backbones import BACKBONES
from tfcl.models.layer_names import unused_name, with_own_names
from tfcl.models.variables import leaf_layers, owned_variables

layers = keras.layers


def _name_some():
    """Layers of other networks in the same process."""
    for kind in (layers.Conv2D, layers.Dense):
        kind(1, 1) if kind is layers.Conv2D else kind(1)
    layers.BatchNormalization()


def _nested(image_shape=(8, 8, 3)):
    inputs = keras.Input(image_shape)
    inner = keras.Sequential(
        [
            keras.Input((6, 6, 4)),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
        ]
    )
    hidden = inner(layers.Conv2D(4, 3)(inputs))
    hidden = layers.ReLU()(hidden) + 1.0
    hidden = layers.Dense(3, name="dense_1")(layers.Flatten()(hidden))
    return keras.Model(inputs, layers.Dense(3)(hidden))


_CLEAN = ["conv2d", "conv2d_1", "batch_normalization", "re_lu", "flatten"]
_CLEAN += ["dense_1", "dense"]


def _names(model):
    return [layer.name for layer in leaf_layers(model)]


def test_names_are_those_of_a_clean_process_whatever_was_named_before():
    for _ in range(3):
        model = with_own_names(_nested)
        assert sorted(_names(model)) == sorted(_CLEAN)
        # In the order in which Keras has made them.
        assert model.get_layer("dense") is model.layers[-1]
        assert model.get_layer("conv2d_1") is model.layers[1]
        _name_some()


def test_names_that_someone_has_given_stay():
    def make():
        return keras.Sequential(
            [
                keras.Input((4,)),
                layers.Dense(3, name="dense_7"),
                layers.Dense(3, name="mine"),
            ]
        )

    for _ in range(2):
        assert _names(with_own_names(make)) == ["dense_7", "mine"]
        _name_some()


def test_names_of_a_file_stay(tmp_path):
    _name_some()
    model = _nested()
    model.save(tmp_path / "model.keras")
    _name_some()
    loaded = with_own_names(
        keras.models.load_model, filepath=tmp_path / "model.keras"
    )
    assert _names(loaded) == _names(model)


def test_a_model_made_before_has_the_same_names_in_every_process():
    found = []
    for _ in range(2):
        _name_some()
        model = _nested()
        names = _names(with_own_names(lambda made=model: made))
        found.append(names)
        # And when it is asked for again.
        assert _names(with_own_names(lambda made=model: made)) == names
    assert found[0] == found[1]
    assert len(set(found[0])) == len(_CLEAN)


def test_layers_around_a_model_made_before_have_names_of_their_own():
    model = _nested()
    around = with_own_names(lambda: keras.Sequential([model, layers.Dense(2)]))
    assert len(set(_names(around))) == len(_CLEAN) + 1


def test_the_names_go_into_copies_and_files(tmp_path):
    _name_some()
    model = with_own_names(_nested)
    copy = keras.models.clone_model(
        model,
        clone_function=lambda la: type(la).from_config(la.get_config()),
        recursive=True,
    )
    assert _names(copy) == _names(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert _names(loaded) == _names(model)


def test_variables_have_the_names_of_their_layers():
    _name_some()
    names = {owned.name for owned in owned_variables(with_own_names(_nested))}
    assert {"conv2d/kernel", "conv2d_1/bias", "dense_1/kernel"} <= names


def test_a_given_name_stays_though_keras_counts_past_it():
    def make():
        first = layers.Dense(3)
        number = int((first.name + "_0").split("_")[1])
        given = layers.Dense(3, name=f"dense_{number + 1}")
        return keras.Sequential([keras.Input((4,)), first, given]), given

    kept = []

    def model():
        made, given = make()
        layers.Dense(1)  # Keras' count passes the given name.
        kept.append(given.name)
        return made

    layers.Dense(1)
    assert _names(with_own_names(model)) == ["dense", *kept]


def test_layers_that_the_collector_has_set_aside_are_older_ones():
    _name_some()
    model = _nested()
    gc.collect()
    gc.freeze()
    try:
        found = _names(with_own_names(lambda: model))
    finally:
        gc.unfreeze()
    assert len(set(found)) == len(_CLEAN) and "conv2d" in found


def test_layers_are_made_as_before_once_the_names_are_given():
    before = layers.Layer.__init__
    with pytest.raises(ZeroDivisionError):
        with_own_names(lambda: 1 / 0)
    with_own_names(_nested)
    assert layers.Layer.__init__ is before


@pytest.mark.parametrize("other", [None, 3])
def test_what_is_no_model_is_left_to_who_asked(other):
    assert with_own_names(lambda: other) is other


def test_equal_names_in_two_inner_models_are_told_apart(tmp_path):
    model = with_own_names(BACKBONES["twins"], image_shape=(8, 8, 3))
    found = ["conv", "norm", "relu", "conv_1", "norm_1", "relu_1"]
    assert _names(model)[:6] == found
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert _names(loaded) == _names(with_own_names(lambda: loaded))
    kept = {owned.name for owned in owned_variables(model)}
    assert {"conv/kernel", "conv_1/kernel"} <= kept


def test_a_name_is_not_given_twice():
    taken = {"x", "x_1"}
    assert [unused_name(n, taken) for n in "xxy"] == ["x_2", "x_3", "y"]
