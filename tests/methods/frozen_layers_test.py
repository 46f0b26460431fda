"""What is promised to stay as it is stays, or is refused before step 0."""

import functools
import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing.backbones import Average
from tests.testing.running import train_task
from tfcl.methods.baselines.frozen_backbone import FrozenBackbone
from tfcl.methods.baselines.individual import Individual
from tfcl.methods.clr.clr import CLR
from tfcl.methods.clr.parallel_convolutions import ParallelConvolutions
from tfcl.methods.cpg.packnet import PackNet
from tfcl.methods.expansion.prognn import ProgNN
from tfcl.methods.frozen_layers import require_still
from tfcl.methods.masks.supsup import SupSup
from tfcl.optimizers.schedules import Constant
from tfcl.optimizers.sgd_nesterov import SGDNesterov
from tfcl.testing import runner_for, tiny_stream, tiny_training

layers = keras.layers


@keras.saving.register_keras_serializable(package="tfcl_tests")
class AlwaysNoise(layers.Layer):
    """Draws in inference as well."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seeds = keras.random.SeedGenerator(0)

    def call(self, inputs):
        drawn = keras.random.normal(keras.ops.shape(inputs), seed=self.seeds)
        return inputs + drawn

    def compute_output_shape(self, input_shape):
        return input_shape


_MOVING = {
    "spectral": lambda: layers.SpectralNormalization(
        layers.Conv2D(6, 3, padding="same"), name="moving"
    ),
    "statistics": lambda: layers.BatchNormalization(name="moving"),
    "average": lambda: Average(name="moving"),
    "counter": lambda: Average(always=True, name="moving"),
    "seeds": lambda: layers.GaussianDropout(0.2, name="moving"),
    "draws": lambda: AlwaysNoise(name="moving"),
}
if "renorm" in inspect.signature(layers.BatchNormalization).parameters:
    # Not in Keras 3.12, the last one for Python 3.10.
    _MOVING["renormed"] = lambda: layers.BatchNormalization(
        renorm=True, name="moving"
    )


def _backbone(image_shape, moving):
    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.Conv2D(6, 3, name="first"),
            _MOVING[moving](),
            layers.ReLU(),
            layers.Conv2D(6, 3, name="second"),
            layers.GlobalAveragePooling2D(),
        ]
    )


_METHODS = {
    "individual": Individual,
    "frozen": FrozenBackbone,
    "probe": lambda training: FrozenBackbone(training),
    "clr": CLR,
    "parallel": ParallelConvolutions,
    "packnet": lambda training: PackNet(
        training, retraining_schedule=Constant(0.01), retraining_epochs=1
    ),
    "prognn": ProgNN,
    "supsup": SupSup,
}
# Layers that a method cannot hold still; all others it keeps to the bit.
_ALWAYS = {"counter", "draws"}
_REFUSED = {
    "clr": {"spectral", "average"},
    "prognn": {"spectral", "average"},
    "supsup": {"spectral", "statistics", "renormed", "average"},
}


def _method(name, moving):
    training = tiny_training(
        1,
        backbone=functools.partial(_backbone, moving=moving),
        hidden_units=(),
        optimizer=SGDNesterov,
        pretrained=name in ("probe", "clr"),
    )
    return _METHODS[name](training)


def _is_refused(name, moving):
    return moving in _ALWAYS | _REFUSED.get(name, set())


_PAIRS = [(name, moving) for name in _METHODS for moving in _MOVING]


@pytest.mark.parametrize(
    ("name", "moving"), [pair for pair in _PAIRS if _is_refused(*pair)]
)
def test_a_layer_that_cannot_be_held_still_is_refused_by_name(name, moving):
    stream = tiny_stream()()
    with pytest.raises(ValueError, match="moving"):
        _method(name, moving).setup(stream.spec(), seed=0)


@pytest.mark.parametrize(
    ("name", "moving"),
    [
        pair
        for pair in _PAIRS
        # The other kinds are the same to these methods, and slow to train.
        if not _is_refused(*pair)
        and (pair[0] == "clr" or pair[1] == "spectral")
    ]
    + [("prognn", "statistics"), ("packnet", "statistics")],
)
def test_old_logits_keep_their_bits_whatever_a_layer_assigns(name, moving):
    method, stream = _method(name, moving), tiny_stream()()
    method.setup(stream.spec(), seed=0)
    first, second = stream.tasks[:2]
    runner = runner_for(method, first.train.image_shape)
    banked = {}
    method.recall = lambda index: banked[index]
    train_task(method, runner, first, 16, 2)
    method.begin_evaluation()
    banked[0] = method.bank_values()
    images = first.preprocessing(tf.constant(first.test.images))
    logits = []
    for task in (None, second):
        if task is not None:
            train_task(method, runner, task, 16, 2)
        method.activate(banked[0], 0)
        logits.append(method.predict(images).numpy())
    np.testing.assert_array_equal(*logits)
    assert np.ptp(logits[0]) > 0


def test_a_layer_may_move_what_nobody_keeps():
    backbone = _backbone((8, 8, 3), "spectral")
    kept = backbone.get_layer("second").weights
    before = [weight.numpy() for weight in backbone.weights]
    require_still(backbone, (8, 8, 3), kept, True, "Some")
    moving = backbone.get_layer("moving").weights
    require_still(backbone, (8, 8, 3), moving, False, "Some")
    with pytest.raises(ValueError, match="what Some keeps"):
        require_still(backbone, (8, 8, 3), moving, True, "Some")
    # And looking moves nothing.
    for weight, value in zip(backbone.weights, before):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_the_message_names_layer_variable_and_way_out():
    stream = tiny_stream()()
    with pytest.raises(ValueError) as caught:
        _method("clr", "spectral").setup(stream.spec(), seed=0)
    for part in (
        "TaskTraining.backbone",
        "CLR",
        "moving (SpectralNormalization)",
        "vector_u",
        "Take the layers out",
    ):
        assert part in str(caught.value)
