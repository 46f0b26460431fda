"""The start values of PyTorch's linear layers."""

import keras


@keras.saving.register_keras_serializable(package="tfcl")
class FanInUniform(keras.initializers.Initializer):
    """Uniform within `1 / sqrt(fan-in)`, for kernels and biases.

    Args:
        fan_in: Values that a unit receives. None reads it off the shape of a
            dense kernel, `(fan-in, units)`.
        seed: As for Keras' initializers.

    Raises:
        ValueError: When it draws a bias, and `fan_in` is None.

    Reference:
        `torch.nn.Linear.reset_parameters`.
    """

    def __init__(self, fan_in=None, seed=None):
        self.fan_in = fan_in
        self.seed = seed

    def __call__(self, shape, dtype=None):
        fan_in = self.fan_in
        if fan_in is None:
            if len(shape) != 2:
                raise ValueError(
                    "Argument `fan_in` must be given for all but the kernels "
                    f"of dense layers. Received: fan_in=None, shape={shape}"
                )
            fan_in = shape[0]
        limit = fan_in**-0.5
        draw = keras.initializers.RandomUniform(-limit, limit, self.seed)
        return draw(shape, dtype=dtype)

    def get_config(self):
        return {"fan_in": self.fan_in, "seed": self.seed}
