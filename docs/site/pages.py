"""Pages that are made of other files: README, and the public names.

Run by mkdocs (`gen-files` in mkdocs.yml).
"""

import ast
import pathlib
import re

import mkdocs_gen_files

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_FLOORS = (
    *("methods", "layers", "tapes", "optimizers", "models", "data", "replay"),
    *("metrics", "testing"),
)
_FILES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}


def main():
    """Writes all of them."""
    for file, page in _FILES.items():
        _write(page, _linked((_ROOT / file).read_text(encoding="utf-8")))
    for page in sorted((_ROOT / "docs").glob("*.md")):
        _write(page.name, _linked(page.read_text(encoding="utf-8")))
    _write("results.md", _results())
    for floor in _FLOORS:
        _write(f"api/{floor}.md", _reference(floor))


def _linked(text):
    """A page with the repository's links as they are on the site."""
    text = re.sub(r"\]\(docs/", "](", text)
    for file, page in _FILES.items():
        text = re.sub(rf"\]\((\.\./)?{re.escape(file)}", f"]({page}", text)
    return text.replace("](results)", "](results.md)")


def _results():
    """The files of measured values."""
    lines = ["# Values behind the tables", ""]
    for path in sorted((_ROOT / "docs" / "results").glob("*.csv")):
        name = f"results/{path.name}"
        _write(name, path.read_text(encoding="utf-8"))
        lines.append(f"- [{path.name}]({name})")
    return "\n".join(lines) + "\n"


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
