"""A user's `.keras` file as a backbone."""

import pathlib

import gin
import keras
import numpy as np
import pytest

from tests.testing import folders
from tfcl import configuration
from tfcl.engine.experiment import Experiment
from tfcl.engine.loop import learn_stream
from tfcl.errors import UserError
from tfcl.models.backbones.keras_file import keras_file, keras_file_statistics
from tfcl.models.surgery.reprogram import reprogram

_IMAGES = np.random.default_rng(0).normal(size=(2, 8, 8, 3))
_IMAGES = _IMAGES.astype(np.float32)


def _classifier():
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(name="flat"),
            layers.Dense(5, activation="softmax"),
        ]
    )


@pytest.fixture(name="saved")
def _saved(tmp_path):
    def save(model):
        path = tmp_path / "mine.keras"
        model.save(path)
        return str(path)

    return save


def test_a_classifier_is_cut_to_its_features(saved):
    model = _classifier()
    backbone = keras_file((8, 8, 3), saved(model))
    wanted = keras.Model(model.inputs[0], model.get_layer("flat").output)
    np.testing.assert_array_equal(backbone(_IMAGES), wanted(_IMAGES))
    changed, sites = reprogram(backbone)
    assert [site.conv.name for site in sites] == ["conv"]
    np.testing.assert_array_equal(changed(_IMAGES), wanted(_IMAGES))


@pytest.mark.parametrize("kind", ["sequential", "functional"])
@pytest.mark.parametrize(
    "ends",
    [("Softmax",), ("Activation",), ("Activation", "Softmax")],
    ids=lambda ends: "_".join(ends),
)
def test_activations_behind_a_classifier_go_too(saved, kind, ends):
    model = _classifier()
    model.layers[-1].activation = keras.activations.linear
    for end in ends:
        options = ("linear",) if end == "Activation" else ()
        model.add(getattr(keras.layers, end)(*options))
    if kind == "functional":
        model = keras.Model(model.inputs[0], model.outputs[0])
    backbone = keras_file((8, 8, 3), saved(model))
    wanted = keras.Model(model.inputs[0], model.get_layer("flat").output)
    np.testing.assert_array_equal(backbone(_IMAGES), wanted(_IMAGES))


def test_an_activation_behind_no_classifier_is_kept(saved):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Activation("relu"),
        ]
    )
    backbone = keras_file((8, 8, 3), saved(model))
    np.testing.assert_array_equal(backbone(_IMAGES), model(_IMAGES))


def test_layers_that_a_file_froze_are_trainable(saved):
    model = _classifier()
    model.get_layer("conv").trainable = False
    backbone = keras_file((8, 8, 3), saved(model))
    assert [v.name for v in backbone.trainable_weights] == ["kernel", "bias"]


def test_a_layer_can_be_named_and_its_map_is_averaged(saved):
    model = _classifier()
    backbone = keras_file((8, 8, 3), saved(model), features="pool")
    maps = keras.Model(model.inputs[0], model.get_layer("pool").output)(_IMAGES)
    np.testing.assert_allclose(
        backbone(_IMAGES), np.mean(maps, axis=(1, 2)), rtol=1e-6
    )


def test_a_file_may_have_the_names_that_we_give(saved):
    inputs = keras.Input((8, 8, 3))
    hidden = keras.layers.Conv2D(4, 3, name="features")(inputs)
    hidden = keras.layers.ReLU(name="hidden")(hidden)
    path = saved(keras.Model(inputs, hidden))
    backbone = keras_file((8, 8, 3), path)
    assert [la.name for la in backbone.layers][1:] == [
        *("features", "hidden", "features_1")
    ]


def test_a_model_inside_a_model_is_reprogrammed_too(saved):
    inputs = keras.Input((None, None, 3))
    hidden = keras.layers.Rescaling(0.5)(inputs)
    inner = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(4, 3, name="inside"),
            keras.layers.BatchNormalization(),
        ],
        name="inner",
    )
    hidden = keras.layers.GlobalMaxPooling2D()(inner(hidden))
    model = keras.Model(inputs, hidden)
    backbone = keras_file((8, 8, 3), saved(model))
    changed, sites = reprogram(backbone, "full")
    assert [site.conv.name for site in sites] == ["inside"]
    np.testing.assert_array_equal(changed(_IMAGES), model(_IMAGES))
    kernel = np.random.default_rng(1).normal(size=(3, 3, 4, 1))
    sites[0].layer.kernel.assign(kernel)
    assert np.abs(changed(_IMAGES) - model(_IMAGES)).max() > 0.1
    # The backbone itself is as it was.
    np.testing.assert_array_equal(backbone(_IMAGES), model(_IMAGES))


def test_a_convolution_that_is_used_twice_has_one_filter():
    inputs = keras.Input((8, 8, 3))
    conv = keras.layers.Conv2D(3, 3, padding="same", activation="relu")
    model = keras.Model(inputs, conv(conv(inputs)))
    changed, sites = reprogram(model)
    assert len(sites) == 1
    np.testing.assert_array_equal(changed(_IMAGES), model(_IMAGES))


def test_transposed_and_channels_first_convolutions():
    inputs = keras.Input((8, 8, 3))
    up = keras.layers.Conv2DTranspose(3, 3)(inputs)
    with pytest.raises(ValueError, match="no convolution"):
        reprogram(keras.Model(inputs, up))
    first = keras.layers.Conv2D(3, 3, data_format="channels_first", name="odd")
    with pytest.raises(ValueError, match="'odd'.*channels_last"):
        reprogram(keras.Model(inputs, first(inputs)))
    with pytest.raises(ValueError, match="mode='some'"):
        reprogram(_classifier(), "some")


def test_what_does_not_fit_is_told(saved, tmp_path):
    path = saved(_classifier())
    with pytest.raises(UserError, match=r"\(8, 8, 3\).*\(32, 32, 3\)"):
        keras_file((32, 32, 3), path)
    with pytest.raises(UserError, match="no layer 'top'.*flat"):
        keras_file((8, 8, 3), path, features="top")
    with pytest.raises(UserError, match="no file"):
        keras_file((8, 8, 3), str(tmp_path / "none.keras"))
    broken = tmp_path / "broken.keras"
    broken.write_bytes(b"nothing")
    with pytest.raises(UserError, match="cannot be read"):
        keras_file((8, 8, 3), str(broken))


def test_code_in_a_file_is_not_run(saved):
    inputs = keras.Input((8, 8, 3))
    outputs = keras.layers.Lambda(lambda x: x * 2.0)(inputs)
    path = saved(keras.Model(inputs, outputs))
    with pytest.raises(UserError, match="cannot be read"):
        keras_file((8, 8, 3), path)


@pytest.mark.parametrize("converts", [True, False])
def test_the_file_says_what_pixels_its_model_takes(saved, converts, caplog):
    caplog.set_level("INFO")
    own = [keras.layers.Rescaling(1 / 127.5, -1, name="scaled")]
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), *own * converts, *_classifier().layers]
    )
    found = keras_file_statistics(saved(model))
    if converts:
        assert found == (0.0, 1 / 255)
        assert "layer 'scaled', Rescaling" in caplog.text
        assert "0 to 255" in caplog.text
    else:
        assert found == "none"
        assert "0 to 1." in caplog.text


def test_a_run_goes_on_without_the_file(saved, tmp_path):
    """It has a copy, which also says what pixels the model takes."""
    (tmp_path / "pictures").mkdir()
    folders.draw_task(tmp_path / "pictures", "cars", {"mini": 9, "beetle": 9})
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 127.5, -1)]
        + _classifier().layers
    )
    path = saved(model)

    def opened():
        configuration.load(
            ["gin/clr_keras_file.gin"],
            [
                f"KERAS_FILE = '{path}'",
                f"folder_stream.root = '{tmp_path / 'pictures'}'",
                "folder_stream.image_size = 8",
                "TaskTraining.epochs = 1",
                "CLR.mode = 'full'",
            ],
        )
        run = Experiment(model_dir=tmp_path / "run", exports=False)
        run.start({})
        return run

    try:
        run = opened()
        learn_stream(run)
        run.close()
        pathlib.Path(path).unlink()
        again = opened()
        again.close()
    finally:
        gin.clear_config()
    split = again.stream.tasks[0].train
    np.testing.assert_allclose(split.std, 1 / 255)
    assert again.resumed and len(again.journal.visits) == 1
