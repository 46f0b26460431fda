"""One network for all tasks, trained on one task after another."""

from __future__ import annotations

import gin

from tfcl.methods.shared_backbone import ONE, SharedBackboneMethod


@gin.configurable
class FineTuning(SharedBackboneMethod):
    """One network, which goes on training on each task.

    The lower reference: nothing protects what was learned.

    Args:
        training: `TaskTraining`.
        heads: As of `SharedBackboneMethod`; "per_task" shares the backbone
            only (naive continual learning, NCL). None gives one head also to
            tasks that are known at test (SNN of the LASEM line).
        **options: Arguments of `TaskTraining`, in place of `training`.

    Raises:
        ValueError: As of `SharedBackboneMethod`.
    """

    decays_weights = True
    begins_plain = True
    heads_of_known_tasks = ONE
