"""Start kernels of one size and random signs."""

import math

import keras


@keras.saving.register_keras_serializable(package="tfcl")
class SignedConstant(keras.initializers.Initializer):
    """`+-sqrt(2 / (fan_in * share))`, each sign with probability 1/2.

    Args:
        share: Part of the kernel that will be used, in (0, 1].
        seed: Integer, None, or a `keras.random.SeedGenerator`.

    Reference:
        Ramanujan et al., "What's Hidden in a Randomly Weighted Neural
        Network?", CVPR 2020, sec. 3.2.
    """

    def __init__(self, share=1.0, seed=None):
        self.share = share
        self.seed = seed

    def __call__(self, shape, dtype=None):
        size = math.sqrt(2.0 / (math.prod(shape[:-1]) * self.share))
        draws = keras.random.uniform(shape, -1.0, 1.0, seed=self.seed)
        signs = keras.ops.where(draws < 0.0, -size, size)
        return keras.ops.cast(signs, dtype or draws.dtype)

    def get_config(self):
        return {"share": self.share, "seed": self.seed}
