"""README and docs name code, files and methods that are there."""

import ast
import importlib
import importlib.util
import pathlib
import re
import textwrap

import numpy as np
import pytest

from tfcl.configuration import parts

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_PAGES = sorted((_ROOT / "docs").glob("*.md"))
_TEXTS = [_ROOT / "README.md", _ROOT / "CONTRIBUTING.md", *_PAGES]
_FAMILIES = ("lasem", "cpg", "clr", "spg", "memory_head")
# | equation | [`module:Class.function`](../tfcl/floor/module.py) | what it is |
_ROW = re.compile(
    r"^\| (.+) \| \[`(\w+):([\w.]+)`\]\(\.\./(tfcl/[\w/]+)\.py\) \| (.+) \|$",
    re.M,
)
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
_FENCED = re.compile(r"^```.*?^```", re.M | re.S)
_COMMANDS_IN_ITEM = re.compile(
    r"^(?:[-*]|\d+\.) .*\n(?:(?: .*)?\n)*?\n {4}\S.*$", re.M
)
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


def _read(path):
    return path.read_text(encoding="utf-8")


# The equations


@pytest.mark.parametrize("family", _FAMILIES)
def test_every_function_of_the_equations_exists(family):
    text = _read(_ROOT / "docs" / f"{family}.md")
    text = text.split("## The equations and where they are")[1]
    table = text.split("\n## ")[0]
    rows = _ROW.findall(table)
    assert len(rows) == table.count("\n| ") - 1 > 8
    for _, module, name, path, _ in rows:
        assert path.rpartition("/")[2] == module
        found = importlib.import_module(path.replace("/", "."))
        for part in name.split("."):
            found = getattr(found, part)


# Python


def _snippets():
    for path in _TEXTS:
        for number, code in enumerate(_PYTHON.findall(_read(path))):
            yield pytest.param(code, id=f"{path.stem}-{number}")


def test_there_are_snippets_and_none_is_overlooked():
    assert len(list(_snippets())) > 8
    indented = [
        (path.name, line)
        for path in _TEXTS
        for line in _read(path).splitlines()
        if re.match(r"    (import|from) \w+( import .*)?$", line)
        and "gin" not in line  # A gin file imports, too.
    ]
    assert [name for name, _ in indented if name != "CONTRIBUTING.md"] == [
        "gin.md"
    ], indented


def _imported(name):
    if name == "onnxruntime":
        why = "this page needs the extra: pip install 'tfcl[onnx]'"
        return pytest.importorskip(name, reason=why)
    return importlib.import_module(name)


@pytest.mark.parametrize("code", list(_snippets()))
def test_python_on_a_page_can_be_read_and_names_what_is_there(code):
    tree = ast.parse(textwrap.dedent(code))
    modules = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found = _imported(alias.name)
                name = alias.asname or alias.name.partition(".")[0]
                modules[name] = found if alias.asname else _top(alias.name)
        elif isinstance(node, ast.ImportFrom):
            found = importlib.import_module(node.module)
            for alias in node.names:
                name = alias.asname or alias.name
                modules[name] = getattr(found, alias.name)
    for chain in _chains(tree):
        if chain[0] in modules:
            found = modules[chain[0]]
            for part in chain[1:]:
                found = getattr(found, part)


def _top(name):
    return importlib.import_module(name.partition(".")[0])


def _chains(tree):
    """`["keras", "applications", "ResNet50"]` of each such expression."""
    for node in ast.walk(tree):
        parts = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if parts and isinstance(node, ast.Name):
            yield [node.id, *reversed(parts)]


# What the pages list


def test_the_table_of_methods_has_every_method():
    rows = re.findall(
        r"^\| (`[^|]*`) \|", _read(_ROOT / "docs/methods.md"), re.M
    )
    named = re.findall(r"`(\w+)`", " ".join(rows))
    files = [path.stem for path in (_ROOT / "gin/methods").glob("*.gin")]
    assert sorted(named) == sorted(files)


def test_the_table_of_methods_tells_their_scenarios():
    rows = re.findall(
        r"^\| (`[^|]*`) \|(?:[^|]*\|){2} ([^|]*) \|(?:[^|]*\|){2}$",
        _read(_ROOT / "docs/methods.md"),
        re.M,
    )
    assert len(rows) > 30
    for names, told in rows:
        for name in re.findall(r"`(\w+)`", names):
            assert {*parts.scenarios_of(name)} <= {*told.split(", ")}, name


def test_the_table_of_scenarios_is_that_of_the_classes():
    path = _ROOT / "docs/site/scenario_table.py"
    spec = importlib.util.spec_from_file_location("scenario_table", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = _read(module.PAGE)
    assert module.table().count("\n") > 25
    # To mend it: PYTHONPATH=. python docs/site/scenario_table.py
    assert text == module.written(text)


def test_every_page_is_in_the_navigation():
    listed = re.findall(r": (\w+\.md)$", _read(_ROOT / "mkdocs.yml"), re.M)
    made = {"index.md", "contributing.md", "changelog.md"}
    assert set(listed) == {path.name for path in _PAGES} | made


@pytest.mark.parametrize("path", _TEXTS, ids=lambda path: path.name)
def test_commands_are_no_part_of_a_list(path):
    """Indented lines behind an item are shown as its next paragraph."""
    assert not _COMMANDS_IN_ITEM.findall(_FENCED.sub("", _read(path)))


@pytest.mark.parametrize("path", _TEXTS, ids=lambda path: path.name)
def test_links_lead_to_files(path):
    prose = _FENCED.sub("", _read(path))
    links = [link for link in _LINK.findall(prose) if ":" not in link]
    missing = [link for link in links if not (path.parent / link).exists()]
    assert not missing


def test_readme_has_the_fixed_commands():
    text = _read(_ROOT / "README.md")
    assert "    make test " in text
    assert (
        "    python -m tfcl.train --gin_file=gin/lasem_cifar100.gin\n" in text
    )
    assert len(text.splitlines()) < 170


# The figure of README


def test_the_figure_has_a_line_per_task_and_method():
    path = _ROOT / "docs/figures/kept_accuracy.py"
    spec = importlib.util.spec_from_file_location("kept_accuracy", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    matrix = [[0.5], [0.5, 0.75]]
    run = {
        "task_names": ["first_one", "b"],
        "accuracy_matrix": matrix,
        "chance_matrix": [[0.25], [0.25, 0.25]],
    }
    figure = script.draw({"clr": run, "fine_tuning_heads": run})
    for axes in figure.axes:
        first, second, chance = axes.get_lines()
        np.testing.assert_array_equal(first.get_ydata(), [50.0, 50.0])
        np.testing.assert_array_equal(second.get_xdata(), [2])
        np.testing.assert_array_equal(chance.get_ydata(), [25.0, 25.0])
    assert first.get_label() == "first one"
    assert chance.get_label() == "chance: 25.0 %"
