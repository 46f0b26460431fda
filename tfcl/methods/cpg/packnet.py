"""PackNet: train what is free, prune at once, retrain what is left."""

from __future__ import annotations

import dataclasses
import typing
from typing import Annotated

import gin

from tfcl.arguments import NonNegativeInt, checked, within
from tfcl.methods.cpg.masked_network import MaskedNetwork
from tfcl.methods.task_training import training_of
from tfcl.methods.work import Validate
from tfcl.optimizers.magnitude_pruning import prune_at_once
from tfcl.optimizers.schedules import ScheduleLike, StepDecay, schedule_of

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.data.task import Task
    from tfcl.methods.task_training import TaskTraining
    from tfcl.methods.work import Phases


@gin.configurable
class PackNet(MaskedNetwork):
    """Packs tasks into one network, by pruning each to make room.

    For each task: train all free weights; free the smallest of them in every
    layer, at once; train those that are left. A task uses every weight of the
    tasks before it. Biases, norms and the head are its own, so that its logits
    keep their bits.

    With a share p pruned each time, task t keeps `(1 - p) p^(t - 1)` of every
    layer.

    Args:
        training: `TaskTraining` of the first training.
        pruned: p, share of the task's weights to free, in [0, 1). Weights
            that are free before count as pruned.
        retraining_schedule: Rate after pruning, a schedule or a number; None
            for 0.001, and a tenth of it after 25 epochs.
        retraining_epochs: Epochs after pruning; 0 leaves the retraining out.
        untrained: See `MaskedNetwork`; such a task is pruned and retrained
            alone.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Reference:
        Mallya, Lazebnik, "PackNet: Adding Multiple Tasks to a Single Network
        by Iterative Pruning", CVPR 2018, in the form of the baseline of Hung
        et al., NeurIPS 2019.
    """

    per_task = MaskedNetwork.per_task | frozenset(
        ("retraining_schedule", "retraining_epochs")
    )

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        pruned: Annotated[float, within("[0, 1)")] = 0.5,
        retraining_schedule: ScheduleLike | None = None,
        retraining_epochs: NonNegativeInt = 30,
        untrained: dict | None = None,
        **options: Any,
    ):
        training = training_of(training, options, type(self))
        super().__init__(training, untrained=untrained)
        if retraining_schedule is None:
            retraining_schedule = StepDecay(1e-3, (25,))
        self.pruned = pruned
        self.retraining_schedule = schedule_of(retraining_schedule)
        self.retraining_epochs = retraining_epochs

    def phases(self, task: Task) -> Phases:
        finetune = self.training.phase("finetune")
        if task.name in self.untrained:
            yield Validate("untrained")
        else:
            yield dataclasses.replace(finetune, steps=(self.steps.first,))
        self.prune(self.pruned)
        if not self.retraining_epochs:
            yield Validate("final")  # Of what is left.
            return
        self.reset_optimizers()
        yield dataclasses.replace(
            finetune,
            name="retrain",
            epochs=self.retraining_epochs,
            rates={"main": self.retraining_schedule},
            steps=(self.steps.first,),
        )

    def prune(self, share: float) -> None:
        """Frees the smallest weights of the task in training, and zeroes them.

        Args:
            share: Of the weights that it owns or that are free, per layer.
        """
        owners = prune_at_once(
            [layer.kernel for layer in self.masked],
            [layer.owner for layer in self.masked],
            self.masked[0].task,
            share,
        )
        for layer, owner in zip(self.masked, owners):
            layer.owner.assign(owner)
        self.zero_free()
