"""`tfcl.Learner` and `tfcl.Task`: runs for programs and notebooks."""

import lazy_loader

from tfcl import keras_state

keras_state.refuse_other_backend()

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
