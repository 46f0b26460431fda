"""One network for all tasks, trained on one task after another."""

import gin

from tfcl.methods.network_method import NetworkMethod


@gin.configurable
class FineTuning(NetworkMethod):
    """SNN: one network with one head, which goes on training on each task.

    The lower reference: nothing protects what was learned.

    Args:
        training: `TaskTraining`.

    Raises:
        ValueError: At set-up, if tasks differ in their number of classes.
    """

    decays_weights = True

    def __init__(self, training=gin.REQUIRED):
        super().__init__(training)

    def setup(self, spec, seed):
        if len(set(spec.class_counts)) > 1:
            raise ValueError(
                "FineTuning has one head for all tasks, so every task needs "
                "the same number of classes. Received: class counts "
                f"{spec.class_counts}. Use HPS with a configuration of ones "
                "for a shared trunk with a head per task."
            )
        super().setup(spec, seed)

    def divide(self, network):
        columns = f"{network.head.name}/columns"
        self.shared = network.trunk_variables + [
            v for v in network.head_variables if v.name != columns
        ]
        self.slot = [v for v in network.head_variables if v.name == columns]
