import keras
import numpy as np
import pytest

from tests.testing import golden
from tfcl.optimizers.rmsprop import RMSPropTF1
from tfcl.optimizers.schedules import Clock, InverseTimeDecay


def test_trajectory_equals_tensorflow_1():
    data = golden.load("lasem/rmsprop.npz")
    schedule = InverseTimeDecay(float(data["lr"]), float(data["lr_decay"]))
    variable = keras.Variable(data["w0"])
    optimizer = RMSPropTF1()
    optimizer.build([variable])
    for step, gradient in enumerate(data["grads"]):
        epoch = int(data["epoch"][step])
        rate = schedule(Clock(epoch=0, run_epoch=epoch, epochs=1))
        optimizer.learning_rate.assign(rate)
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        np.testing.assert_allclose(
            variable.numpy(), data["w"][step], rtol=1e-5, atol=1e-6
        )
        np.testing.assert_allclose(
            optimizer._mean_squares[0].numpy(), data["rms"][step], rtol=1e-5
        )


def test_first_step_is_shorter_than_keras():
    ours, keras_s = keras.Variable([0.0]), keras.Variable([0.0])
    gradient = [keras.ops.convert_to_tensor([0.1])]
    for optimizer, variable in (
        (RMSPropTF1(0.01), ours),
        (keras.optimizers.RMSprop(0.01), keras_s),
    ):
        optimizer.apply(gradient, [variable])
    assert abs(ours.numpy()[0]) < 0.5 * abs(keras_s.numpy()[0])


def test_survives_its_own_configuration():
    config = RMSPropTF1(0.5, rho=0.8, epsilon=1e-3).get_config()
    again = RMSPropTF1.from_config(config)
    assert (again.rho, again.epsilon) == (0.8, 1e-3)


@pytest.mark.parametrize("bad", [{"rho": 1.0}, {"epsilon": 0.0}])
def test_refuses_arguments_out_of_range(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        RMSPropTF1(**bad)
