"""What touches numbers is refused when a run goes on, or recorded by task."""

import inspect
import json
import types

import keras
import pytest

from tests.testing import toy_run
from tfcl.data.lazy_images import MemoryLimits
from tfcl.engine.evaluator import EvaluationPolicy
from tfcl.engine.experiment import Experiment
from tfcl.engine.process import numerics as settings
from tfcl.engine.process.numerics import continue_with, numerics
from tfcl.engine.runtime import Runtime
from tfcl.engine.storage.checkpoints import CheckpointPolicy
from tfcl.engine.storage.journal import Journal
from tfcl.engine.storage.position import Position
from tfcl.errors import UserError
from tfcl.learner import runs
from tfcl.reporting.loggers.mlflow_logger import MlflowLogger
from tfcl.reporting.loggers.wandb_logger import WandbLogger

_PRECISION = settings.PRECISION
_NOW = {
    _PRECISION: "float32",
    "Runtime.threads": 1,
    "Runtime.xla": False,
    "Runtime.deterministic": False,
    "EvaluationPolicy.batch_size": 250,
    "replicas": 1,
    "keras.backend": "tensorflow",
    "keras.image_data_format": "channels_last",
    "keras.floatx": "float32",
    "keras.epsilon": 1e-7,
    "threads of this machine": 8,
    "keras": "3.15.1",
    "tensorflow": "2.21.0",
}


def _journal(**changes):
    """Of a run in its first task."""
    position = Position(visit=0, task=0, fingerprint="f", numerics=[_NOW])
    journal = Journal(**{"position": position, "numerics": _NOW, **changes})
    return Journal.loads(journal.dumps())


def test_every_parameter_of_a_process_is_in_one_list():
    named = [*settings.HARMLESS, *settings.ROUNDING, _PRECISION]
    assert len(set(named)) == len(named)
    for part in (Runtime, EvaluationPolicy, CheckpointPolicy, MemoryLimits):
        for parameter in inspect.signature(part).parameters:
            places = {part.__name__, f"{part.__name__}.{parameter}"}
            assert len(places & set(named)) == 1, (part, parameter)
    for name in named:
        part, _, parameter = name.partition(".")
        owner = {
            "Experiment": Experiment,
            "Runtime": Runtime,
            "EvaluationPolicy": EvaluationPolicy,
            "CheckpointPolicy": CheckpointPolicy,
            "MemoryLimits": MemoryLimits,
            "MlflowLogger": MlflowLogger,
            "WandbLogger": WandbLogger,
        }[part]
        assert not parameter or parameter in inspect.signature(owner).parameters


@pytest.mark.parametrize(
    "name, value",
    [
        (_PRECISION, "mixed_bfloat16"),
        ("Runtime.threads", 2),
        ("Runtime.xla", True),
        ("Runtime.deterministic", True),
        ("EvaluationPolicy.batch_size", 100),
        ("replicas", 2),
        ("keras.image_data_format", "channels_first"),
        ("TF_ENABLE_ONEDNN_OPTS", "0"),
    ],
)
def test_what_touches_numbers_is_refused_on_resume_and_may_be_allowed(
    name, value
):
    journal, new = _journal(), {**_NOW, name: value}
    with pytest.raises(UserError) as error:
        continue_with(journal, new, False, "run")
    told = str(error.value)
    assert f"{name}: {_NOW.get(name)!r} -> {value!r}." in told
    assert "--model_dir run" in told and "--allow_other_numerics" in told
    assert journal.numerics == _NOW
    continue_with(journal, new, True, "run")
    assert journal.numerics == new
    assert journal.position.numerics == [_NOW, new]


def test_a_process_has_them_all(monkeypatch):
    for name in settings._VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert numerics(Runtime(), EvaluationPolicy(), 1).keys() == _NOW.keys()


@pytest.mark.parametrize(
    "name, value", [("threads of this machine", 4), ("tensorflow", "2.22.0")]
)
def test_another_machine_is_said_and_recorded_but_not_refused(
    caplog, name, value
):
    journal, new = _journal(), {**_NOW, name: value}
    continue_with(journal, new, False, "run")
    assert f"{name}: {_NOW[name]!r} -> {value!r}" in caplog.text
    assert journal.position.numerics == [_NOW, new]


def test_a_variable_that_is_no_longer_set_is_refused():
    new = {**_NOW, "TF_XLA_FLAGS": "--x"}
    with pytest.raises(UserError, match="TF_XLA_FLAGS: '--x' -> None"):
        continue_with(_journal(numerics=new), _NOW, False, "run")


def test_a_run_that_has_not_begun_takes_any():
    journal = Journal(bindings={_PRECISION: "'mixed_bfloat16'"})
    continue_with(journal, _NOW, False, "run")
    assert journal.numerics == _NOW


def test_an_older_run_is_held_to_what_was_bound_or_the_defaults():
    bound = {"Runtime.threads": "1"}
    continue_with(_journal(numerics={}, bindings=bound), _NOW, False, "run")
    for old in ({}, {_PRECISION: "'mixed_bfloat16'"}):
        journal = _journal(numerics={}, bindings={**bound, **old})
        other = {**_NOW, _PRECISION: "float32" if old else "mixed_bfloat16"}
        with pytest.raises(UserError, match="bfloat16"):
            continue_with(journal, other, False, "run")


@pytest.mark.parametrize("name", settings.ROUNDING + (_PRECISION,))
def test_bindings_leave_that_to_the_values(name):
    """A default that is written out is no change."""
    run = types.SimpleNamespace(
        resumed=True, journal=Journal(bindings={"A.b": "1"}), model_dir="run"
    )
    runs.refuse_other_bindings(run, {"A.b": "1", name: "0"})


def test_a_float32_run_does_not_go_on_in_bfloat16_unless_it_is_allowed(
    tmp_path,
):
    """And results.json tells of each task what it was learned with."""
    two, three = toy_run.toy_stream((2, 3)), toy_run.toy_stream((2, 3, 2))
    other = {"runtime": Runtime(precision="mixed_bfloat16")}
    with toy_run.no_figures():
        try:
            toy_run.learn(tmp_path, stream=two, texts={"config.gin": "old"})
            with pytest.raises(UserError, match=f"{_PRECISION}: 'float32' ->"):
                toy_run.learn(
                    tmp_path, stream=three, texts={"config.gin": "x"}, **other
                )
            assert (tmp_path / "config.gin").read_text() == "old"
            toy_run.learn(
                tmp_path, stream=three, allow_other_numerics=True, **other
            )
        finally:
            keras.config.set_dtype_policy("float32")
    results = json.loads((tmp_path / "results.json").read_text())
    learned = [[n[_PRECISION] for n in t["numerics"]] for t in results["tasks"]]
    assert learned == [["float32"], ["float32"], ["mixed_bfloat16"]]
    assert results["numerics"][_PRECISION] == "mixed_bfloat16"
    assert results["numerics"]["keras.image_data_format"] == "channels_last"
