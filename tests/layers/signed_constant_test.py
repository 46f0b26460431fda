"""Kernels of one size: He's deviation over the part that is used."""

import keras
import numpy as np
import pytest

from tfcl.layers.signed_constant import SignedConstant


@pytest.mark.parametrize("share", [1.0, 0.25])
@pytest.mark.parametrize("shape", [(3, 3, 4, 50), (36, 50)])
def test_all_weights_have_one_size_and_half_of_them_a_sign(share, shape):
    kernel = np.array(SignedConstant(share, seed=3)(shape))
    np.testing.assert_allclose(
        np.abs(kernel), np.sqrt(2.0 / (36 * share)), rtol=1e-6
    )
    # 1,800 fair coins: five deviations of 0.012.
    assert abs((kernel > 0).mean() - 0.5) < 0.06


def test_the_seed_decides_the_signs():
    first, again, other = (
        np.array(SignedConstant(seed=seed)((9, 20))) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_it_survives_its_configuration_and_has_the_dtype_asked_for():
    wanted = SignedConstant(0.5, seed=7)
    again = keras.initializers.deserialize(keras.initializers.serialize(wanted))
    np.testing.assert_array_equal(again((4, 5)), wanted((4, 5)))
    assert again((4, 5), dtype="float16").dtype == "float16"
