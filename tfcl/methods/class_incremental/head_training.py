"""How a class-incremental method trains a new task's head."""

from __future__ import annotations

import typing

import gin

from tfcl.arguments import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    checked,
    require,
)
from tfcl.methods.training_options import TrainingOptions
from tfcl.methods.work import Phase
from tfcl.optimizers.given_optimizer import OptimizerLike
from tfcl.optimizers.schedules import Scaled, ScheduleLike
from tfcl.optimizers.sgd_momentum import SGDMomentum

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tfcl.methods.base import Batch, Update


@gin.configurable
class HeadTraining(TrainingOptions):
    """Stage 1 of a class-incremental method: the new head, and the backbone.

    Args:
        optimizer: Function without arguments to a Keras optimizer, a name of
            Keras such as "adam", or a `keras.optimizers.Optimizer`; see
            `TrainingOptions`.
        schedule: Of the head's rate, or a number. None takes the rate that
            the optimizer is made with, constant: 0.01 for the default one.
        epochs: Per task.
        backbone_rate: Rate of the backbone over that of the head; 0 freezes
            it.
        pretrained: True starts from the backbone's weights, False draws new
            ones by its initializers; a frozen one keeps its own.
        virtual_batch: Examples whose gradients are gathered into one step of
            the optimizer, a multiple of the batch size; None for each batch.
            Keys move batch by batch.
        weight_decay: L2 of all that is trained, also in the alignment.
        augmentation: Random changes of the images, one after another
            (`tfcl.data.augmentation`).
        validate_every: Epochs between validations, which steer nothing; 0
            for the last one alone.

    Raises:
        ValueError: If an argument is out of range.
    """

    @checked
    def __init__(
        self,
        optimizer: OptimizerLike = SGDMomentum,
        schedule: ScheduleLike | None = None,
        epochs: PositiveInt = 20,
        backbone_rate: NonNegativeFloat = 0.0,
        pretrained: bool = True,
        virtual_batch: PositiveInt | None = None,
        weight_decay: float = 5e-4,
        augmentation: list | tuple = (),
        validate_every: NonNegativeInt = 1,
    ):
        super().__init__(optimizer, schedule, weight_decay, augmentation)
        self.epochs = epochs
        self.backbone_rate = backbone_rate
        self.pretrained = pretrained
        self.virtual_batch = virtual_batch
        self.validate_every = validate_every

    @property
    def trains_backbone(self) -> bool:
        """Whether the backbone learns."""
        return self.backbone_rate > 0

    def phase(self, step: Callable[[Batch], Update]) -> Phase:
        """The `Phase` of a task's training."""
        return Phase(
            "heads",
            self.epochs,
            self.rates(),
            steps=(step,),
            validate_every=self.validate_every,
        )

    def rates(self) -> dict[str, Any]:
        """Schedules of the optimizers "main" and, if any, "backbone"."""
        if not self.trains_backbone:
            return {"main": self.schedule}
        slow = Scaled(self.schedule, self.backbone_rate)
        return {"main": self.schedule, "backbone": slow}

    def batches_at_once(self, batch_size: int) -> int:
        """Batches of a virtual batch.

        Raises:
            ValueError: If it is no whole number.
        """
        size = self.virtual_batch or batch_size
        require(
            size % batch_size == 0,
            "virtual_batch",
            f"must be a multiple of the batch size, {batch_size}",
            self.virtual_batch,
        )
        return size // batch_size
