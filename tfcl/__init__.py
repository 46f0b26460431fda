"""Continual learning for TensorFlow 2 / Keras 3."""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submodules=(
        "data",
        "layers",
        "methods",
        "metrics",
        "models",
        "optimizers",
        "replay",
        "tapes",
        "testing",
    ),
    submod_attrs={"learner": ["Learner", "Task"]},
)
