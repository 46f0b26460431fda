"""The notebooks of examples/ run from top to bottom, and hold no traces of it.

Without Jupyter: the cells are plain Python, executed in one namespace in a
process of its own. What a notebook promises, its own cells assert.
"""

import ast
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_NOTEBOOKS = sorted((_ROOT / "examples").glob("*.ipynb"))
_CELL = {
    "markdown": {"cell_type", "id", "metadata", "source"},
    "code": {
        *("cell_type", "id", "metadata", "source"),
        *("execution_count", "outputs"),
    },
}
_RUN = """
import json, sys
cells = json.load(open(sys.argv[1], encoding="utf-8"))["cells"]
namespace = {"__name__": "__main__"}
for number, cell in enumerate(cells):
    if cell["cell_type"] == "code":
        code = "".join(cell["source"])
        exec(compile(code, f"cell {number}", "exec"), namespace)
print("all cells")
"""
_of_each = pytest.mark.parametrize(
    "path", _NOTEBOOKS, ids=lambda path: path.stem
)


def _notebook(path):
    return json.loads(path.read_text(encoding="utf-8"))


def _code(path):
    return [
        "".join(cell["source"])
        for cell in _notebook(path)["cells"]
        if cell["cell_type"] == "code"
    ]


def test_the_notebooks_are_there():
    names = [path.stem for path in _NOTEBOOKS]
    assert names == ["own_method", "quick_start"]


@_of_each
def test_it_is_a_notebook_of_format_4(path):
    notebook = _notebook(path)
    assert set(notebook) == {"cells", "metadata", "nbformat", "nbformat_minor"}
    # Since 4.5 cells have an id.
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    cells = notebook["cells"]
    ids = [cell["id"] for cell in cells]
    assert len(set(ids)) == len(ids)
    for cell in cells:
        assert set(cell) == _CELL[cell["cell_type"]]
        assert re.fullmatch(r"[\w-]{1,64}", cell["id"])
        *lines, last = cell["source"]
        assert all(line.endswith("\n") for line in lines)
        assert last and not last.endswith("\n")


@_of_each
def test_no_run_is_stored(path):
    notebook = _notebook(path)
    for cell in notebook["cells"]:
        assert not cell["metadata"]
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    found = re.search(r"[\"' ](/|~/|[A-Z]:\\)\w+", path.read_text("utf-8"))
    assert not found, f"a path of a machine: {found}"
    assert path.stat().st_size < 12_000


@_of_each
def test_cells_are_plain_python(path):
    assert len(_code(path)) >= 4
    for code in _code(path):
        ast.parse(code)  # Neither % nor !.


@_of_each
def test_every_cell_runs(path, tmp_path):
    # The notebook asserts what it says; that it does, is asked here.
    promises = {
        "quick_start": ["forgetting(R) == 0.0", "R[1, 0] == R[0, 0]"],
        "own_method": ["pulled < fine_tuned", "run_method_test("],
    }
    code = "\n".join(_code(path))
    assert all(promise in code for promise in promises[path.stem])
    ended = subprocess.run(
        [sys.executable, "-c", _RUN, str(path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(_ROOT), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert ended.stdout.endswith("all cells\n")
    assert list(tmp_path.glob("runs/*/report.html"))


def test_readme_and_pages_lead_to_the_notebooks():
    for path in _NOTEBOOKS:
        name = f"examples/{path.name}"
        assert name in (_ROOT / "README.md").read_text(encoding="utf-8")
        pages = [_ROOT / "docs/how_to.md", _ROOT / "docs/python.md"]
        texts = [page.read_text(encoding="utf-8") for page in pages]
        assert any(f"](../{name})" in text for text in texts)
