"""Pages that are made of other files: README, public names, code of equations.

Run by mkdocs (`gen-files` in mkdocs.yml).
"""

import ast
import collections
import pathlib
import re
import textwrap

import mkdocs_gen_files

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_FLOORS = (
    *("methods", "layers", "tapes", "optimizers", "models", "data", "replay"),
    *("metrics", "testing", "learner"),
)
_FILES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
# [`module:Class.function`](../tfcl/floor/module.py) of a table of equations.
_CODE = re.compile(r"(\[`\w+:([\w.]+)`\])\(\.\./(tfcl/[\w/]+\.py)\)")
_EXAMPLES = {".ipynb", ".py", ".sh"}
_VALUES = "values-behind-the-tables"


def main():
    """Writes all of them."""
    named = collections.defaultdict(set)  # Functions of each file.
    for file, page in _FILES.items():
        _write(page, _linked((_ROOT / file).read_text(encoding="utf-8")))
    for page in sorted((_ROOT / "docs").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for _, name, path in _CODE.findall(text):
            named[path].add(name)
        more = _results() if page.name == "results.md" else ""
        _write(page.name, _linked(text) + more)
    for path, names in named.items():
        _write(_code_page(path), _code(path, names))
    for floor in _FLOORS:
        _write(f"api/{floor}.md", _reference(floor))
    for path in sorted((_ROOT / "examples").iterdir()):
        if path.suffix in _EXAMPLES:
            _write(f"examples/{path.name}", path.read_text(encoding="utf-8"))


def _linked(text):
    """A page with the repository's links as they are on the site."""
    text = re.sub(r"\]\(docs/", "](", text)
    text = text.replace("](../examples/", "](examples/")
    for file, page in _FILES.items():
        text = re.sub(rf"\]\((\.\./)?{re.escape(file)}", f"]({page}", text)
    text = _CODE.sub(
        lambda m: f"{m[1]}({_code_page(m[3])}#{_anchor(m[2])})", text
    )
    text = re.sub(r"\]\(\.\./tfcl/(\w+)/__init__\.pyi", r"](api/\1.md", text)
    return text.replace("](results)", f"](results.md#{_VALUES})")


def _results():
    """The list of the files of measured values, at the end of their page."""
    lines = ["", f"## Values behind the tables {{#{_VALUES}}}", ""]
    for path in sorted((_ROOT / "docs" / "results").glob("*.csv")):
        name = f"results/{path.name}"
        _write(name, path.read_text(encoding="utf-8"))
        lines.append(f"- [{path.name}]({name})")
    return "\n".join(lines) + "\n"


def _code_page(path):
    return f"code/{path.removesuffix('.py')}.md"


def _anchor(name):
    # No underscores: Markdown takes those of `__call__` for itself.
    return re.sub("[._]+", "-", name.lower()).strip("-")


def _code(path, names):
    """Functions of a file, each under its name, and then the file."""
    source = (_ROOT / path).read_text(encoding="utf-8")
    lines = ["---", "search:", "  exclude: true", "---", f"# {path}", ""]
    for name, node in _definitions(ast.parse(source)):
        if name in names:
            code = ast.get_source_segment(source, node, padded=True)
            lines += [f"## `{name}` {{#{_anchor(name)}}}", "", *_block(code)]
    return "\n".join([*lines, "## The whole file", "", *_block(source)])


def _definitions(tree, prefix=""):
    """`(name, node)` of classes, functions and methods, as they stand."""
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            yield prefix + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from _definitions(node, f"{node.name}.")


def _block(code):
    return ["````python", textwrap.dedent(code).rstrip(), "````", ""]


def _reference(floor):
    """The public names of `tfcl.<floor>`, as its stub lists them."""
    package = _ROOT / "tfcl" / floor
    source = (package / "__init__.py").read_text(encoding="utf-8")
    lines = [f"# tfcl.{floor}", "", ast.get_docstring(ast.parse(source)), ""]
    stub = ast.parse((package / "__init__.pyi").read_text(encoding="utf-8"))
    for node in stub.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            lines.append(f"::: tfcl.{floor}.{node.module}.{alias.name}")
    return "\n".join(lines) + "\n"


def _write(page, text):
    with mkdocs_gen_files.open(page, "w", encoding="utf-8") as file:
        file.write(text)


main()
