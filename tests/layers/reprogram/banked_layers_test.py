"""Layers of a bundle: each example is treated by its own task's values."""

import numpy as np
import pytest
import tensorflow as tf

from tfcl.layers.reprogram.banked_layers import (
    BankedDense,
    BankedFilter,
    BankedScale,
    ChosenTasks,
)

_DRAW = np.random.default_rng(0).normal
_TASKS, _CHANNELS = 3, 4
_KERNELS = _DRAW(size=(_TASKS, 3, 3, _CHANNELS)).astype(np.float32)
_ROWS = [_DRAW(size=(_TASKS, _CHANNELS)).astype(np.float32) for _ in "ab"]
_MATRICES = _DRAW(size=(_TASKS, _CHANNELS, 5)).astype(np.float32)
_BIASES = _DRAW(size=(_TASKS, 5)).astype(np.float32)
_IMAGES = _DRAW(size=(6, 5, 4, _CHANNELS)).astype(np.float32)


def _filtered(image, task):
    outputs = tf.nn.depthwise_conv2d(
        image[None], _KERNELS[task][..., None], (1, 1, 1, 1), "SAME"
    )
    return outputs[0] + _ROWS[0][task]


_CASES = {
    "filter": (
        lambda chosen: BankedFilter(chosen, _KERNELS, _ROWS[0]),
        _IMAGES,
        _filtered,
    ),
    "scale": (
        lambda chosen: BankedScale(chosen, *_ROWS),
        _IMAGES,
        lambda image, task: image * _ROWS[0][task] + _ROWS[1][task],
    ),
    "scale of features": (
        lambda chosen: BankedScale(chosen, *_ROWS),
        _IMAGES[:, 0, 0],
        lambda image, task: image * _ROWS[0][task] + _ROWS[1][task],
    ),
    "dense": (
        lambda chosen: BankedDense(chosen, _MATRICES, _BIASES),
        _IMAGES[:, 0, 0],
        lambda image, task: image @ _MATRICES[task] + _BIASES[task],
    ),
}


@pytest.mark.parametrize("name", _CASES)
@pytest.mark.parametrize("tasks", [[0, 2, 1, 1, 0, 2], [1] * 6, [2]])
def test_each_example_is_treated_by_its_own_task(name, tasks):
    make, inputs, single = _CASES[name]
    chosen = ChosenTasks()
    layer = make(chosen)

    @tf.function
    def served(images, numbers):
        chosen.numbers = numbers
        return layer(images)

    inputs = inputs[: len(tasks)]
    found = served(tf.constant(inputs), tf.constant(tasks, tf.int32))
    wanted = [single(x, task) for x, task in zip(inputs, tasks)]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", _CASES)
def test_they_are_keras_layers(name):
    make, inputs, single = _CASES[name]
    outputs = (len(inputs), *np.shape(single(inputs[0], 0)))

    chosen = ChosenTasks()
    chosen.numbers = tf.ones(len(inputs), tf.int32)
    layer = make(chosen)
    assert layer.compute_output_shape(inputs.shape) == outputs
    assert tuple(layer(inputs).shape) == outputs
    assert not layer.trainable_variables
