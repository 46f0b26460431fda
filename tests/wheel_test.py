"""What is in the package that others install."""

import pathlib
import subprocess
import sys
import zipfile

import pytest

_ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    pytest.importorskip("build", reason="the package `build` makes the wheel")
    ended = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", f"--outdir={folder}", _ROOT],
        capture_output=True,
        text=True,
        timeout=300,
    )
    if ended.returncode and "hatchling" in ended.stdout + ended.stderr:
        pytest.skip(f"the build backend cannot be had: {ended.stderr[-200:]}")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_all_lies_in_one_package(wheel):
    with zipfile.ZipFile(wheel) as content:
        tops = {name.partition("/")[0] for name in content.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"tfcl"}
