"""Two logical CPUs in every test process, for distribution strategies."""

import ctypes
import gc
import logging
import os
import sys
import threading

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow's own allocator keeps all memory that it has ever had, which a
# process of a thousand networks cannot afford.
os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1")

from tfcl import keras_state  # noqa: E402

keras_state.claim()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from tfcl.engine.traces import forget_custom_gradients  # noqa: E402
from tfcl.engine.watching.display import THREAD  # noqa: E402
from tfcl.testing import two_cpus  # noqa: E402

keras_state.pin()

two_cpus()

# Toy networks gain nothing from threads, and two test processes share the
# machine.
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)


@pytest.fixture(autouse=True)
def _plain_log():
    """What a test hears of the log does not depend on the tests before it."""
    logging.getLogger("absl").setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def _closed_runs():
    """A run that a test leaves open would tell of itself in those after it."""
    before = threading.enumerate()
    yield
    left = [t for t in threading.enumerate() if t.name == THREAD]
    assert set(left) <= set(before), "a run is begun and not closed"


@pytest.fixture(autouse=True)
def _freed_graphs():
    """Frees the graphs of a test when it ends."""
    yield
    if forget_custom_gradients():
        gc.collect()


@pytest.fixture(scope="module", autouse=True)
def _swept_memory(request):
    """Frees what the last file has left, sets aside what stays.

    Python would look through what stays again and again. What a file keeps for
    its tests by `functools.cache`, networks above all, goes with it.
    """
    keras.backend.clear_session(free_memory=False)
    gc.collect()
    gc.freeze()
    if sys.platform == "linux":
        # The C library keeps what is freed between what is not.
        ctypes.CDLL(None).malloc_trim(0)
    yield
    for value in vars(request.module).values():
        # Not what it imports, such as the one strategy of the process.
        own = getattr(value, "__module__", None) == request.module.__name__
        if own and hasattr(type(value), "cache_clear"):
            value.cache_clear()
