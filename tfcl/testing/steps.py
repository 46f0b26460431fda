"""Steps of a method without a run around it."""

from __future__ import annotations

import functools
import typing

import numpy as np
import tensorflow as tf

from tfcl.engine.steps import StepRunner
from tfcl.methods.work import Decision, Validate

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.methods.base import Method
    from tfcl.methods.work import Phases
    from tfcl.types import Shape


def two_cpus() -> None:
    """Makes two logical CPUs, for tests on two replicas.

    Call it in `conftest.py`, before TensorFlow is used.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )


@functools.cache
def two_replicas() -> tf.distribute.Strategy:
    """A `MirroredStrategy` over two logical CPUs, one for the process.

    A second one would number its collective operations like the first.

    Raises:
        RuntimeError: If there are no two logical CPUs.
    """
    devices = tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        raise RuntimeError(
            "Two replicas need two logical CPUs, of which there is one. Call "
            "tfcl.testing.two_cpus() in conftest.py, or give "
            "replicated=False."
        )
    return tf.distribute.MirroredStrategy([d.name for d in devices[:2]])


def runner_for(
    method: Method,
    image_shape: Shape,
    dtype: Any = np.uint8,
    strategy: tf.distribute.Strategy | None = None,
    **kwargs: Any,
) -> StepRunner:
    """A `StepRunner` for a method that is set up.

    Args:
        method: `Method`.
        image_shape: `(height, width, channels)`.
        dtype: Of the stored pixels.
        strategy: Defaults to the one in whose scope it is called.
        kwargs: Other arguments of `StepRunner`.
    """
    strategy = strategy or tf.distribute.get_strategy()
    return StepRunner(method, strategy, image_shape, dtype, **kwargs)


def first_training(phases: Phases) -> Any:
    """The first training (`Phase` or `Scan`); questions are answered."""
    phase = next(phases)
    while isinstance(phase, Decision | Validate):
        answer: dict[str, Any] = {
            "validation/loss": 1.0,
            "validation/accuracy": 0.0,
        }
        if isinstance(phase, Decision):
            answer = {"value": phase.decide()}
        phase = phases.send(answer)
    return phase
