"""docs/security.md, line by line: what may run code, and what may not."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

import gin
import keras
import numpy as np
import pytest

from tests.testing.folders import draw
from tests.testing.tables_of_tests import missing_tests, named_tests
from tfcl import configuration
from tfcl.data_builders.image_folders.image_file import BadImage, decode
from tfcl.engine.storage.start_files import StartFiles
from tfcl.errors import UserError
from tfcl.learner import runs

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_PAGE = "docs/security.md"
# Leaves a trace where it is run.
_TRACE = "import pathlib; pathlib.Path({!r}).write_text('run')\n"


@pytest.fixture(autouse=True)
def _no_bindings_left():
    yield
    gin.clear_config()


@pytest.fixture
def trace(tmp_path):
    return tmp_path / "trace"


@pytest.fixture
def module(tmp_path, trace):
    """A folder with a module that leaves a trace; the module's name."""
    folder = tmp_path / "run"
    folder.mkdir()
    name = f"planted_{os.getpid()}_{abs(hash(str(tmp_path)))}"
    (folder / f"{name}.py").write_text(_TRACE.format(str(trace)))
    (folder / "config.gin").write_text(f"import {name}\n")
    yield folder, name
    sys.modules.pop(name, None)


# The page


def test_every_line_names_a_test_that_exists():
    assert len(named_tests(_PAGE)) > 20
    assert not missing_tests(_PAGE)


def test_every_test_here_is_a_line_of_the_page():
    mine = {n for path, n in named_tests(_PAGE) if "security_test" in path}
    tests = {name for name in globals() if name.startswith("test_")}
    assert {name for name in tests if not name.startswith("test_every")} == mine


def test_every_reader_finds_the_page():
    assert "(docs/security.md)" in (_ROOT / "README.md").read_text()


# Trusted


def test_a_gin_file_may_run_code(module, trace, monkeypatch):
    folder, _ = module
    monkeypatch.syspath_prepend(str(folder))
    configuration.load([str(folder / "config.gin")], [])
    assert trace.read_text() == "run"


def test_the_imports_of_a_run_are_obeyed(module, trace, monkeypatch):
    folder, name = module
    elsewhere = folder.with_name("site")
    elsewhere.mkdir()
    shutil.move(folder / f"{name}.py", elsewhere)
    monkeypatch.syspath_prepend(str(elsewhere))
    runs.load_run(folder)
    assert trace.read_text() == "run"


def test_the_working_folder_is_part_of_the_program(module, trace):
    folder, name = module
    program = f"import {name}"
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True)
    assert trace.read_text() == "run"


# Not trusted


def test_a_run_folder_is_no_place_to_import_from(module, trace):
    folder, name = module
    with pytest.raises(UserError, match=f"No module named '{name}'"):
        runs.load_run(folder)
    assert not trace.exists()


def test_links_are_followed_to_images_only(tmp_path):
    image = draw(tmp_path / "out/a.png")
    link = tmp_path / "link.png"
    link.symlink_to(image)
    np.testing.assert_array_equal(decode(link), decode(image))
    link.unlink()
    link.symlink_to(__file__)
    with pytest.raises(BadImage, match="is no readable image"):
        decode(link)


def test_the_models_of_a_run_are_read_in_safe_mode(tmp_path):
    inputs = keras.Input((2,))
    outputs = keras.layers.Lambda(lambda x: x * 2.0)(inputs)
    planted = tmp_path / "planted.keras"
    keras.Model(inputs, outputs).save(planted)
    digest = hashlib.sha256(planted.read_bytes()).hexdigest()
    notes = {"built/x.keras": {"file": "planted.keras", "sha256": digest}}
    with pytest.raises(ValueError, match="(?i)lambda"):
        StartFiles(tmp_path, notes).built("x", lambda: None)
