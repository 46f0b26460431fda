"""New heads on a backbone that never changes again."""

import gin

from tfcl.methods.base import trainable
from tfcl.methods.network_method import NetworkMethod


@gin.configurable
class FrozenBackbone(NetworkMethod):
    """A backbone trained on the first task (or pretrained), then frozen.

    Every task trains its own head. The reference for methods that adapt the
    backbone; forgetting is zero.

    Args:
        training: `TaskTraining`; with `pretrained=True` the backbone is frozen
            from the start (a linear probe).
        tensor_norms: Optional `TensorNorms`: a penalty on the head.
    """

    def __init__(self, training=gin.REQUIRED, tensor_norms=None):
        super().__init__(training)
        self.tensor_norms = tensor_norms

    def divide(self, network):
        self.shared = network.backbone_variables
        self.slot = network.head_variables

    def phases(self, task):
        phase = self.training.phase()
        # All that was learned, this task too, depends on the backbone.
        if task.earlier or self.seen_again or self.training.pretrained:
            phase.steps = (self.head_step,)
        yield phase

    def head_step(self, batch):
        """Like `train_step`, but only the head learns."""
        return self.step_of(trainable(self.slot), batch, training=False)
