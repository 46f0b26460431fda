"""Settings of Keras from outside: commands pin them, the library refuses.

Every test that starts a process costs an import of TensorFlow.
"""

import ast
import json
import os
import pathlib
import subprocess
import sys

import keras
import pytest

from tests.testing import toy_run
from tfcl import keras_state
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.errors import UserError

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_HOSTILE = {
    "floatx": "float16",
    "epsilon": 1e-3,
    "backend": "torch",
    "image_data_format": "channels_first",
}
_ENVIRONMENT = {
    "KERAS_BACKEND": "numpy",
    "TF_USE_LEGACY_KERAS": "1",
    "KERAS_MAX_EPOCHS": "many",
    "KERAS_NNX_ENABLED": "1",
    "PYTHONIOENCODING": "ascii",  # The final table is written all the same.
}
# What a command's process has come to.
_SHOW = """
import json
import tfcl.search
import keras
from tfcl import keras_state
print(json.dumps([keras_state.found(), keras.config.dtype_policy().name]))
"""
_COMMANDS = ("train", "evaluate", "predict", "export", "goals", "search")
_COMMANDS += ("compare", "build")


def _started(code, home, settings, environment=()):
    home.mkdir()
    text = settings if isinstance(settings, str) else json.dumps(settings)
    (home / "keras.json").write_text(text)
    clean = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("KERAS_") and key != "TF_USE_LEGACY_KERAS"
    }
    return subprocess.run(
        [sys.executable, *code],
        cwd=_ROOT,
        env={**clean, "KERAS_HOME": str(home), **dict(environment)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_command_pins_what_it_needs_whatever_is_set_outside(tmp_path):
    ended = _started(["-c", _SHOW], tmp_path / "k", _HOSTILE, _ENVIRONMENT)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == [keras_state.NEEDED, "float32"]


@pytest.mark.parametrize("name", _COMMANDS)
def test_every_command_pins_before_it_imports_what_may_load_keras(name):
    path = _ROOT / "tfcl" / f"{name}.py"
    names = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{each.name}" for each in node.names]
    before = names[: names.index("tfcl.commands")]
    for package in ("tfcl", "keras", "tensorflow", "tensorboard"):
        assert package not in {each.partition(".")[0] for each in before}


def test_training_is_the_same_on_a_machine_set_to_channels_first(tmp_path):
    found = []
    for name, settings, environment in (
        ("usual", {}, {}),
        ("hostile", _HOSTILE, _ENVIRONMENT),
    ):
        ended = _started(
            [
                *("-m", "tfcl.train", "--gin_file=gin/lasem_digits.gin"),
                f"--model_dir={tmp_path / name}",
                f"--data_dir={tmp_path / 'data'}",
                "--gin_bindings=EPOCHS = 1",
                "--gin_bindings=class_split_stream.num_tasks = 1",
                "--gin_bindings=Experiment.exports = False",
            ],
            tmp_path / f"keras_{name}",
            settings,
            environment,
        )
        assert ended.returncode == 0, ended.stderr
        found.append(json.loads((tmp_path / name / "results.json").read_text()))
        assert "forgetting" in ended.stdout
    usual, hostile = found
    assert usual["loss_matrix"] == hostile["loss_matrix"]
    assert usual["tasks"][0]["footprint"] == hostile["tasks"][0]["footprint"]


def test_settings_that_keras_itself_refuses_end_in_one_line(tmp_path):
    ended = _started(
        ["-m", "tfcl.compare", "a"], tmp_path / "k", {"floatx": "int8"}
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("tfcl: error: Keras does not load with its settings")
    assert "floatx=int8" in line and "delete that file" in line


@pytest.mark.parametrize(
    "name, value",
    [("KERAS_BACKEND", "torch"), ("TF_USE_LEGACY_KERAS", "1")],
)
def test_a_program_on_another_backend_is_told_which_variable(
    tmp_path, name, value
):
    """TensorFlow is not loaded for that."""
    code = (
        "try:\n"
        "    import tfcl.layers\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
        "import sys, tfcl.metrics\n"
        "assert 'keras' not in sys.modules\n"
    )
    ended = _started(["-c", code], tmp_path / "k", {}, {name: value})
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"UserError {name}={value} in this process")
    assert f"Unset {name}." in ended.stdout


def test_a_program_whose_keras_json_names_a_backend_gets_tensorflow(tmp_path):
    code = (
        "import tfcl.layers, keras\n"
        "print(keras.config.backend())\n"
        "try:\n"
        "    from tfcl.models import lasem_cnn\n"
        "except Exception as error:\n"
        "    print(error)\n"
    )
    ended = _started(["-c", code], tmp_path / "k", _HOSTILE)
    assert ended.returncode == 0, ended.stderr
    backend, refused = ended.stdout.splitlines()
    assert backend == "tensorflow"
    assert "image_data_format() is 'channels_first'" in refused


@pytest.mark.parametrize(
    "name, other",
    [
        ("image_data_format", "channels_first"),
        ("floatx", "float64"),
        ("epsilon", 1e-3),
    ],
)
def test_a_run_in_a_program_with_other_settings_is_refused(
    tmp_path, name, other
):
    set_it = getattr(keras.config, f"set_{name}")
    try:
        set_it(other)
        with pytest.raises(UserError, match=rf"{name}\(\) is .*Call keras"):
            toy_run.open_run(tmp_path)
    finally:
        set_it(keras_state.NEEDED[name])
    assert not list(tmp_path.iterdir())


@pytest.fixture
def double():
    keras_state.choose_floatx("float64")
    yield
    keras_state.choose_floatx("float32")


def test_float64_on_purpose_is_recorded_and_asked_for_again(tmp_path, double):
    """Layers follow `Runtime.precision`, so that the toy learns as ever."""
    run = toy_run.learn(tmp_path, stream=toy_run.toy_stream((2,))).run
    assert run.journal.numerics["keras.floatx"] == "float64"
    LearnedTasks(tmp_path, toy_run.toy_hps())
    keras_state.choose_floatx("float32")
    with pytest.raises(UserError, match="choose_floatx.'float64'. before"):
        LearnedTasks(tmp_path, toy_run.toy_hps())
    with pytest.raises(UserError, match="keras.floatx: 'float64' -> 'float32'"):
        toy_run.learn(tmp_path, stream=toy_run.toy_stream((2,)))


def test_a_program_that_chose_float64_must_keep_to_it(tmp_path, double):
    keras.config.set_floatx("float32")
    with pytest.raises(UserError, match="floatx.. is 'float32'"):
        toy_run.open_run(tmp_path)


def test_the_way_out_of_float64_names_the_choice(tmp_path):
    keras.config.set_floatx("float64")
    try:
        with pytest.raises(UserError, match="choose_floatx.'float64'."):
            toy_run.open_run(tmp_path)
    finally:
        keras.config.set_floatx("float32")
    with pytest.raises(ValueError, match="'float32' or 'float64'"):
        keras_state.choose_floatx("float16")
