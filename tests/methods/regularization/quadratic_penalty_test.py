"""Springs: the sum, the anchor, what grows with the classes."""

import keras
import numpy as np

from tfcl.methods.regularization.quadratic_penalty import QuadraticPenalty
from tfcl.models.variables import Owned


def _weights(*values):
    return [
        Owned.of(f"layer_{place}/kernel", keras.Variable(value))
        for place, value in enumerate(values)
    ]


def test_the_sum_is_that_of_the_squares_by_importance():
    springs = QuadraticPenalty(_weights([1.0, 2.0], [[3.0]]))
    assert float(springs()) == 0.0
    springs.importance[0].assign([0.5, 2.0])
    springs.importance[1].assign([[10.0]])
    assert float(springs()) == 0.5 * 1 + 2 * 4 + 10 * 9
    assert springs.means() == {"layer_0/kernel": 1.25, "layer_1/kernel": 10.0}
    springs.move_anchor()
    assert float(springs()) == 0.0
    springs.weights[1].variable.assign([[4.0]])
    assert float(springs()) == 10.0


def test_what_holds_a_weight_grows_with_it():
    weights = _weights(np.zeros((2, 3)), np.zeros(3))
    springs = QuadraticPenalty(weights)
    sums = springs.zeros("sums")
    assert [v.shape for v in sums] == [(2, 3), (3,)]
    found = springs.widening([weights[1].variable], sums)
    wanted = [springs.importance[1], springs.anchor[1], sums[1]]
    assert all(a is b for a, b in zip(found, wanted, strict=True))
    assert not springs.widening([])
