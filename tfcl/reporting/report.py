"""A run as one self-contained HTML page."""

from __future__ import annotations

import numbers
import typing

import numpy as np
from matplotlib.figure import Figure

from tfcl import files
from tfcl.reporting import figures, histograms, tables
from tfcl.reporting.answers import section
from tfcl.reporting.answers.figures import task_confusion
from tfcl.reporting.markup import command, table_of_differing
from tfcl.reporting.markup import details as _details
from tfcl.reporting.markup import images as _figures
from tfcl.reporting.markup import shown as _text
from tfcl.reporting.markup import words as _words
from tfcl.reporting.page import metrics_section, tasks_section
from tfcl.reporting.page.metrics_section import metric_text
from tfcl.reporting.training_figures import task_figures

if typing.TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping
    from typing import Any


_STYLE = """
:root { color-scheme: light dark; --ink: #1d2530; --soft: #5b6675;
  --line: #dde2e8; --page: #f5f7f9; --card: #fff; --mark: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee;
  --soft: #9aa5b4; --line: #36404d; --page: #14181e; --card: #1d232b;
  --mark: #56b4e9; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem; color: var(--ink);
  background: var(--page); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.15rem; margin: 0 0
  .8rem; }
p { margin: .4rem 0; } .soft { color: var(--soft); font-size: .9em; }
a { color: var(--mark); } nav { margin: .6rem 0; font-size: .9em;
  display: flex; flex-wrap: wrap; gap: .2rem 1rem; }
section { background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; padding: 1.1rem 1.2rem; margin: 1.1rem 0; }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1rem 0; }
.tile { flex: 1 1 auto; background: var(--card); border-radius: 10px;
  border: 1px solid var(--line); padding: .7rem 1rem; }
.tile b { display: block; font-size: 1.35rem; white-space: nowrap; }
h1, header, .tile b { overflow-wrap: anywhere; }
.wide { overflow-x: auto; } .hint { display: none; }
.wide { background: linear-gradient(90deg, var(--card) 30%, transparent) left,
  linear-gradient(-90deg, var(--card) 30%, transparent) right,
  linear-gradient(90deg, var(--line), transparent) left,
  linear-gradient(-90deg, var(--line), transparent) right;
  background-size: 2.5rem 100%, 2.5rem 100%, .8rem 100%, .8rem 100%;
  background-repeat: no-repeat;
  background-attachment: local, local, scroll, scroll; }
@media (max-width: 45rem) { body { padding: .8rem; } .hint { display: block; }
  section { padding: .8rem; } .wide table { width: auto; min-width: 100%; } }
table { border-collapse: collapse; width: 100%; font-size: .9em;
  font-variant-numeric: tabular-nums; }
th, td { padding: .32rem .6rem; border-bottom: 1px solid var(--line);
  text-align: left; vertical-align: top; }
th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
td.n, th.n { text-align: right; } td.n { white-space: nowrap; }
td, p { overflow-wrap: break-word; } td div.soft { max-width: 44rem; }
.command span { white-space: nowrap; }
.ways td { width: 50%; overflow-wrap: anywhere; }
pre { font: .85em/1.5 ui-monospace, monospace; white-space: pre-wrap;
  overflow-wrap: anywhere; margin: .6rem 0; }
figure { margin: .6rem 0; background: #fff; border-radius: 8px;
  padding: .6rem; overflow-x: auto; }
img { max-width: 100%; height: auto; display: block; }
details { border-top: 1px solid var(--line); padding: .45rem 0; }
summary { cursor: pointer; } summary span { color: var(--soft); }
.warn { border-left: 5px solid #d55e00; }
@media print { :root { --page: #fff; --card: #fff; --ink: #000;
  --soft: #444; --line: #ccc; } body { max-width: none; padding: 0;
  font-size: 11px; } nav { display: none; } section { border: 0;
  padding: 0 0 0 .4rem; } figure, tr, .tile { break-inside: avoid; }
  details::details-content { content-visibility: visible;
  block-size: auto; } }
"""


_FEW_COMMANDS = 2  # Beside the first one, in sight.
_CAPTIONS = {
    "accuracy_matrix": "A row per moment, a column per task. The colours go "
    "from 0 to 100 %, as in the report of every run.",
    "accuracy_over_time": "Chance, thin and dashed: the accuracy of answers "
    "drawn at random among the classes of the task, or among all learned ones "
    "where tasks share their answers.",
    "task_confusion": "Test images that come without their task: a row per "
    "task that they are of, a column per task whose class is answered.",
}


def write_report(
    results: dict,
    histories: Mapping[int, Mapping[str, np.ndarray]],
    path: str | pathlib.Path,
    further: Mapping[str, Figure] | None = None,
    answers: str = "",
) -> None:
    """Writes the report of a run, finished or not, atomically.

    Args:
        results: Content of `results.json`.
        histories: Per task index, arrays whose first axis is the epoch.
        path: HTML file to write.
        further: More figures by name.
        answers: Of `answers_section`.
    """
    config = results.get("config") and f"<pre>{_text(results['config'])}</pre>"
    learned = bool(results["tasks"])
    sections = {
        "Summary": metrics_section.section(results.get("metrics") or {}),
        "Tasks": tasks_section.section(results) if learned else "",
        "Answers": answers,
        "Figures": _figures(run_figures(results), _CAPTIONS) if learned else "",
        "Stream": _figures(further or {}),
        "Method": _method_section(results),
        "Training": _training_section(results, histories),
        "Configuration": _details("gin", config) if config else "",
    }
    sections = {title: text for title, text in sections.items() if text}
    links = "".join(f'<a href="#{title}">{title}</a>' for title in sections)
    body = "".join(
        f'<section id="{title}"><h2>{title}</h2>{content}</section>\n'
        for title, content in sections.items()
    )
    title = _text(f"{results['method']} on {results['stream']}")
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        # Even if a text escaped its escaping, nothing could be loaded or run.
        '<meta http-equiv="Content-Security-Policy" content="default-src '
        "'none'; img-src data:; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{title}</title><style>{_STYLE}{section.STYLE}</style></head>\n<body>"
        f"<header><h1>{title}</h1>{_header(results)}</header>\n"
        f"<nav>{links}</nav>\n{_tiles(results)}{body}</body></html>\n"
    )
    files.write_atomically(path, page)


def run_figures(results: Mapping[str, Any]) -> dict[str, Figure]:
    """Figures of the whole run by name (a file name without its ending)."""
    keys = ("accuracy_matrix", "task_names", "visits")
    matrix = [results[key] for key in keys]
    drawn = {
        "accuracy_matrix": figures.accuracy_matrix(*matrix),
        "accuracy_over_time": figures.accuracy_over_time(
            results["accuracy_matrix"],
            results["task_names"],
            results["visits"],
            results.get("chance_matrix"),
        ),
        "footprint": figures.footprint(results["tasks"]),
    }
    told = results.get("task_agnostic")
    if told:
        names = [results["task_names"][index] for index in told["tasks"]]
        drawn["task_confusion"] = task_confusion(told["believed"], names)
    return drawn


def method_figures(results: Mapping[str, Any]) -> dict[str, Figure]:
    """Figures of what the method recorded per task, by name.

    `configuration` texts of 0 and 1 become a grid of layers; every other
    entry that is a dict of numbers becomes a heat map, tasks by keys. A dict
    of lists, histograms over 0 to 1, becomes one of the last task, keys by
    bins, in shares, and one for each key, tasks by bins.
    """
    tasks = [task for task in results["tasks"] if task["method"]]
    drawn = {}
    texts = {t["name"]: str(t["method"].get("configuration")) for t in tasks}
    bits = {n: c for n, c in texts.items() if c and set(c) <= set("01")}
    if bits and len({len(c) for c in bits.values()}) == 1:
        matrix = [[int(bit) for bit in text] for text in bits.values()]
        drawn["configuration"] = figures.bar_grid(matrix, list(bits))
    for key in dict.fromkeys(key for task in tasks for key in task["method"]):
        rows = {t["name"]: t["method"].get(key) for t in tasks}
        rows = {name: row for name, row in rows.items() if _is_numbers(row)}
        columns = list(dict.fromkeys(k for row in rows.values() for k in row))
        if columns:
            cells = rows.values()
            values = [[row.get(c, np.nan) for c in columns] for row in cells]
            words = _words(key)
            drawn[key] = figures.heat_map(
                values, list(rows), columns, f"{words} of each task", words
            )
        notes = {t["name"]: t["method"].get(key) for t in tasks}
        if all(map(histograms.is_histograms, notes.values())):
            drawn |= histograms.figures_of(key, notes)
    return drawn


def _header(results: dict) -> str:
    seeds, versions = results["seeds"], results["versions"]
    facts = (
        ("scenario: ", results.get("scenario") or "not noted"),
        ("seeds: ", ", ".join(f"{k} {v}" for k, v in seeds.items())),
        ("distribution: ", results["distribution"]),
        ("replicas: ", results["replicas"]),
        ("steps: ", f"{results['global_step']:,}"),
        ("", ", ".join(f"{k} {v}" for k, v in versions.items())),
    )
    line = " · ".join(f"{name}{value}" for name, value in facts)
    text = f'<p class="soft">{_text(line)}</p>'
    text += _commands(results)
    learned, names = len(results["tasks"]), results["task_names"]
    if results["finished"]:
        return text
    waiting = ", ".join(map(str, names[learned:]))
    return text + (
        f'<section class="warn"><b>Unfinished: {learned} of {len(names)} '
        "tasks learned.</b> Everything below covers only these."
        f'<p class="soft">Not learned yet: {_text(waiting)}</p></section>'
    )


def _commands(results):
    """The commands that have learned the tasks, in the order of learning."""
    visits = [*results["tasks"], *results.get("earlier_visits", ())]
    visits.sort(key=lambda visit: visit["visit"])
    known = dict.fromkeys(visit.get("command", "") for visit in visits)
    first, *others = [line for line in known if line] or [results["command"]]
    text = command(first)
    if not others:
        return text
    further = "".join(map(command, others))
    if len(others) <= _FEW_COMMANDS:
        return text + further
    return text + _details(f"{len(others)} further commands", further)


def _tiles(results: dict) -> str:
    metrics = results.get("metrics") or {}
    names = ("average_accuracy", "forgetting", "backward_transfer")
    tiles = (
        *((metric_text(name, metrics), _words(name)) for name in names),
        (len(results["tasks"]), f"of {len(results['task_names'])} tasks"),
        (tables.size_text(tables.stored_bytes(results)), "stored"),
        (tables.duration_text(results["seconds"]), "run time"),
    )
    cells = "".join(
        f'<div class="tile"><b>{_text(value)}</b>'
        f'<span class="soft">{_text(name)}</span></div>'
        for value, name in tiles
    )
    return f'<div class="tiles">{cells}</div>\n'


def _method_section(results: dict) -> str:
    """Figures, and one table of all single values and texts."""
    tasks = results["tasks"]
    keys = dict.fromkeys(
        key
        for task in tasks
        for key, value in task["method"].items()
        if isinstance(value, str | numbers.Real) and key != "configuration"
    )
    text = _figures(method_figures(results))
    if keys:
        rows = [
            (
                task["name"],
                *(_short(task["method"].get(key, "")) for key in keys),
            )
            for task in tasks
        ]
        header = ["task", *map(_words, keys)]
        text += table_of_differing(header, rows, header, ["task"])
    return text


def _short(value):
    return f"{value:.4g}" if isinstance(value, float) else value


def _training_section(results: dict, histories: Mapping) -> str:
    text = ""
    for task in results["tasks"]:
        facts = [
            f"{task['epochs']} epochs, {task['steps']} steps",
            tables.duration_text(task["seconds"]),
            f"test accuracy {tables.percent(task.get('test_accuracy'))} %",
        ]
        validation = tables.percent(task.get("validation_accuracy"))
        facts.append(f"validation accuracy {validation} %")
        if task.get("peak"):
            peak = task["peak"]
            facts.append(
                f"best at epoch {peak['epoch']}: validation "
                f"{tables.percent(peak.get('validation_accuracy'))} %, test "
                f"{tables.percent(peak.get('test_accuracy'))} %"
            )
        classes = ", ".join(map(str, task["class_names"]))
        content = f"<p>{_text('; '.join(facts))}</p>"
        content += f'<p class="soft">Classes: {_text(classes)}</p>'
        history = histories.get(task["index"])
        if history:
            content += _figures(task_figures(task, history))
        text += _details(f"{task['index'] + 1}. {task['name']}", content)
    return text


def _is_numbers(value) -> bool:
    values = value.values() if isinstance(value, dict) else [None]
    return all(isinstance(number, numbers.Real) for number in values)
