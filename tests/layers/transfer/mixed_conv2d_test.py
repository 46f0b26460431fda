"""The blend of a task's own and the transferred convolution."""

import keras
import numpy as np

from tfcl.layers.transfer.hard_kernel import HardKernel
from tfcl.layers.transfer.mixed_conv2d import MixedConv2D
from tfcl.layers.transfer.selective_conv2d import SelectiveConv2D


def test_each_part_is_activated_before_they_are_blended():
    draw = np.random.default_rng(0).normal
    images = draw(size=(2, 5, 5, 3)).astype(np.float32)
    layer = SelectiveConv2D(
        4, 3, generator=HardKernel(), sharing="chosen", activation="relu"
    )
    layer.build(images.shape)
    for variable in layer.variables:
        if "float" in variable.dtype:
            variable.assign(draw(size=variable.shape))
    logits = keras.Variable([[0.0, 0.0], [np.log(3.0), 0.0]])
    parts = [
        np.array(layer.apply_pair(images, *pair))
        for pair in (
            (layer.task_kernel, layer.task_bias),
            layer.generator.pair(),
        )
    ]
    assert min(part.min() for part in parts) == 0.0
    for depth, (own, shared) in enumerate([(0.5, 0.5), (0.75, 0.25)]):
        mixed = MixedConv2D(layer, logits, depth)
        np.testing.assert_allclose(
            mixed(images), own * parts[0] + shared * parts[1], rtol=1e-5
        )
        assert mixed.compute_output_shape(images.shape) == parts[0].shape
