"""Single-task learners: a network of its own for every task."""

import gin

from tfcl.layers.selective_conv2d import SHARED
from tfcl.methods.network_method import NetworkMethod, added
from tfcl.methods.static_transfer import selective_layers, selective_trunk


@gin.configurable
class Individual(NetworkMethod):
    """STL: every task trains a whole network, nothing is shared.

    The reference `S[j]` of the gain metrics; forgetting is zero.

    Args:
        training: `TaskTraining`.
        transfer: Mechanism that makes the kernels (`tfcl.methods.transfers`),
            for single-task forms like STL-DF-CNN: every task has a knowledge
            base of its own. None: plain kernels.
    """

    def __init__(self, training=gin.REQUIRED, transfer=None):
        super().__init__(training)
        self.transfer = transfer

    @property
    def name(self):
        if self.transfer is None:
            return super().name
        return f"STL-{self.transfer.name}"

    def make_trunk(self, spec):
        backbone = super().make_trunk(spec)
        if self.transfer is None:
            return backbone
        # What a shared layer shares is here the task's, like all else.
        return selective_trunk(backbone, self.transfer, lambda depth: SHARED)

    def divide(self, network):
        self.shared = []
        self.slot = network.trunk_variables + network.head_variables

    def penalty(self):
        mechanism = []
        if self.transfer is not None:
            layers = selective_layers(self._network.trunk)
            mechanism = self.transfer.penalties(layers)
        return added([super().penalty(), *mechanism])
