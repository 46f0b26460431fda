"""What a method cannot take is refused before step 0, our own layers not."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing.backbones import Block
from tests.testing.running import train_task
from tfcl.engine.serving.export import ServedTask
from tfcl.methods.baselines.fine_tuning import FineTuning
from tfcl.methods.clr.clr import CLR
from tfcl.methods.clr.parallel_convolutions import ParallelConvolutions
from tfcl.methods.expansion.den import DEN
from tfcl.methods.expansion.prognn import ProgNN
from tfcl.methods.masks.channel_gating import ChannelGating
from tfcl.methods.masks.hat import HAT
from tfcl.methods.regularization.ewc import EWC
from tfcl.models.backbones import applications
from tfcl.models.surgery.rewire import rewire
from tfcl.testing import runner_for, tiny_stream, tiny_training

layers = keras.layers


def _sequential(*inner, image_shape):
    return keras.Sequential(
        [keras.Input(image_shape), *inner, layers.GlobalAveragePooling2D()]
    )


def _training(make, **kwargs):
    def backbone(image_shape):
        return _sequential(*make(), image_shape=image_shape)

    return tiny_training(1, backbone=backbone, hidden_units=(), **kwargs)


def _spec():
    return tiny_stream()().spec()


def _grouped():
    return layers.Conv2D(6, 3), layers.Conv2D(6, 3, groups=2, name="grouped")


@pytest.mark.parametrize("make", [HAT, ProgNN, DEN])
def test_groups_are_refused_by_name_before_the_first_task(make):
    with pytest.raises(ValueError, match="grouped"):
        make(_training(_grouped)).setup(_spec(), seed=0)


@pytest.mark.parametrize("make", [FineTuning, EWC, CLR, ProgNN])
def test_a_subclassed_inner_model_is_refused_before_the_first_task(make):
    training = _training(lambda: (layers.Conv2D(4, 3), Block(name="block")))
    options = {"heads": "per_task"} if make is FineTuning else {}
    with pytest.raises(ValueError, match=r"'block' \(Block\)"):
        make(training, **options).setup(_spec(), seed=0)


def _vgg_like(network, argument, weights, input_tensor, **kwargs):
    """A chain as VGG16's, behind the colours that our code puts there."""
    hidden = input_tensor
    for filters in (6, 8):
        hidden = layers.Conv2D(filters, 3, activation="relu")(hidden)
    hidden = layers.MaxPooling2D()(hidden)
    outputs = layers.GlobalAveragePooling2D()(hidden)
    inputs = keras.utils.get_source_inputs(input_tensor)
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize("make", [HAT, DEN])
def test_our_own_colours_layer_is_no_obstacle(make, monkeypatch):
    monkeypatch.setattr(applications, "_built", _vgg_like)
    training = tiny_training(
        1,
        backbone=functools.partial(
            applications.keras_application, network="VGG16"
        ),
        hidden_units=(),
    )
    method, stream = make(training), tiny_stream()()
    method.setup(stream.spec(), seed=0)
    method.begin_task(stream.tasks[0])
    model = method.network().lower()
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3))
    images = images.astype(np.float32)
    wanted = method.predict(tf.constant(images))[:, :2]
    np.testing.assert_allclose(model(images), wanted, rtol=1e-4, atol=1e-5)
    assert any(la.name == "colours" for la in model.layers)


@pytest.mark.parametrize("make", [HAT, DEN, ChannelGating])
def test_a_layer_that_is_used_twice_is_refused_by_name(make):
    def backbone(image_shape):
        inputs = keras.Input(image_shape)
        hidden = layers.Conv2D(4, 3, padding="same")(inputs)
        shared = layers.Conv2D(4, 3, padding="same", name="shared")
        hidden = shared(shared(hidden))
        return keras.Model(inputs, layers.GlobalAveragePooling2D()(hidden))

    training = tiny_training(1, backbone=backbone, hidden_units=())
    with pytest.raises(ValueError, match="'shared' is used twice"):
        make(training).setup(_spec(), seed=0)


def _wrapped():
    inner = layers.Conv2D(4, 3, name="inner")
    held = layers.SpectralNormalization(inner, name="held")
    return layers.Conv2D(4, 3), held


def test_a_wrapped_convolution_is_not_left_without_a_gate():
    with pytest.raises(ValueError, match="'held'.*'inner'.*be gated"):
        ChannelGating(_training(_wrapped)).setup(_spec(), seed=0)


def test_a_wrapped_convolution_without_kernels_of_tasks_is_told(caplog):
    with caplog.at_level("WARNING", logger="absl"):
        ParallelConvolutions(_training(_wrapped)).setup(_spec(), seed=0)
    (told,) = [r.getMessage() for r in caplog.records]
    assert "get no kernels: held (SpectralNormalization)" in told


def test_columns_go_through_operations_and_arguments_by_name():
    """The first column's features are the same inside the second network."""

    def backbone(image_shape):
        inputs = keras.Input(image_shape)
        hidden = layers.Conv2D(4, 3, activation="relu")(inputs)
        tokens = layers.Reshape((36, 4))(hidden)
        attention = layers.MultiHeadAttention(1, 4)
        tokens = tokens + attention(tokens, value=tokens)
        hidden = layers.Reshape((6, 6, 4))(tokens)
        hidden = layers.Conv2D(4, 3)(hidden)
        return keras.Model(inputs, layers.GlobalAveragePooling2D()(hidden))

    training = tiny_training(1, backbone=backbone, hidden_units=())
    method, stream = ProgNN(training), tiny_stream()()
    method.setup(stream.spec(), seed=0)
    images = np.random.default_rng(0).normal(size=(3, 8, 8, 3))
    found = []
    for task in stream.tasks[:2]:
        method.begin_task(task)
        network = method.network().backbone
        attended = []

        def call(layer, *args, seen=attended, **kwargs):
            outputs = layer(*args, **kwargs)
            if layer.name == "column_0_multi_head_attention":
                seen.append(outputs)
            return outputs

        features = rewire(network, call, lambda _, seen=attended: seen[0])
        found.append(features(images).numpy())
        method.end_task(task)
    np.testing.assert_allclose(*found, rtol=1e-6, atol=1e-7)


def test_columns_hear_layers_of_inner_models():
    def backbone(image_shape):
        inner = keras.Sequential(
            [keras.Input((6, 6, 4)), layers.Conv2D(4, 3, name="inner")]
        )
        return _sequential(layers.Conv2D(4, 3), inner, image_shape=image_shape)

    training = tiny_training(1, backbone=backbone, hidden_units=())
    method, stream = ProgNN(training), tiny_stream()()
    method.setup(stream.spec(), seed=0)
    for task in stream.tasks[:2]:
        method.begin_task(task)
        method.end_task(task)
    assert method.bank_notes() == {"columns_heard": 1}
    names = [v.name for v in method.shared]
    assert "column_1_inner/lateral_0_kernel" in names or any(
        name.startswith("column_1_inner/lateral_") for name in names
    )


def test_a_layer_with_weights_of_its_own_is_still_refused_by_hat():
    def make():
        return layers.BatchNormalization(name="norm"), layers.Conv2D(4, 3)

    with pytest.raises(ValueError, match="'norm'"):
        HAT(_training(make)).setup(_spec(), seed=0)


def test_progressive_columns_with_batch_norm_are_exported():
    def make():
        return (
            layers.Conv2D(4, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(5, 3, use_bias=False),
            layers.BatchNormalization(),
        )

    method, stream = ProgNN(_training(make)), tiny_stream()()
    method.setup(stream.spec(), seed=0)
    for task in stream.tasks[:2]:
        runner = runner_for(method, task.train.image_shape)
        train_task(method, runner, task, 16, 2)
    images = tf.constant(stream.tasks[1].test.images[:8])
    rule = stream.tasks[1].preprocessing
    wanted = tf.nn.softmax(method.predict(rule(images)))[:, :2]
    served = ServedTask(
        method.network().lower(), rule, stream.tasks[1].class_names
    )
    found = served.serve(images)["probabilities"]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
