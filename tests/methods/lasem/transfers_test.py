"""Mechanisms of transfer, by themselves."""

import keras
import pytest

from tfcl.methods.lasem.transfers import DeconvTransfer


@pytest.mark.parametrize(
    ("variant", "shared"),
    [
        # A knowledge base of half the kernel's side and channels.
        ("tensordot", (1, 3, 3, 6)),
        ("direct", (1, 3, 3, 6)),
        ("tc2", (6, 3, 3, 6)),
    ],
)
def test_df_cnn_has_sizes_for_any_convolution(variant, shared):
    transfer = DeconvTransfer(variant=variant)
    conv = keras.layers.Conv2D(12, 5)
    # Whatever the depth: no table has to hold it.
    generator = transfer.generator(40, conv)
    generator.build((5, 5, 3, 12))
    assert generator.base.shape == shared
    kernel, _ = generator.pair()
    assert kernel.shape == (5, 5, 3, 12)


def test_df_cnn_takes_both_sizes_or_none():
    with pytest.raises(ValueError, match="one entry per base.*there are 1"):
        DeconvTransfer(bases=((2, 4),))
    with pytest.raises(ValueError, match="`filters`"):
        DeconvTransfer(filters=((3, 4),))
