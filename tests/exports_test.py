"""What `from tfcl.layers import ...` and its like give."""

import ast
import importlib
import inspect
import pathlib
import subprocess
import sys

import keras
import pytest

import tfcl
from tfcl.methods import Method

_ROOT = pathlib.Path(tfcl.__file__).parent
FLOORS = (
    "data",
    "learner",
    "layers",
    "methods",
    "metrics",
    "models",
    "optimizers",
    "replay",
    "tapes",
    "testing",
)


@pytest.mark.parametrize("floor", FLOORS)
def test_every_exported_name_is_there(floor):
    package = importlib.import_module(f"tfcl.{floor}")
    assert package.__all__
    for name in package.__all__:
        # Not the module of that name, which a package would give as well.
        assert not inspect.ismodule(getattr(package, name)), name
        assert getattr(package, name).__doc__, name


@pytest.mark.parametrize(
    "floor, base",
    [("layers", keras.layers.Layer), ("methods", Method)],
)
def test_every_public_class_is_exported(floor, base):
    exported = set(importlib.import_module(f"tfcl.{floor}").__all__)
    internal = {
        # Parts of exported layers, no use alone.
        "BankedLayer",
        "SavesAllVariables",
        "SwitchedLayer",
        "Unpack",
    }
    classes = {
        node.name
        for path in (_ROOT / floor).rglob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        if issubclass(_class(path, node.name), base)
    }
    assert len(classes) > 20
    assert classes - exported - internal == set()


def test_packages_load_what_is_asked_for_and_tensorflow_only_then():
    program = (
        "import sys, tfcl\n"
        "tfcl.methods, tfcl.layers, tfcl.models, tfcl.data\n"
        "assert 'tensorflow' not in sys.modules\n"
        "assert 'keras' not in sys.modules\n"
        "from tfcl.metrics import average_accuracy\n"
        "assert 'tensorflow' not in sys.modules\n"
        "assert tfcl.layers.MaskedConv2D.__name__ == 'MaskedConv2D'\n"
        "assert 'tensorflow' in sys.modules\n"
        "assert 'tfcl.layers.memory.memory_dense' not in sys.modules\n"
    )
    subprocess.run(
        [sys.executable, "-c", program], check=True, cwd=_ROOT.parent
    )


def _class(path, name):
    parts = path.relative_to(_ROOT.parent).with_suffix("").parts
    return getattr(importlib.import_module(".".join(parts)), name)
