"""Training of networks whose weights belong to tasks, in seconds."""

import functools

from tfcl.models.backbones.cpg_vgg import cpg_vgg
from tfcl.optimizers.sgd_nesterov import SGDNesterov
from tfcl.testing import tiny_training

BACKBONE = functools.partial(
    cpg_vgg, layers=(6, "M", 8, "M"), hidden_units=(12,)
)


def masked_training(epochs=8, rate=0.02, **kwargs):
    """A `TaskTraining` with the settings of CPG's line."""
    settings = {
        "backbone": BACKBONE,
        "hidden_units": (),
        "dropout": 0.0,
        "optimizer": SGDNesterov,
        "head_bias": 0.0,
        "drop_remainder": False,
        "weight_decay": 4e-5,
    }
    return tiny_training(epochs, rate, **{**settings, **kwargs})
