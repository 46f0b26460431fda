"""Single-task learners: a network of its own for every task."""

import gin

from tfcl.methods.network_method import NetworkMethod


@gin.configurable
class Individual(NetworkMethod):
    """STL: every task trains a whole network, nothing is shared.

    The reference `S[j]` of the gain metrics; forgetting is zero.

    Args:
        training: `TaskTraining`.
    """

    def __init__(self, training=gin.REQUIRED):
        super().__init__(training)

    def divide(self, network):
        self.shared = []
        self.slot = network.trunk_variables + network.head_variables
