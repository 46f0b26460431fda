"""The gate that hides units from tasks that never knew them."""

import numpy as np
import pytest

from tests.testing.layers import run_layer_test
from tfcl.layers.masked.unit_gate import UnitGate


def test_it_is_a_layer():
    run_layer_test(UnitGate, {}, (2, 3, 4, 5), (2, 3, 4, 5))


@pytest.mark.parametrize("shape", [(2, 4), (2, 3, 3, 4)])
def test_closed_units_give_zeros_and_open_ones_pass(shape):
    inputs = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    gate = UnitGate()
    np.testing.assert_array_equal(gate(inputs), inputs)
    gate.open.assign([1.0, 0.0, 1.0, 0.0])
    found = np.array(gate(inputs))
    np.testing.assert_array_equal(found[..., ::2], inputs[..., ::2])
    assert not found[..., 1::2].any()
    assert not gate.trainable_variables
    ((name, variable, start),) = gate.owned_variables()
    assert name == "open" and variable is gate.open
    np.testing.assert_array_equal(start((4,)), np.ones(4))
