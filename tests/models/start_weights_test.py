"""Weights that a user's backbone brings are the start values."""

import functools

import keras
import numpy as np
import pytest

from tfcl.methods.baselines.individual import Individual
from tfcl.methods.cpg.packnet import PackNet
from tfcl.methods.expansion.prognn import ProgNN
from tfcl.methods.lasem.static_transfer import StaticTransfer
from tfcl.methods.regularization.ewc import EWC
from tfcl.models.backbones import applications
from tfcl.models.backbones.cifar_resnet import cifar_resnet
from tfcl.models.backbones.keras_file import keras_file
from tfcl.models.online.online_networks import linear_network
from tfcl.models.start_weights import starts_from_its_weights
from tfcl.testing import tiny_stream, tiny_training

layers = keras.layers


def _network(image_shape=(8, 8, 3)):
    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.Conv2D(5, 3, name="conv"),
            layers.GlobalAveragePooling2D(name="features"),
        ],
        name="mine",
    )


def _trained(image_shape=(8, 8, 3)):
    """As a user's function brings it: nobody has said that it is trained."""
    model = _network(image_shape)
    for weight in model.weights:
        weight.assign(weight + 0.25)
    return model


@pytest.fixture(name="file")
def _file(tmp_path):
    model = _trained()
    path = tmp_path / "mine.keras"
    model.save(path)
    return path, model.get_layer("conv").get_weights()


def _begun(make):
    """The values of kernel and bias in a method's first task."""
    method, stream = make, tiny_stream()()
    method.setup(stream.spec(), seed=3)
    method.begin_task(stream.tasks[0])
    values = {o.name: o.variable.numpy() for o in method.shared + method.slot}
    kernel = next(v for k, v in values.items() if k.endswith("kernel"))
    bias = next(v for k, v in values.items() if k.endswith("bias"))
    return kernel, bias


_METHODS = {
    "ewc": EWC,
    "individual": Individual,
    "static": lambda training: StaticTransfer(training, "1"),
    "packnet": lambda training: PackNet(training, retraining_epochs=0),
    "prognn": ProgNN,
}


@pytest.mark.parametrize("name", _METHODS)
def test_the_weights_of_a_keras_file_are_start_values_unasked(name, file):
    path, wanted = file
    training = tiny_training(
        1, backbone=functools.partial(keras_file, path=str(path))
    )
    for found, value in zip(_begun(_METHODS[name](training)), wanted):
        np.testing.assert_array_equal(found, value)


def test_the_weights_of_a_function_are_start_values_unasked():
    training = tiny_training(1, backbone=_trained)
    _, bias = _begun(EWC(training))
    assert (bias == 0.25).all()
    assert training.pretrained is True


def test_new_weights_are_drawn_if_the_user_asks_for_them(file):
    path, wanted = file
    backbone = functools.partial(keras_file, path=str(path))
    training = tiny_training(1, backbone=backbone, pretrained=False)
    kernel, bias = _begun(EWC(training))
    assert (kernel != wanted[0]).all()
    assert not bias.any()


def test_a_network_without_weights_is_drawn_from_the_seed_as_before():
    training = tiny_training(1, backbone=_network)
    kernels = [_begun(EWC(training))[0] for _ in range(2)]
    np.testing.assert_array_equal(*kernels)
    asked = tiny_training(1, backbone=_network, pretrained=False)
    np.testing.assert_array_equal(_begun(EWC(asked))[0], kernels[0])


def test_a_file_of_an_untrained_network_is_a_source_as_well(tmp_path):
    model = _network()
    model.save(tmp_path / "new.keras")
    found = keras_file((8, 8, 3), path=str(tmp_path / "new.keras"))
    assert starts_from_its_weights(found, None, "x")


def test_weights_of_an_application_are_noted(monkeypatch):
    def built(network, argument, weights, input_tensor, **kwargs):
        outputs = layers.GlobalAveragePooling2D()(input_tensor)
        inputs = keras.utils.get_source_inputs(input_tensor)
        return keras.Model(inputs, outputs)

    monkeypatch.setattr(applications, "_built", built)
    for weights, kept in ((None, False), ("imagenet", True), ("x.h5", True)):
        model = applications.keras_application((32, 32, 3), "ResNet50", weights)
        assert starts_from_its_weights(model, None, "x") is kept


def test_weights_of_an_npz_file_are_noted(tmp_path):
    small = cifar_resnet((32, 32, 3), 8)
    arrays = {
        f"{la.name}/{w.name}": w.numpy()
        for la in small.layers
        for w in la.weights
    }
    np.savez(tmp_path / "small.npz", **arrays)
    loaded = cifar_resnet((32, 32, 3), 8, str(tmp_path / "small.npz"))
    assert starts_from_its_weights(loaded, None, "x")
    assert not starts_from_its_weights(small, None, "x")


def test_a_trained_backbone_of_online_learning_starts_from_its_weights():
    for asked, kept in ((None, True), (False, False), (True, True)):
        network = linear_network(
            (8, 8, 3), 2, backbone=_trained, frozen=False, pretrained=asked
        )
        assert network.pretrained is kept


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (None, "Backbone 'mine' starts from the weights of '{path}'."),
        (
            False,
            "Backbone 'mine' starts from new weights, not from the weights of "
            "'{path}': TaskTraining.pretrained = False.",
        ),
    ],
)
def test_one_line_of_the_log_says_what_was_loaded(file, caplog, asked, line):
    path, _ = file
    backbone = functools.partial(keras_file, path=str(path))
    training = tiny_training(1, backbone=backbone, pretrained=asked)
    with caplog.at_level("INFO", logger="absl"):
        training.backbone(tiny_stream()().spec())
    found = [r.getMessage() for r in caplog.records if "Backbone" in r.msg]
    assert found == [line.format(path=path)]


def test_the_log_says_that_weights_are_drawn(caplog):
    with caplog.at_level("INFO", logger="absl"):
        tiny_training(1).backbone(tiny_stream()().spec())
    (record,) = [r for r in caplog.records if "Backbone" in r.msg]
    assert "new weights, drawn by its initializers" in record.getMessage()
