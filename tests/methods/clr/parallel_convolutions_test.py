"""Parallel 1 x 1 convolutions under the contract of methods."""

import numpy as np
import pytest

from tests.methods.clr.clr_test import small_network
from tests.testing import running
from tfcl.data.task import StreamSpec
from tfcl.methods.clr.parallel_convolutions import ParallelConvolutions
from tfcl.methods.tensor_norms import TensorNorms
from tfcl.models.backbones.resnet_torchvision import resnet_torchvision
from tfcl.testing import run_method_test, runner_for, tiny_stream, tiny_training


def _training(epochs=10, **kwargs):
    settings = {
        "backbone": small_network,
        "hidden_units": (),
        "dropout": 0.0,
        "head_start": "fan_in_uniform",
    }
    return tiny_training(epochs, **{**settings, **kwargs})


def test_it_keeps_the_contract(tmp_path):
    run_method_test(
        lambda: ParallelConvolutions(_training(15), tensor_norms=TensorNorms()),
        tmp_path,
        forgets=False,
    )


def test_a_task_trains_kernels_beside_the_frozen_ones_and_a_head():
    method = ParallelConvolutions(
        _training(1, pretrained=True), tensor_norms=TensorNorms(0.5)
    )
    stream = tiny_stream()()
    method.setup(stream.spec(), seed=0)
    starts = []
    for task in stream.tasks[:2]:
        method.begin_task(task)
        starts.append({v.name: v.variable.numpy() for v in method.slot})
    shared = {v.name: v.variable.numpy() for v in method.shared}
    assert "norm/moving_mean" in shared
    runner = runner_for(method, (8, 8, 3))
    running.train_task(method, runner, stream.tasks[1], 16)
    for v in method.shared:
        np.testing.assert_array_equal(v.variable, shared[v.name])
    own = ["first", "mixed", "second"]
    own = [f"{name}/parallel" for name in own]
    trained = [v for v in method.slot if v.variable.trainable]
    names = [v.name for v in trained]
    assert names == [*own, "head/kernel_0", "head/bias_0"]
    for v in trained:
        assert not np.array_equal(v.variable, starts[1][v.name]), v.name
        assert not np.array_equal(starts[0][v.name], starts[1][v.name])
    wanted = 0.5 * sum(np.linalg.norm(v.variable.numpy()) for v in trained)
    np.testing.assert_allclose(method.penalty(), wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("depth", "numbers"), [(50, 13_385_920), (18, 1_392_832)]
)
def test_a_task_has_the_published_number_of_weights(depth, numbers):
    spec = StreamSpec("made_up", (32, 32, 3), ("task",), (("a", "b"),), 10)
    training = _training(
        1, backbone=lambda image_shape: resnet_torchvision(image_shape, depth)
    )
    backbone = ParallelConvolutions(training).make_backbone(spec)
    found = sum(int(np.prod(v.shape)) for v in backbone.trainable_weights)
    assert found == numbers
