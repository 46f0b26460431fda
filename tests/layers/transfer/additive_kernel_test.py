"""Additive decomposition: the kernel, its penalty and what it retains."""

import numpy as np
import pytest

from tests.testing.layers import run_layer_test
from tfcl.layers.transfer.additive_kernel import AdditiveKernel
from tfcl.layers.transfer.transfer_conv2d import TransferConv2D

_SHAPE = (3, 3, 2, 4)


def _built(**kwargs):
    generator = AdditiveKernel(**kwargs)
    generator.build(_SHAPE)
    random = np.random.default_rng(0)
    for variable in generator.trainable_variables:
        variable.assign(random.normal(size=variable.shape))
    return generator


@pytest.mark.parametrize("retains", [False, True])
def test_is_a_keras_layer_like_any_other(retains):
    run_layer_test(
        TransferConv2D,
        {
            "filters": 6,
            "kernel_size": 3,
            "generator": AdditiveKernel(retains=retains),
            "padding": "same",
        },
        (2, 6, 5, 4),
        (2, 6, 5, 6),
    )


def test_the_kernel_is_the_masked_shared_one_plus_the_task_s():
    generator = _built()
    shared, bias = (v.numpy() for v in generator.shared_variables)
    mask, tau = (v.numpy() for v in generator.task_variables)
    kernel, found = generator.pair()
    wanted = shared / (1.0 + np.exp(-mask)) + tau
    np.testing.assert_allclose(kernel, wanted, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(found.numpy(), bias)


def test_without_bias_it_has_none():
    generator = _built(use_bias=False)
    assert generator.pair()[1] is None
    assert len(generator.shared_variables) == 1


def test_the_penalty_is_the_mean_size_of_tau():
    generator = _built()
    wanted = np.abs(generator.tau.numpy()).mean()
    np.testing.assert_allclose(generator.penalty(), wanted, rtol=1e-6)


def test_drift_is_measured_from_what_was_retained():
    generator = _built(retains=True)
    assert float(generator.drift()) == 0.0
    for known in (False, True):
        generator.retain(known)
        moved = generator.shared_kernel + 0.5
        generator.shared_kernel.assign(moved)
        wanted = 0.5 * 0.25 if known else 0.0
        np.testing.assert_allclose(generator.drift(), wanted, rtol=1e-5)


def test_mask_and_tau_start_small_and_apart():
    generator = AdditiveKernel(initial_stddev=0.05)
    generator.build((3, 3, 16, 32))
    mask, tau = (v.numpy() for v in generator.task_variables)
    for value in (mask, tau):
        assert 0.03 < value.std() < 0.06 and np.abs(value).max() <= 0.1
    assert (mask != tau).any()
