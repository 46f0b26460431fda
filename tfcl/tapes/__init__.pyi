# The public names, read by `__init__.py` and by type checkers.
from .importance import mean_over_elements as mean_over_elements
from .importance import score as score
from .soft_mask_gradient_tape import (
    SoftMaskGradientTape as SoftMaskGradientTape,
)
