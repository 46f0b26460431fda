"""What is in the package that others install."""

import pathlib
import subprocess
import sys
import zipfile

import pytest

_ROOT = pathlib.Path(__file__).resolve().parents[1]
# What the console command does, by the package that is named first.
_START = (
    "import sys; sys.path[:0] = ['', sys.argv.pop(1)]; "
    "from tfcl.__main__ import main; main()"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    words = ["--no-isolation", "--wheel", f"--outdir={folder}", str(_ROOT)]
    ended = subprocess.run(
        [sys.executable, "-m", "build", *words],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder with the package alone, as pip would unpack it."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(folder)
    return folder


@pytest.fixture
def typed(installed, tmp_path):
    """Runs Python in an empty folder with the package of the wheel."""

    def run(*words):
        return subprocess.run(
            # Isolated from PYTHONPATH; the working folder comes first, as for
            # `python -m`.
            [sys.executable, "-I", "-c", _START, str(installed), *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def test_all_lies_in_one_package(wheel):
    with zipfile.ZipFile(wheel) as content:
        tops = {name.partition("/")[0] for name in content.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"tfcl"}


def test_every_gin_file_and_builder_is_in_it(installed):
    for top, ending in (("gin", "*.gin"), ("data_builders", "*")):
        here = {
            path.relative_to(_ROOT)
            for path in (_ROOT / top).rglob(ending)
            if path.is_file() and "__pycache__" not in path.parts
        }
        there = {
            path.relative_to(installed / "tfcl")
            for path in (installed / "tfcl" / top).rglob(ending)
            if path.is_file()
        }
        assert here == there


def test_it_lists_its_parts_and_data_sets(typed):
    ended = typed("train", "--list")
    assert ended.returncode == 0, ended.stderr
    assert "lasem" in ended.stdout and "digits_5" in ended.stdout
    ended = typed("build", "--list")
    assert ended.returncode == 0, ended.stderr
    assert "office_home_art" in ended.stdout


def test_it_learns_in_an_empty_folder_by_its_own_gin_files(typed, tmp_path):
    (tmp_path / "data_builders").mkdir()  # A user's own, in nobody's way.
    (tmp_path / "data_builders/__init__.py").write_text("raise OSError\n")
    (tmp_path / "short.gin").write_text(
        'include "gin/lasem_digits.gin"\nEPOCHS = 1\n'
    )
    ended = typed(
        "train",
        f"--gin_file={tmp_path / 'short.gin'}",
        "--gin_bindings=class_split_stream.num_tasks = 2",
        "--gin_bindings=Experiment.exports = False",
        "--data_dir=data",
        "--model_dir=run",
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "run/results.json").exists()
