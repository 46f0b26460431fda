"""Channels for a multiple of the parameters."""

import pytest

from tfcl.models.width import Width


@pytest.mark.parametrize(
    "width, channels, wanted",
    [(1.0, 64, 64), (4.0, 64, 128), (0.5, 64, 45), (1.5, 3, 3), (0.01, 3, 1)],
)
def test_the_root_scales_each_side_of_a_kernel(width, channels, wanted):
    assert Width(width)(channels) == wanted


@pytest.mark.parametrize("width", [0, -1.0])
def test_no_network_is_nothing(width):
    with pytest.raises(ValueError, match=f"`width`.*Received: width={width}"):
        Width(width)
