"""Without the packages of an extra, commands say in one line which it is."""

import os
import pathlib
import re
import subprocess
import sys
import types

import pytest

import tfcl
from tfcl.engine.serving.onnx_file import require_converter
from tfcl.errors import UserError, installing

_ROOT = pathlib.Path(__file__).resolve().parents[1]
# As where the package is not installed.
_WITHOUT = """
import runpy, sys
sys.modules[sys.argv[1]] = None
sys.argv = sys.argv[2:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def _without(package, *words):
    """`python -m` of the words, where a package is not installed."""
    return subprocess.run(
        [sys.executable, "-c", _WITHOUT, package, *words],
        capture_output=True,
        text=True,
        cwd=_ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def _told(ended):
    assert "Traceback" not in ended.stderr
    (line,) = re.findall(r"^tfcl: .*$", ended.stderr, re.M)
    return line


@pytest.mark.parametrize(
    "words",
    [
        ("tfcl", "search", "--range=SEED=0:1"),
        ("tfcl.search", "--help"),
    ],
    ids=" ".join,
)
def test_a_search_needs_optuna(words):
    ended = _without("optuna", *words)
    assert ended.returncode == 2
    assert _told(ended) == (
        "tfcl: error: tfcl.search needs the Python package 'optuna'. Install "
        "it: pip install 'tfcl[search]'"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("build", "digits"),
        ("train", "--stream=digits_5", "--method=ewc"),
    ],
    ids=" ".join,
)
def test_digits_need_scikit_learn(words, tmp_path):
    command, *words = words
    place = [f"--data_dir={tmp_path / 'data'}"]
    if command == "train":
        place.append(f"--model_dir={tmp_path / 'run'}")
    ended = _without("sklearn", f"tfcl.{command}", *words, *place)
    assert ended.returncode == 2
    told = _told(ended)
    assert "'digits'" in told and "package 'sklearn'" in told
    assert "pip install 'tfcl[demo]'" in told
    assert not list((tmp_path / "data").rglob("*.tfrecord*"))


def test_digits_need_scikit_learn_in_python_too(tmp_path, monkeypatch):
    for name in [n for n in sys.modules if n.partition(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    learner = tfcl.Learner(
        tmp_path / "run",
        tfcl.methods.EWC(tfcl.testing.tiny_training()),
        image_size=8,
        data_dir=tmp_path / "data",
    )
    with pytest.raises(UserError, match=r"pip install 'tfcl\[demo\]'"):
        learner.learn(tfcl.Task("digits", train="digits"))
    assert learner.tasks == []


@pytest.mark.parametrize(
    "logger, package", [("WandbLogger", "wandb"), ("MlflowLogger", "mlflow")]
)
def test_a_logger_needs_its_package(logger, package, tmp_path):
    folder = tmp_path / "run"
    ended = _without(
        package,
        *("tfcl.train", "--stream=digits_5", "--method=ewc"),
        f"--gin_bindings=Experiment.loggers = (@{logger}(),)",
        *(f"--data_dir={tmp_path / 'data'}", f"--model_dir={folder}"),
    )
    assert ended.returncode == 2
    assert _told(ended) == (
        f"tfcl: error: {logger} needs the Python package '{package}'. Install "
        f"it: pip install 'tfcl[{package}]'"
    )
    assert not folder.exists()


@pytest.mark.parametrize("package", ["onnx", "tf2onnx"])
def test_onnx_files_need_their_converter(package, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", types.ModuleType("onnx"))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError) as caught:
        require_converter()
    told = f"--format=onnx needs the Python package '{package}'"
    assert told in str(caught.value)
    assert "pip install 'tfcl[onnx]'" in str(caught.value)


def test_an_imported_search_raises(tmp_path):
    program = (
        "import sys\n"
        "sys.modules['optuna'] = None\n"
        "from tfcl.errors import UserError\n"
        "try:\n"
        "    import tfcl.search\n"
        "except UserError as error:\n"
        "    print(error)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        cwd=_ROOT,
    )
    assert "pip install 'tfcl[search]'" in ended.stdout


def test_extras_are_those_of_the_project():
    project = (_ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for module, package in (
        ("optuna", "optuna"),
        ("sklearn.datasets", "scikit-learn"),
        ("wandb", "wandb"),
        ("mlflow", "mlflow-skinny"),
        ("tf2onnx", "tf2onnx"),
    ):
        words = installing(ModuleNotFoundError(name=module))
        extra = re.fullmatch(r"pip install 'tfcl\[(\w+)\]'", words)[1]
        assert re.search(rf'^{extra} = \[.*\s*"{package}>', project, re.M)
    other = ModuleNotFoundError(name="pydub.effects")
    assert installing(other) == "pip install pydub"
