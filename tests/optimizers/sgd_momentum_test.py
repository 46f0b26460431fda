"""Momentum whose velocity knows nothing of the rate."""

import keras
import numpy as np

from tfcl.optimizers.sgd_momentum import SGDMomentum


def test_the_rate_stays_outside_the_velocity():
    variable = keras.Variable([1.0, 2.0])
    optimizer = SGDMomentum(0.1, momentum=0.5)
    optimizer.build([variable])
    optimizer.apply([np.float32([1.0, -2.0])], [variable])
    np.testing.assert_allclose(variable, [0.9, 2.2], rtol=1e-6)
    optimizer.learning_rate.assign(0.01)
    optimizer.apply([np.float32([0.0, 1.0])], [variable])
    # Velocities 0.5 and 0; with the rate inside, the first were 0.05.
    np.testing.assert_allclose(variable, [0.895, 2.2], rtol=1e-6)
