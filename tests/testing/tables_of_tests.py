"""Pages of docs whose tables name, line by line, the test that holds a line."""

import ast
import pathlib
import re

_ROOT = pathlib.Path(__file__).resolve().parents[2]


def named_tests(page):
    """`(path, test)` of every row of the tables of a page.

    Args:
        page: Path below the root of the project.
    """
    found = []
    inside = False  # Of a table, behind its head.
    for line in (_ROOT / page).read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            inside = False
        elif inside:
            row = re.search(r"`(tests/[\w/]+\.py)::(test_\w+)` \|$", line)
            assert row, f"names no test: {line}"
            found.append((row[1], row[2]))
        elif line.startswith("|-"):
            inside = True
    return found


def missing_tests(page):
    """The tests that a page names and that do not exist."""
    return [
        f"{path}::{name}"
        for path, name in named_tests(page)
        if name not in _functions(_ROOT / path)
    ]


def _functions(path):
    if not path.exists():
        return ()
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
