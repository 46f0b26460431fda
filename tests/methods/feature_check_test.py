"""A pretrained backbone that gets pixels in another unit is told of."""

import keras
import numpy as np
import pytest

from tests.learner.programs import SIZE, examples
from tfcl.data.preprocessing import Preprocessing
from tfcl.data.split import Split
from tfcl.data.task import Task, TaskStream
from tfcl.methods import CLR
from tfcl.methods.feature_check import warn_of_blind_backbone


def _backbone(poison=False):
    """A convolution of pixels that it takes from 0..255 to -1..1."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((SIZE, SIZE, 3))
    hidden = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
    hidden = keras.layers.Conv2D(8, 3, activation="relu", name="conv")(hidden)
    hidden = keras.layers.BatchNormalization()(hidden)
    outputs = keras.layers.GlobalAveragePooling2D()(hidden)
    model = keras.Model(inputs, outputs, name="mine")
    if poison:
        model.get_layer("conv").bias.assign(np.full(8, np.nan))
    return model


def _stream(mean, std):
    images, labels = examples(1, 40)
    split = Split(images, labels, np.full(3, mean), np.full(3, std))
    preprocessing = Preprocessing((SIZE, SIZE, 3), (mean,) * 3, (std,) * 3)
    task = Task(0, "boats", ("a", "b"), split, split, split, preprocessing)
    return TaskStream("made_up", [task], 8)


@pytest.mark.parametrize(
    ("mean", "std", "poison", "told"),
    [
        (0.0, 1 / 255, False, None),  # As it takes them.
        (0.0, 1.0, False, "hardly differ between images of task 'boats'"),
        (0.0, 1 / 255, True, "no numbers of images of task 'boats'"),
    ],
)
def test_the_unit_of_pixels_is_noticed(mean, std, poison, told, caplog):
    warn_of_blind_backbone(_backbone(poison), _stream(mean, std))
    if told is None:
        assert not caplog.text
    else:
        assert told in caplog.text and "statistics" in caplog.text


@pytest.mark.parametrize("pretrained", [True, False])
def test_a_method_of_a_pretrained_backbone_says_so(pretrained, caplog):
    stream = _stream(0.0, 1.0)
    method = CLR(backbone=_backbone(), pretrained=pretrained)
    method.setup(stream.spec(), 0)
    method.check_stream(stream)
    assert ("hardly differ" in caplog.text) == pretrained
