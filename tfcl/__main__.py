"""The console command: `tfcl train ...` is `python -m tfcl.train ...`."""

import ast
import difflib
import importlib.util
import pathlib
import runpy
import sys

import tfcl
from tfcl.configuration import messages

_COMMANDS = (
    *("train", "add", "tasks", "evaluate", "predict", "export"),
    *("build", "compare", "goals", "search"),
)


def main() -> None:
    """Runs one of the commands with the rest of the words."""
    name, *words = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help", "help"):
        with messages.while_someone_reads():
            print(_listing())
    elif name == "--version":
        print(f"tfcl {tfcl.__version__}")
    elif name not in _COMMANDS:
        sys.exit(_unknown(name))
    else:
        sys.argv = [f"tfcl {name}", *words]
        runpy.run_module(f"tfcl.{name}", run_name="__main__", alter_sys=True)


def _unknown(name):
    close = difflib.get_close_matches(name, _COMMANDS, n=1)
    advice = f"Did you mean 'tfcl {close[0]}'? " if close else ""
    print(
        f"tfcl: error: There is no command {name!r}. {advice}Give one of: "
        f"{', '.join(_COMMANDS)}.",
        file=sys.stderr,
    )
    return 2


def _listing():
    width = max(map(len, _COMMANDS))
    lines = [f"  {name:{width}}  {_sentence(name)}" for name in _COMMANDS]
    return "\n".join(
        [
            f"{tfcl.__doc__} Version {tfcl.__version__}.",
            "",
            "Usage: tfcl COMMAND [flags]",
            "",
            *lines,
            "",
            "The flags of a command: tfcl COMMAND --help",
        ]
    )


def _sentence(name):
    """What a command does, of its docstring; nothing is imported for it."""
    spec = importlib.util.find_spec(f"tfcl.{name}")
    assert spec is not None and spec.origin is not None
    source = pathlib.Path(spec.origin).read_text(encoding="utf-8")
    text = ast.get_docstring(ast.parse(source)) or ""
    return text.partition(":")[0] + "."


if __name__ == "__main__":
    main()
