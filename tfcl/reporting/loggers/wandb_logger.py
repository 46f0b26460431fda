"""Points of runs at Weights & Biases."""

from __future__ import annotations

import os
import typing
from typing import Annotated

import gin
import tensorflow as tf

from tfcl.arguments import checked, one_of
from tfcl.errors import missing_package
from tfcl.reporting.loggers.run_logger import LoggedRun, RunLogger

if typing.TYPE_CHECKING:
    from collections.abc import Mapping

    import wandb


# The horizontal axis: W&B's own counts calls, and drops what goes back.
_AXIS = "global_step"
_FINISH_SECONDS = 120.0  # Report and exports wait until all is sent.


@gin.configurable
class WandbLogger(RunLogger):
    """Shows a run at Weights & Biases; a run that goes on is the same there.

    `wandb login`, or WANDB_API_KEY, says who you are. The axis of all points
    is `global_step`, the steps of the run, so points that a killed run tells
    again come to lie on those that they repeat. W&B keeps its files, offline
    runs too, in `wandb/` of the run's folder, or in WANDB_DIR.

    Args:
        project: Name of the project.
        entity: User or team; None for that of your settings.
        mode: "online", "offline" (`wandb sync` sends the files later) or
            "disabled". None takes WANDB_MODE, and else "online".
    """

    @checked
    def __init__(
        self,
        project: str = "tfcl",
        entity: str | None = None,
        mode: Annotated[str, one_of("online", "offline", "disabled")]
        | None = None,
    ):
        self._project = project
        self._entity = entity
        self._mode: typing.Any = mode
        self._run: wandb.Run | None = None

    def load(self) -> None:
        try:
            import wandb  # noqa: F401
        except ImportError as error:
            raise missing_package("WandbLogger", error) from error

    def begin(self, told: LoggedRun) -> None:
        import wandb

        self._run = wandb.init(
            project=self._project,
            entity=self._entity,
            mode=self._mode,
            id=told.id,
            resume="allow",
            reinit="create_new",  # A program's own run goes on beside it.
            name=told.name,
            config=dict(told.settings),
            dir=os.environ.get("WANDB_DIR") or str(told.folder),
            # The terminal's last lines are ours.
            settings=wandb.Settings(
                console="off", finish_timeout=_FINISH_SECONDS
            ),
        )
        self._run.define_metric(_AXIS, hidden=True)
        self._run.define_metric("*", step_metric=_AXIS)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        self._log(values, step)

    def image(self, tag: str, png: bytes, step: int) -> None:
        import wandb

        pixels = tf.io.decode_png(png).numpy()
        self._log({tag: wandb.Image(pixels)}, step)

    def close(self, finished: bool) -> None:
        if self._run is not None:
            run, self._run = self._run, None
            run.finish(exit_code=0 if finished else 1)

    def _log(self, values, step):
        assert self._run is not None, "`begin` comes first"
        self._run.log({**values, _AXIS: step})
