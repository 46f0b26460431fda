"""Live models as backbones, and the copies that runs keep of them."""

import copy

import gin
import keras
import numpy as np
import pytest
from absl import logging

from tests.testing import toy_run
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.engine.storage.start_files import StartFiles
from tfcl.errors import UserError
from tfcl.methods.clr.clr import CLR
from tfcl.methods.task_training import TaskTraining
from tfcl.models.backbones.given_model import (
    GivenModel,
    backbone_function,
    given_model,
)
from tfcl.models.layer_names import with_own_names
from tfcl.models.start_files import kept_by
from tfcl.models.variables import leaf_layers

layers = keras.layers
_SHAPE = (8, 8, 3)
_IMAGES = np.random.default_rng(0).normal(size=(2, *_SHAPE))
_IMAGES = _IMAGES.astype(np.float32)


def _classifier(name=None, filters=4, activation="relu"):
    return keras.Sequential(
        [
            keras.Input(_SHAPE),
            layers.Conv2D(filters, 3, activation=activation),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(5, activation="softmax"),
        ],
        name=name,
    )


def _branches(more=False):
    """An inner model that is used twice, operations, a layer in a layer."""
    inputs = keras.Input(_SHAPE)
    inner = keras.Sequential(
        [keras.Input(_SHAPE), layers.Conv2D(3, 3, padding="same")]
    )
    hidden = inner(inner(inputs)) + inputs
    hidden = layers.SpectralNormalization(layers.Conv2D(4, 3))(hidden)
    hidden = layers.Softmax()(layers.Activation("softmax")(hidden))
    first, second = layers.Conv2D(4, 1), layers.Conv2D(4, 1)
    one, other = first(hidden), second(hidden)
    last = [one, one] if more else [one, other]
    return keras.Model(inputs, layers.Concatenate()([*last, other]))


def _up_to(model, depth):
    return keras.Model(model.inputs[0], model.layers[depth].output)(_IMAGES)


def test_a_copy_up_to_the_features_and_the_model_as_it_was():
    model = _classifier("my net")
    model.trainable = False
    given = GivenModel(model)
    assert (given.name, given.model) == ("my_net", model)
    backbone = given(image_shape=_SHAPE)
    wanted = _up_to(model, -2)
    np.testing.assert_array_equal(backbone(_IMAGES), wanted)
    assert len(backbone.trainable_weights) == 4
    assert not model.trainable_weights
    for weight in backbone.weights:
        weight.assign(weight + 1.0)
    np.testing.assert_array_equal(_up_to(model, -2), wanted)
    np.testing.assert_array_equal(given(_SHAPE)(_IMAGES), wanted)


def test_a_dense_layer_at_the_end_is_cut_off_with_a_word(monkeypatch):
    told = []
    monkeypatch.setattr(
        logging, "info", lambda text, *words: told.append(text % words)
    )
    model = _classifier("mine")
    dense = model.layers[-1]
    GivenModel(model)(_SHAPE)
    said = f"'mine' ends in the dense layer '{dense.name}'"
    assert any(said in line for line in told)
    told.clear()
    kept = layers.Identity()(model.outputs[0])
    whole = keras.Model(model.inputs, kept)
    backbone = GivenModel(whole)(_SHAPE)
    np.testing.assert_array_equal(backbone(_IMAGES), model(_IMAGES))
    assert not any("dense layer" in line for line in told)


def test_a_map_is_averaged():
    model = _branches()
    np.testing.assert_allclose(
        GivenModel(model)(_SHAPE)(_IMAGES),
        np.mean(model(_IMAGES), axis=(1, 2)),
        rtol=1e-5,
    )


class _OwnClass(keras.Model):
    """A graph, but with a constructor that no file knows."""

    def __init__(self, width):
        inputs = keras.Input(_SHAPE)
        hidden = layers.Conv2D(width, 3)(inputs)
        super().__init__(inputs, layers.GlobalMaxPooling2D()(hidden))


class _OwnLoss:
    def __call__(self, labels, logits):
        return logits


def test_compiled_models_and_classes_of_ones_own_are_graphs():
    for model in (_OwnClass(4), _classifier()):
        model.compile(loss=_OwnLoss(), optimizer="adam")
        depth = -1 if isinstance(model, _OwnClass) else -2
        np.testing.assert_array_equal(
            GivenModel(model)(_SHAPE)(_IMAGES), _up_to(model, depth)
        )


def test_gin_hands_out_the_object_itself():
    given = GivenModel(_classifier())
    assert copy.deepcopy({"a": given})["a"] is given


def test_names_do_not_depend_on_what_was_made_before():
    found = []
    for _ in range(2):
        given = GivenModel(_classifier())
        backbone = with_own_names(given, image_shape=_SHAPE)
        found.append((given.name, [la.name for la in leaf_layers(backbone)]))
    assert found[0] == found[1]
    assert found[0][0] == "sequential"


def test_it_starts_from_its_weights_unless_told_otherwise(caplog):
    model = _classifier("mine")
    training = TaskTraining(model)
    spec = toy_run.toy_stream()().spec()
    with caplog.at_level("INFO", logger="absl"):
        training.backbone(spec)
    assert training.pretrained is True
    assert "starts from the weights of the model 'mine'." in caplog.text
    training = TaskTraining(model, pretrained=False)
    training.backbone(spec)
    assert training.pretrained is False


class _NoGraph(keras.Model):
    def call(self, inputs):
        return inputs


def test_what_does_not_serve_is_told():
    with pytest.raises(UserError, match="'odd' must be a functional.*_NoGraph"):
        GivenModel(_NoGraph(name="odd"))
    with pytest.raises(UserError, match=r"'mine'.*\(8, 8, 3\).*\(4, 4, 3\)"):
        GivenModel(_classifier("mine"))((4, 4, 3))
    inputs = keras.Input(_SHAPE)
    rows = keras.Model(inputs, layers.Reshape((8, 24))(inputs), name="rows")
    with pytest.raises(UserError, match="'rows' ends in.*another layer"):
        GivenModel(rows)(_SHAPE)
    code = layers.Lambda(lambda x: x * 2.0)(inputs)
    code = keras.Model(inputs, layers.Flatten()(code), name="code")
    with pytest.raises(UserError, match="'code' cannot be copied.*Lambda"):
        GivenModel(code)(_SHAPE)
    with pytest.raises(ValueError, match=r"Any\(backbone=model\)"):
        backbone_function(None, "Any")


@pytest.mark.parametrize("make", [_classifier, _branches])
def test_a_run_keeps_its_copy(make, tmp_path, caplog):
    def opened(given, notes):
        files = StartFiles(tmp_path / "start", notes)
        with kept_by(files):
            backbone = given(image_shape=_SHAPE)
        return backbone, files

    model = make()
    first, files = opened(GivenModel(model), {})
    wanted = first(_IMAGES)
    for weight in first.weights:  # As a method that draws new ones.
        weight.assign(weight + 1.0)
    files.keep()
    again, _ = opened(GivenModel(model), files.notes)
    np.testing.assert_array_equal(again(_IMAGES), wanted)
    assert not caplog.records
    given = GivenModel(make())
    for _ in range(2):
        other, _ = opened(given, files.notes)
        np.testing.assert_array_equal(other(_IMAGES), wanted)
    (record,) = caplog.records
    assert "other weights than the one that the run" in record.getMessage()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (_classifier("a"), _classifier("a", filters=5)),
        (_classifier("a"), _classifier("a", activation="elu")),
        (_branches(), _branches(more=True)),
    ],
)
def test_other_layers_are_refused(one, other, tmp_path):
    files = StartFiles(tmp_path / "start", {})
    with kept_by(files):
        GivenModel(one)(_SHAPE)
    files.keep()
    files = StartFiles(tmp_path / "start", files.notes)
    with kept_by(files):
        given = GivenModel(other)
        for _ in range(2):
            with pytest.raises(UserError, match="has other layers"):
                given(_SHAPE)


def _method(backbone):
    return CLR(backbone=backbone, hidden_units=(), epochs=1)


def test_a_run_goes_on_and_serves_without_the_program(tmp_path):
    """Also where the model has other weights when it goes on."""
    short, long = (toy_run.toy_stream(counts) for counts in ((2,), (2, 2)))
    model = _classifier("mine")
    with toy_run.no_figures():
        wanted = toy_run.learn(tmp_path / "straight", _method(model), long)
        toy_run.learn(tmp_path / "run", _method(model), short)
        found = toy_run.learn(
            tmp_path / "run", _method(_classifier("mine")), long
        )
    toy_run.assert_same_outcome(found, wanted)
    assert (tmp_path / "run" / "start" / "0_mine.keras").is_file()
    with gin.unlock_config():
        gin.bind_parameter("given_model.name", "mine")
    try:
        served = LearnedTasks(tmp_path / "run", _method(given_model))
        entry = served.find("task_01")
        images = (_IMAGES * 50 + 100).astype(np.uint8)
        assert served.probabilities(entry, images).shape == (2, 2)
    finally:
        gin.clear_config()


def test_the_name_alone_is_of_no_use_outside_of_the_run():
    with pytest.raises(UserError, match="'mine' was given by a Python program"):
        given_model(_SHAPE, "mine")


def _normed(momentum):
    inputs = keras.Input((8, 8, 3))
    inner = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.BatchNormalization(momentum=momentum),
        ]
    )
    hidden = keras.layers.BatchNormalization(momentum=0.5)(inner(inputs))
    return keras.Model(inputs, hidden)


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, 0.9), ({"norm_momentum": None}, 0.99), ({"norm_momentum": 0.7}, 0.7)],
)
def test_moving_statistics_follow_small_tasks(options, expected, caplog):
    model = _normed(0.99)
    with caplog.at_level("INFO", logger="absl"):
        copy = GivenModel(model, **options)((8, 8, 3))
    norms = [la for la in leaf_layers(copy) if hasattr(la, "momentum")]
    assert sorted(la.momentum for la in norms) == [0.5, expected]
    assert [la.momentum for la in leaf_layers(model)] == [0.99, 0.5]
    said = "1 batch norms keeps" in caplog.text
    assert said == (expected != 0.99)
