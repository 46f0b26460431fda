"""The table of methods and scenarios in docs/scenarios.md, from the classes.

    PYTHONPATH=. python docs/site/scenario_table.py      # writes it

`tests/docs_pages_test.py` holds the page against it.
"""

import inspect
import pathlib

from tfcl import methods
from tfcl.configuration.gin_internals import configurables
from tfcl.data.scenario import SCENARIOS
from tfcl.methods.base import Method

PAGE = pathlib.Path(__file__).resolve().parents[1] / "scenarios.md"
_HEAD = "| method | " + " | ".join(SCENARIOS) + " | missing without it |\n"


def table() -> str:
    """The lines of the table."""
    lines = [_HEAD, "|---" * (len(SCENARIOS) + 2), "|\n"]
    for each in _methods():
        fits = ["yes" if s in each.scenarios else "" for s in SCENARIOS]
        lines.append(f"| `{each.__name__}` | {' | '.join(fits)} | ")
        lines.append(f"{each.of_the_task if not any(fits[1:]) else ''} |\n")
    return "".join(lines)


def _methods():
    """Public classes, most scenarios first, then by name."""
    every = [getattr(methods, name) for name in dir(methods)]
    found = [
        each
        for each in every
        if inspect.isclass(each)
        and issubclass(each, Method)
        and configurables(each.__name__)  # Others are bases.
    ]
    return sorted(found, key=lambda m: (-len(m.scenarios), m.__name__))


def written(text: str) -> str:
    """A page with the table of today in the place of its own."""
    head, _, rest = text.partition(_HEAD)
    _, gap, tail = rest.partition("\n\n")
    return head + table() + gap[1:] + tail


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
