"""What the arguments of CPG must fulfil together."""

from __future__ import annotations

import inspect
import typing

from tfcl.arguments import require

if typing.TYPE_CHECKING:
    from tfcl.methods.cpg.cpg_phases import PickAgain
    from tfcl.methods.task_training import TaskTraining


def check_growth(training: TaskTraining, max_width: float) -> None:
    """Raises ValueError if a network cannot grow in this way."""
    require(
        max_width == 1 or _takes_width(training.make_backbone),
        "max_width",
        "must be 1 for a backbone that takes no `width` (such as "
        "keras_application), since it cannot grow; cpg_vgg, cpg_resnet, "
        "lasem_cnn and spherenet can",
        max_width,
    )


def _takes_width(backbone):
    parameters = inspect.signature(backbone).parameters
    return "width" in parameters or any(
        each.kind is each.VAR_KEYWORD for each in parameters.values()
    )


def check_picking(
    training: TaskTraining,
    picks: bool,
    picking_epochs: int | None,
    pick_again: PickAgain | None,
) -> None:
    """Raises ValueError if what is said of picking contradicts itself."""
    require(
        picks or pick_again is None,
        "pick_again",
        "must be None for methods that do not pick",
        pick_again,
    )
    require(
        picking_epochs is None or training.stop is None,
        "picking_epochs",
        "must be None if TaskTraining.stop may end the training at any epoch",
        picking_epochs,
    )
