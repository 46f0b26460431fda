"""Start values of PyTorch."""

import numpy as np
import pytest

from tfcl.layers.fan_in_uniform import FanInUniform
from tfcl.models.variables import Owned
from tfcl.testing import tiny_training


@pytest.mark.parametrize("shape", [(3, 5, 4, 200), (60, 200)])
def test_kernels_are_uniform_within_one_over_the_root_of_fan_in(shape):
    values = np.array(FanInUniform(seed=1)(shape))
    limit = 1 / np.sqrt(60)
    assert np.abs(values).max() <= limit
    np.testing.assert_allclose(values.std(), limit / np.sqrt(3), rtol=0.02)
    assert abs(values.mean()) < 0.02 * limit


def test_a_bias_needs_to_be_told():
    assert np.abs(FanInUniform(16, seed=1)((500,))).max() <= 0.25
    with pytest.raises(ValueError, match="`fan_in`.*bias"):
        FanInUniform()((500,))


def test_the_head_tells_its_biases():
    training = tiny_training(head_start="fan_in_uniform", hidden_units=(9,))
    head = training.head(max_classes=500)
    head.build((None, 400))
    drawn = {
        name: Owned.of(name, variable, initializer).fresh(seed=3)
        for name, variable, initializer in head.owned_variables()
    }
    for depth, fan_in in enumerate((400, 9)):
        for kind in ("kernel", "bias"):
            largest = np.abs(drawn[f"{kind}_{depth}"]).max()
            assert 0.4 < largest * np.sqrt(fan_in) <= 1.0
    assert np.array(drawn["bias_1"]).std() > 0
