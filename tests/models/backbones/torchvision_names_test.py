"""Names of PyTorch's residual networks, taken apart."""

import pytest

from tfcl.models.backbones.torchvision_names import part


@pytest.mark.parametrize(
    "name, wanted",
    [
        ("conv1.weight", (None, None, 1, "conv", "kernel")),
        ("module.bn1.running_var", (None, None, 1, "bn", "moving_variance")),
        ("layer3.12.bn2.bias", (3, 12, 2, "bn", "beta")),
        ("layer2.0.downsample.0.weight", (2, 0, None, "conv", "kernel")),
        ("layer2.0.downsample.1.weight", (2, 0, None, "bn", "gamma")),
    ],
)
def test_each_weight_has_its_place(name, wanted):
    assert tuple(part(name)) == wanted


@pytest.mark.parametrize(
    "name",
    ["fc.weight", "bn1.num_batches_tracked", "layer1.0.conv1", "head.bn1.bias"],
)
def test_other_arrays_have_none(name):
    assert part(name) is None
