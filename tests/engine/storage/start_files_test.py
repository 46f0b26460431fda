"""Runs keep the files that their networks begin with."""

import functools
from unittest import mock

import keras
import numpy as np
import pytest

from tests.testing import running, toy_run
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.engine.storage.start_files import StartFiles
from tfcl.errors import RunError, UserError
from tfcl.methods.clr.clr import CLR
from tfcl.models.backbones.applications import keras_application
from tfcl.models.backbones.cifar_resnet import cifar_resnet
from tfcl.models.backbones.keras_file import keras_file
from tfcl.models.backbones.resnet_torchvision import resnet_torchvision

_IMAGES = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)


def _network(top=False):
    inputs = keras.Input((8, 8, 3))
    hidden = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    hidden = keras.layers.BatchNormalization(name="norm")(hidden)
    hidden = keras.layers.GlobalAveragePooling2D()(hidden)
    return keras.Model(inputs, keras.layers.Dense(5)(hidden) if top else hidden)


def _method(backbone):
    training = toy_run.toy_training(
        backbone=backbone, hidden_units=(), pretrained=True, epochs=1
    )
    return CLR(training)


def _pristine(run):
    owned = run.method.shared + run.method.slot
    return {v.name: v.pristine for v in owned if not v.name.startswith("head")}


def _opened_and_saved(folder, backbone):
    """A run that has learned nothing yet; its start values."""
    run = toy_run.open_run(folder, _method(backbone))
    run.start({})
    run.saver.save()
    run.close()
    return _pristine(run)


def _opened_again(folder, backbone):
    run = toy_run.open_run(folder, _method(backbone))
    run.close()
    return _pristine(run)


# What a user gives: a function that writes the file, and the backbone of it.


def _own_model(path):
    _network(top=True).save(path)
    return functools.partial(keras_file, path=str(path))


def _arrays(path):
    make = functools.partial(cifar_resnet, depth=8)
    layers = [la for la in make((8, 8, 3)).layers if la.weights]
    generator = np.random.default_rng(0)
    values = {
        f"{layer.name}/{weight.name}": generator.uniform(0.5, 1, weight.shape)
        for layer in layers
        for weight in layer.weights
    }
    np.savez(path, **values)
    return functools.partial(make, weights=str(path))


def _of_keras(path):
    def network(weights, include_top, input_tensor, pooling):
        assert (include_top, pooling) == (False, "avg")
        hidden = keras.layers.Conv2D(4, 3, name="conv")(input_tensor)
        hidden = keras.layers.GlobalAveragePooling2D()(hidden)
        source = keras.utils.get_source_inputs(input_tensor)[0]
        model = keras.Model(source, hidden)
        if weights == "imagenet" and not path.exists():
            raise Exception("no network")
        return model

    path.touch()  # The download is there.
    network.__module__ = keras.applications.ResNet50.__module__
    mock.patch.object(keras.applications, "ResNet50", network).start()
    return functools.partial(
        keras_application, network="ResNet50", weights="imagenet"
    )


@pytest.fixture(autouse=True)
def _no_patches_left():
    yield
    mock.patch.stopall()


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (_own_model, "mine.keras"),
        (_arrays, "weights.npz"),
        (_of_keras, "download"),
    ],
)
def test_a_run_is_opened_without_the_original(make, name, tmp_path):
    path = tmp_path / name
    backbone = make(path)
    wanted = _opened_and_saved(tmp_path / "run", backbone)
    path.unlink()
    found = _opened_again(tmp_path / "run", backbone)
    assert found.keys() == wanted.keys() and wanted
    for key, value in wanted.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)


def test_a_finished_run_serves_and_grows_by_itself(tmp_path):
    """The original is gone, then another; the run began with neither."""
    path = tmp_path / "mine.keras"
    backbone = _own_model(path)
    short, long = (toy_run.toy_stream(counts) for counts in ((2,), (2, 2)))
    with running.no_figures():
        wanted = toy_run.learn(tmp_path / "straight", _method(backbone), long)
        run = toy_run.learn(tmp_path / "run", _method(backbone), short).run
    folder, kept = run.model_dir, path.read_bytes()
    entry = run.bank.load(0, run.stream.tasks[0].name)
    run.method.activate(entry.values, 0)
    logits = run.method.predict(entry.preprocessing(_IMAGES))
    path.unlink()
    served = LearnedTasks(folder, _method(backbone))
    found = served.probabilities(entry, _IMAGES)
    np.testing.assert_allclose(
        found, keras.ops.softmax(logits)[:, :2], rtol=1e-6
    )
    _network(top=True).save(path)
    LearnedTasks(folder, _method(backbone))
    with pytest.raises(UserError, match=r"mine.keras' has changed.*0_mine"):
        toy_run.learn(folder, _method(backbone), long)
    path.write_bytes(kept)
    with running.no_figures():
        found = toy_run.learn(folder, _method(backbone), long)
    toy_run.assert_same_outcome(found, wanted)


def _kept(tmp_path, content=b"content"):
    """`StartFiles` opened again, and the original."""
    original = tmp_path / "a.npz"
    original.write_bytes(content)
    files = StartFiles(tmp_path / "start", {})
    assert files.given(original) == str(original)
    files.keep()
    return StartFiles(tmp_path / "start", files.notes), original


def test_half_a_copy_that_a_kill_has_left_is_swept(tmp_path):
    files = StartFiles(tmp_path / "start", {})
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / ".0_a.npz").write_text("half")
    (tmp_path / "start" / ".mine").write_text("kept")
    files.keep()
    assert [p.name for p in (tmp_path / "start").iterdir()] == [".mine"]


def test_the_copy_is_read_and_the_original_will_do(tmp_path, caplog):
    files, original = _kept(tmp_path)
    copy = tmp_path / "start" / "0_a.npz"
    assert files.given(original) == str(copy)
    assert copy.read_bytes() == b"content"
    copy.write_bytes(b"damaged")
    again = StartFiles(tmp_path / "start", files.notes)
    assert again.given(original) == str(original)
    assert f"{copy} is missing or damaged" in caplog.text
    original.unlink()
    lost = StartFiles(tmp_path / "start", files.notes)
    with pytest.raises(RunError, match=r"0_a\.npz.*damaged.*a\.npz' back"):
        lost.given(original)
    lost.refuse_changed()  # Nothing that was not begun with.


def test_a_full_disk_leaves_no_half_of_a_copy(tmp_path):
    original = tmp_path / "a.npz"
    original.write_bytes(bytes(5000))
    files = StartFiles(tmp_path / "start", {})
    files.given(original)
    with toy_run.disk_limit(4096), pytest.raises(RunError, match="a.npz"):
        files.keep()
    assert not files.notes and not list((tmp_path / "start").iterdir())
    files.keep()
    assert StartFiles(files.folder, files.notes).given(original)


def test_weights_that_do_not_fit_name_their_layer(tmp_path):
    path = tmp_path / "weights.npz"
    _arrays(path)
    with pytest.raises(UserError, match=r"do not fit.*layer 'stage1_block2"):
        cifar_resnet((8, 8, 3), 14, str(path))
    with pytest.raises(UserError, match="do not fit.*layer"):
        resnet_torchvision((32, 32, 3), 18, str(path))
