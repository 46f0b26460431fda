"""Threads, devices, precision and distribution of a process."""

from __future__ import annotations

import contextlib
from typing import Annotated

import gin
import keras
import tensorflow as tf
from absl import logging

from tfcl.arguments import (
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    checked,
    one_of,
)
from tfcl.engine.process.cluster import read_cluster
from tfcl.engine.resident import WINDOW
from tfcl.errors import UserError

DISTRIBUTIONS = ("none", "mirrored", "multi_worker")


@gin.configurable
class Runtime:
    """Switches of TensorFlow that must be set before anything else runs.

    Args:
        threads: Threads inside an operation; 0 lets TensorFlow decide. Runs
            are equal to the last bit for equal numbers of threads only.
        memory_growth: Take GPU memory as needed instead of all of it.
        precision: Keras dtype policy: "float32" or "mixed_bfloat16".
            "mixed_float16" needs loss scaling and is refused.
        xla: Compile every training loop by XLA. On a CPU convolutional nets
            become slower (measured 1.8x for LASEM, 15x for SPG).
        deterministic: `tf.config.experimental.enable_op_determinism`. On a
            CPU runs are repeatable without it.
        cpu_devices: Logical CPUs to split the processor into, to try a
            distribution strategy without GPUs.
        window: Bytes of decoded images that go to the device at a time, of
            splits beyond `MemoryLimits.task`, which are not held; a batch at
            least. Two windows are in memory, and twice that if the
            validation data are as large.
        workers_timeout: Seconds to wait for all workers of
            --distribution=multi_worker at the start.
    """

    @checked
    def __init__(
        self,
        threads: NonNegativeInt = 0,
        memory_growth: bool = True,
        precision: Annotated[
            str, one_of("float32", "mixed_bfloat16")
        ] = "float32",
        xla: bool = False,
        deterministic: bool = False,
        cpu_devices: PositiveInt = 1,
        workers_timeout: PositiveFloat = 600.0,
        window: PositiveInt = WINDOW,
    ):
        self.threads = threads
        self.memory_growth = memory_growth
        self.precision = precision
        self.xla = xla
        self.deterministic = deterministic
        self.cpu_devices = cpu_devices
        self.workers_timeout = workers_timeout
        self.window = window

    def apply(self) -> None:
        """Sets the switches of this process.

        Raises:
            UserError: If TensorFlow has computed something already, and a
                switch that must be set before has another position.
        """
        for which in ("intra", "inter"):
            name = f"{which}_op_parallelism_threads"
            now = getattr(tf.config.threading, f"get_{name}")()
            if self.threads not in (0, now):
                with _before_all_else("threads"):
                    getattr(tf.config.threading, f"set_{name}")(self.threads)
        if self.memory_growth:
            _let_memory_grow()
        if self.cpu_devices > 1:
            cpu = tf.config.list_physical_devices("CPU")[0]
            devices = tf.config.LogicalDeviceConfiguration()
            with _before_all_else("cpu_devices"):
                tf.config.set_logical_device_configuration(
                    cpu, [devices] * self.cpu_devices
                )
        if self.deterministic:
            tf.config.experimental.enable_op_determinism()
        keras.config.set_dtype_policy(self.precision)

    def strategy(self, distribution: str) -> tf.distribute.Strategy:
        """The `tf.distribute.Strategy` for a `--distribution` flag.

        Raises:
            UserError: If the name is unknown, or TF_CONFIG is missing or
                wrong.
        """
        if distribution == "none":
            return tf.distribute.get_strategy()
        if distribution == "mirrored":
            devices = tf.config.list_logical_devices("GPU")
            devices = devices or tf.config.list_logical_devices("CPU")
            return _mirrored(devices)
        if distribution == "multi_worker":
            if not read_cluster().is_alone:
                return tf.distribute.MultiWorkerMirroredStrategy()
            # TensorFlow's strategy for workers does not take a single one.
            devices = tf.config.list_logical_devices("GPU")
            if len(devices) > 1:
                return _mirrored(devices)
            return tf.distribute.get_strategy()
        raise UserError(
            f"--distribution must be one of {', '.join(DISTRIBUTIONS)}. "
            f"Received: {distribution!r}. Parameter servers are not offered."
        )


@contextlib.contextmanager
def _before_all_else(name):
    """TensorFlow sets nothing like that once it has begun."""
    try:
        yield
    except RuntimeError as error:
        raise UserError(
            f"Runtime.{name} must be set before TensorFlow computes anything, "
            "and in this process it has, a model may have been built. Call "
            f"tfcl.engine.runtime.Runtime({name}=...).apply() at the begin of "
            "the program."
        ) from error


def _let_memory_grow():
    """Of all GPUs; those that a program has begun to use stay as they are."""
    for device in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(device, True)
        except RuntimeError:
            logging.info("%s is in use: its memory is as it is.", device.name)


def _mirrored(devices):
    names = [device.name for device in devices]
    logging.info("Mirrored over %s", names)
    return tf.distribute.MirroredStrategy(names)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the files of the run."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    if resolver.task_type == "chief":
        return True
    has_chief = "chief" in resolver.cluster_spec().as_dict()
    return (
        resolver.task_type == "worker"
        and not has_chief
        and (resolver.task_id == 0)
    )
