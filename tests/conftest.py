"""Two logical CPUs in every test process, for distribution strategies."""

import gc
import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf  # noqa: E402

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)

# Toy networks gain nothing from threads, and two test processes share the
# machine.
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)


@pytest.fixture(scope="module", autouse=True)
def _swept_memory():
    """Frees what the last file has left, sets aside what stays.

    TensorFlow keeps graphs for good; Python would look through all of them
    again and again.
    """
    gc.collect()
    gc.freeze()
