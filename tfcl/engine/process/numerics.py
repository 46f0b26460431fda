"""What of a process touches the numbers that a run comes to.

Every parameter that says how a run is made, and not what is learned, is in one
of three lists. What is in none of them belongs to what is learned.
"""

from __future__ import annotations

import ast
import importlib.metadata
import os
import typing

import tensorflow as tf
from absl import logging

from tfcl import keras_state
from tfcl.engine.evaluator import EvaluationPolicy
from tfcl.engine.runtime import Runtime
from tfcl.errors import UserError

if typing.TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping
    from typing import Any

    from tfcl.engine.storage.journal import Journal


# Bindings that touch no number: when is saved, what is shown, what is done at
# a step that is never applied.
HARMLESS = (
    "CheckpointPolicy",
    "MemoryLimits",
    "MlflowLogger",
    "WandbLogger",
    "EvaluationPolicy.record_peak",
    "EvaluationPolicy.task_agnostic",
    "Experiment.exports",
    "Experiment.graphs",
    "Experiment.loggers",
    "Experiment.on_nonfinite",
    "Runtime.cpu_devices",  # The replicas that come of it are noted.
    "Runtime.memory_growth",
    "Runtime.window",
    "Runtime.workers_timeout",
)
PRECISION = "Runtime.precision"
# Bindings that touch the last digits: sums in another order. Where a
# validation decides, that may become another network.
ROUNDING = (
    "EvaluationPolicy.batch_size",
    "Runtime.deterministic",
    "Runtime.threads",
    "Runtime.xla",
)
_REPLICAS = "replicas"
# Variables of the environment by which TensorFlow chooses its kernels.
_VARIABLES = (
    "NVIDIA_TF32_OVERRIDE",
    "TF_CUDNN_DETERMINISTIC",
    "TF_DETERMINISTIC_OPS",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
)
# Of the machine, so they may differ; said, and recorded.
_THREADS, _VERSIONS = "threads of this machine", ("keras", "tensorflow")
_MACHINE = (_THREADS, *_VERSIONS)


def numerics(
    runtime: Runtime, evaluation: EvaluationPolicy, replicas: int
) -> dict[str, Any]:
    """The settings of this process that touch numbers, JSON-ready.

    Bindings have their names, settings of Keras "keras." before theirs.
    Variables of the environment are left out where they are not set.
    """
    found = _bound(runtime, evaluation)
    threads = tf.config.threading.get_intra_op_parallelism_threads()
    return {
        **found,
        _REPLICAS: replicas,
        **{f"keras.{n}": v for n, v in keras_state.found().items()},
        **{name: os.environ[name] for name in _VARIABLES if name in os.environ},
        _THREADS: threads or _cores(),
        **{name: importlib.metadata.version(name) for name in _VERSIONS},
    }


def shared(found: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `numerics` that are no machine's own."""
    return {name: v for name, v in found.items() if name not in _MACHINE}


def _cores():
    """Those that this process may use, which is what TensorFlow asks."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _bound(runtime, evaluation):
    parts = {"Runtime": runtime, "EvaluationPolicy": evaluation}
    names = (name.split(".") for name in (PRECISION, *ROUNDING))
    return {f"{part}.{n}": getattr(parts[part], n) for part, n in names}


def continue_with(
    journal: Journal,
    now: Mapping[str, Any],
    allowed: bool,
    model_dir: str | pathlib.Path,
) -> None:
    """Notes with what numerics a run goes on, and for which task.

    Args:
        journal: Of the run.
        now: `numerics` of this process.
        allowed: Others than before are taken.
        model_dir: Folder of the run.

    Raises:
        UserError: If they are others and not allowed.
    """
    begun = bool(journal.visits) or journal.position is not None
    old = (journal.numerics or _of_bindings(journal.bindings)) if begun else {}
    changed = {
        name: f"{name}: {old.get(name)!r} -> {now.get(name)!r}"
        for name in {**old, **now}
        # What an older version did not note is not known.
        if name in old or (journal.numerics and name in _VARIABLES)
        if old.get(name) != now.get(name)
    }
    refused = [told for name, told in changed.items() if name not in _MACHINE]
    if refused and not allowed:
        raise UserError(
            f"--model_dir {model_dir} has learned with other settings that "
            f"touch its numbers: {'; '.join(refused)}. Use the old values, or "
            "another --model_dir; or give --allow_other_numerics, and "
            "results.json tells which task was learned with which."
        )
    if changed:
        logging.warning(
            "The run goes on with other settings than before, so its numbers "
            "are not those of one run: %s.",
            "; ".join(changed.values()),
        )
    journal.numerics = dict(now)
    if journal.position is not None:
        journal.position.note_numerics(journal.numerics)


def _of_bindings(bindings):
    """Of a run that noted none: what was bound, and else the defaults."""
    if not bindings:
        return {}
    found = _bound(Runtime(), EvaluationPolicy())
    bound = {n: ast.literal_eval(bindings[n]) for n in found if n in bindings}
    return {**found, **bound}
