"""Importance of parameters, against the published program."""

import numpy as np
import pytest
import tensorflow as tf

from tests.testing import golden
from tfcl.tapes.importance import mean_over_elements, score

_DATA = golden.load("spg/importance_pipeline.npz")
_CLOSE = {"f64": 1e-9, "f32": 5e-5}


def _raw(dtype, tensor, task):
    """g of every head after a task, `(tensors)`, heads in order."""
    prefix = f"raw.{tensor}.task{task}.head"
    keys = sorted(key for key in _DATA if key.startswith(prefix))
    return [_DATA[key].astype(dtype) for key in keys]


def _tensors():
    keys = [key for key in _DATA if key.startswith("f64.importance.")]
    return sorted({key.split(".", 2)[2].rpartition(".")[0] for key in keys})


def _tasks(kind):
    """Numbers of the tasks of which the file holds arrays of a kind."""
    keys = [key for key in _DATA if key.startswith(kind)]
    return sorted({int(key.rpartition("task")[2]) for key in keys})


@pytest.mark.parametrize("kind", _CLOSE)
def test_every_importance_and_its_running_maximum(kind):
    dtype = {"f64": np.float64, "f32": np.float32}[kind]
    for tensor in _tensors():
        most = None
        for task in _tasks(f"{kind}.importance."):
            heads = [score(g).numpy() for g in _raw(dtype, tensor, task)]
            assert len(heads) == task + 1 and heads[0].dtype == dtype
            importance = np.max(heads, axis=0)
            wanted = _DATA[f"{kind}.importance.{tensor}.task{task}"]
            np.testing.assert_allclose(importance, wanted, atol=_CLOSE[kind])
            most = importance if most is None else np.maximum(most, importance)
            wanted = _DATA[f"{kind}.amax.{tensor}.task{task + 1}"]
            np.testing.assert_allclose(most, wanted, atol=_CLOSE[kind])


@pytest.mark.parametrize("kind", _CLOSE)
def test_the_factor_of_the_head_counts_elements(kind):
    for task in _tasks(f"{kind}.amax."):
        rest = [1 - _DATA[f"{kind}.amax.{t}.task{task}"] for t in _tensors()]
        found = mean_over_elements(rest)
        wanted = _DATA[f"{kind}.head_factor.task{task}"]
        np.testing.assert_allclose(found, wanted, atol=_CLOSE[kind])


@pytest.mark.parametrize("kind", _CLOSE)
def test_special_vectors(kind):
    """Where the program divides by zero, the importance is 0."""
    names = {key.split(".")[1] for key in _DATA if key.startswith("edge.")}
    assert len(names) >= 5
    for name in names:
        wanted = np.nan_to_num(_DATA[f"{kind}.edge.{name}.out"])
        found = score(_DATA[f"edge.{name}.in"].astype(wanted.dtype))
        np.testing.assert_allclose(found, wanted, atol=_CLOSE[kind])


@pytest.mark.parametrize("value", [0.1, -3e7, 1e-30])
def test_equal_elements_have_none(value):
    # The float mean of these differs from them in its last bits.
    assert not np.any(score(tf.fill((7, 11), np.float32(value))))


@pytest.mark.parametrize("scale", [1e-25, 1e15])
def test_only_the_direction_counts(scale):
    gradient = np.random.default_rng(0).normal(size=(50,)).astype(np.float32)
    np.testing.assert_allclose(
        score(gradient * np.float32(scale)), score(gradient), atol=1e-6
    )
