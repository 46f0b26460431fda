"""Runs side by side; those that differ in their seeds alone are one row."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import typing

from tfcl.errors import UserError
from tfcl.metrics import accuracy_matrix
from tfcl.reporting import figures, results, tables
from tfcl.reporting.answers.summary import average_chance

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from matplotlib.figure import Figure


# Printed columns: heading, number, how it is written, whether with deviation.
_COLUMNS = (
    ("learned %", "learning_accuracy", tables.percent, True),
    ("final %", "average_accuracy", tables.percent, True),
    ("task unknown %", "task_agnostic_accuracy", tables.percent, True),
    ("forgetting", "forgetting", tables.points, True),
    ("BWT", "backward_transfer", tables.points, True),
    ("over individual", "gain_over_single_task", tables.points, True),
    ("final over individual", "final_gap_to_single_task", tables.points, True),
    ("intransigence", "intransigence", tables.points, True),
    ("stored", "stored_bytes", tables.size_text, False),
    ("minutes", "seconds", lambda seconds: f"{seconds / 60:.1f}", False),
)

_SEED = "Experiment.seed"
# What rows of different methods differ in as a matter of course.
_PARTS = ("Experiment.method", "Experiment.stream")
_PRECISION, _FLOAT32 = "Runtime.precision", "float32"

# Metrics that do not ask what a task had right after it was learned.
_OF_THE_END = frozenset(
    "average_accuracy average_top5_accuracy micro_average task_aware_accuracy "
    "task_agnostic_accuracy model_size_efficiency parameter_growth".split()
)


@dataclasses.dataclass(frozen=True)
class Run:
    """A run's folder, its `results.json`, and every number in it.

    `numbers` has the metrics by the names of `tfcl.metrics.accuracy_matrix`,
    `stored_bytes`, `seconds`, `steps`, and what the method notes of its newest
    task (`method/blocked`, ...). What is undefined is left out: so are most
    metrics where a task was noted without any work (joint training that waits
    for the last task), as the accuracies right after it say nothing.
    """

    folder: str
    results: dict
    numbers: dict

    @property
    def curve(self) -> list[float]:
        """Average accuracy after each task, NaN where nothing was done."""
        values = self.results["metrics"]["average_accuracy_curve"]
        return [
            value if task["phases"] else math.nan
            for value, task in zip(values, _in_order(self.results))
        ]


@dataclasses.dataclass(frozen=True)
class Row:
    """Runs of one configuration, and what sets it apart from other rows.

    `settings` names the bindings in which it differs from the other rows; from
    those of other methods and streams, the bindings that both have.
    """

    runs: tuple
    settings: str = ""

    @property
    def first(self) -> dict[str, Any]:
        """The results of the first run; method and stream are all runs'."""
        return self.runs[0].results

    def spread(self, name: str) -> dict[str, float] | None:
        """`{"mean", "std", "half_width"}` of a number, None if undefined."""
        values = [run.numbers.get(name) for run in self.runs]
        if None in values:
            return None
        return accuracy_matrix.over_seeds(values)


def read_runs(
    folders: Sequence[str],
    single_task: str | None = None,
    joint: str | None = None,
) -> list[Run]:
    """The runs in these folders.

    Args:
        folders: Of finished or unfinished runs.
        single_task: Folder of a run with a network per task, S of
            `accuracy_matrix`, on the same tasks; or None.
        joint: Folder of a run that has trained anew on all tasks so far at
            every task, J, likewise.

    Raises:
        UserError: If a folder has no results, comes twice, or a reference has
            not learned the tasks.
    """
    names = [str(folder) for folder in folders]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise UserError(f"{min(twice)} is given twice. Give each run once.")
    references = {
        name: (str(folder), results.read(folder)["tasks"])
        for name, folder in (("single_task", single_task), ("joint", joint))
        if folder is not None
    }
    return [_run(name, results.read(name), references) for name in names]


def _run(folder, found, references):
    matrix, _ = accuracy_matrix.at_last_visits(
        found["accuracy_matrix"], found["visits"]
    )
    tasks = _in_order(found)
    numbers = dict(found["metrics"])
    if not all(task["phases"] for task in tasks):
        numbers = {k: v for k, v in numbers.items() if k in _OF_THE_END}
    if "single_task" in references:
        single = _accuracies(tasks, folder, *references["single_task"])
        for metric in (
            accuracy_matrix.gain_over_single_task,
            accuracy_matrix.final_gap_to_single_task,
        ):
            numbers[metric.__name__] = metric(matrix, single)
    if "joint" in references:
        joint = _accuracies(tasks, folder, *references["joint"])
        numbers["intransigence"] = accuracy_matrix.intransigence(matrix, joint)
    numbers |= {
        "stored_bytes": tables.stored_bytes(found),
        "seconds": found["seconds"],
        "steps": found["global_step"],
    }
    notes = tasks[-1]["method"]
    numbers |= {f"method/{name}": value for name, value in notes.items()}
    return Run(folder, found, {k: v for k, v in numbers.items() if _known(v)})


def _in_order(found):
    """The tasks in the order of their last visits, as the metrics have them."""
    return sorted(found["tasks"], key=lambda task: task["visit"])


def _known(value):
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _accuracies(tasks, folder, reference, others):
    """Accuracy of a reference on each of `tasks` right after learning it."""
    by_name = {other["name"]: other for other in others}
    for task in tasks:
        other = by_name.get(task["name"])
        if other is None or other["class_names"] != task["class_names"]:
            raise UserError(
                f"{reference} has not learned the task '{task['name']}' of "
                f"{folder}, with the same classes. Give a reference on the "
                "same stream, as long as this run."
            )
        if not other["phases"]:
            raise UserError(
                f"{reference} has not trained at the task '{task['name']}', "
                "so its accuracy there says nothing. Give a run that trains "
                "at every task; a joint one with Joint.every_task = True."
            )
    return [by_name[task["name"]]["test_accuracy"] for task in tasks]


def rows_of(runs: Sequence[Any], ignored: Sequence[str] = ()) -> list[Row]:
    """Gathers runs of one configuration, in the order of their first ones.

    Args:
        runs: Of `read_runs`.
        ignored: Names of configurables whose bindings do not matter, also
            with a parameter: "Runtime.threads".
    """
    groups = {}
    for run in runs:
        bindings = _told_apart_by(run.results, ignored)
        learned = [task["name"] for task in run.results["tasks"]]
        key = (
            *_kind(run.results),
            tuple(learned),
            tuple(sorted(bindings.items())),
        )
        groups.setdefault(key, []).append(run)
    return [
        Row(tuple(group), _settings(key, list(groups)))
        for key, group in groups.items()
    ]


def _kind(results):
    return results["method"], results["stream"]


def _told_apart_by(found, ignored):
    """The bindings of a run without seeds and what does not matter."""
    told = {
        name: value
        for name, value in found["bindings"].items()
        if not name.endswith((".seed", "_seed"))
        and name.partition(".")[0] not in ignored
        and name not in ignored
    }
    return {**told, _PRECISION: _precisions(found)}


def _precisions(found):
    """Those that its tasks were learned with; of older runs, what was bound."""
    noted = [
        numerics[_PRECISION]
        for task in _in_order(found)
        for numerics in task.get("numerics", [])
    ]
    bound = found["bindings"].get(_PRECISION, _FLOAT32).strip("'")
    return ", then ".join(dict.fromkeys(noted or [bound]))


def _settings(key, keys):
    """What sets a configuration apart from the others.

    Of other methods and streams, those settings count that both have.
    """
    *_, learned, mine = key
    mine, differing = dict(mine), set()
    for other in keys:
        if other[:2] == key[:2]:
            theirs = dict(other[-1])
            differing |= {
                name
                for name in mine.keys() | theirs.keys()
                if mine.get(name) != theirs.get(name)
            }
            continue
        theirs = dict(other[-1])
        differing |= {
            name
            for name in mine.keys() & theirs.keys()
            if mine[name] != theirs[name] and name not in _PARTS
        }
    parts = [f"{n} = {mine.get(n, 'default')}" for n in sorted(differing)]
    if len({len(k[2]) for k in keys if k[:2] == key[:2]}) > 1:
        parts.append(f"after {len(learned)} tasks")
    return ", ".join(parts)


# What is shown


class Columns(typing.NamedTuple):
    """What a table of rows consists of.

    Attributes:
        common: What all rows have in common: stream and tasks.
        texts: `{heading: a text per row}`; runs are lines of theirs.
        numbers: `{heading: a number per row, as it is written}`.
    """

    common: list[str]
    texts: dict[str, list[str]]
    numbers: dict[str, list[str]]


def facts_of(row: Row) -> list[str]:
    """Epochs and seeds of a row's runs, in a few words each."""
    epochs = [
        task["epochs"]
        for run in row.runs
        for task in run.results["tasks"]
        if "epochs" in task
    ]
    facts = []
    if epochs:
        low, high = min(epochs), max(epochs)
        facts.append(f"{low if low == high else f'{low} to {high}'} epochs")
    seeds = [run.results["bindings"].get(_SEED) for run in row.runs]
    known = list(dict.fromkeys(seed for seed in seeds if seed is not None))
    if known:
        word = "seed" if len(known) == 1 else "seeds"
        facts.append(f"{word} {', '.join(known)}")
    return facts


def markdown(rows: Sequence[Any]) -> str:
    """The rows as Markdown: mean, and ± the deviation over seeds."""
    titles, texts, numbers = columns_of(rows)
    columns = {**texts, **numbers}
    rule = ["---"] * len(texts) + ["---:"] * len(numbers)
    lines = [list(columns), rule, *zip(*columns.values())]
    return f"{', '.join(titles)}\n\n" + "".join(
        f"| {' | '.join(_escaped(cell) for cell in line)} |\n" for line in lines
    )


def _escaped(cell):
    return cell.replace("|", "\\|").replace("\n", ", ")


def columns_of(rows: Sequence[Row]) -> Columns:
    """The `Columns` of a table of these rows."""
    texts = {
        "runs": ["\n".join(run.folder for run in row.runs) for row in rows],
        "method": [row.first["method"] for row in rows],
        "settings": [row.settings for row in rows],
        "epochs, seeds": [", ".join(facts_of(row)) for row in rows],
    }
    if not any(texts["epochs, seeds"]):
        del texts["epochs, seeds"]
    if not any(texts["settings"]):
        del texts["settings"]
    titles = []
    for heading, values, title in (
        ("stream", [row.first["stream"] for row in rows], "{}"),
        ("tasks", [_progress(row.first) for row in rows], "{} tasks"),
    ):
        if len(set(values)) == 1:
            titles.append(title.format(values[0]))
        else:
            texts[heading] = values
    numbers = {
        heading: [_cell(row.spread(name), write, both) for row in rows]
        for heading, name, write, both in _COLUMNS
        if any(row.spread(name) for row in rows)
    }
    return Columns(titles, texts, numbers)


def _progress(found):
    return f"{len(found['tasks'])}/{len(found['task_names'])}"


def _cell(spread, write, both):
    if spread is None:
        return tables.UNKNOWN
    mean = write(spread["mean"])
    if math.isnan(spread["std"]) or not both:
        return mean
    return f"{mean} ± {write(spread['std']).removeprefix('+')}"


def to_csv(rows: Sequence[Any]) -> str:
    """Every number: a line per row, mean and sample deviation over seeds."""
    names = dict.fromkeys(
        name for row in rows for run in row.runs for name in run.numbers
    )
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    both = [part for name in names for part in (name, f"{name}_std")]
    writer.writerow(
        ["runs", "method", "stream", "settings", "seeds", "tasks", *both]
    )
    for row in rows:
        line = [
            " ".join(run.folder for run in row.runs),
            row.first["method"],
            row.first["stream"],
            row.settings,
            len(row.runs),
            len(row.first["tasks"]),
        ]
        for name in names:
            spread = row.spread(name) or {"mean": math.nan, "std": math.nan}
            line += [_number(spread["mean"]), _number(spread["std"])]
        writer.writerow(line)
    return buffer.getvalue()


def _number(value):
    return "" if math.isnan(value) else f"{value:.9g}"


def figure(rows: Sequence[Any]) -> Figure:
    """Average accuracy after each task, a line per row, and that of chance."""
    several = len({row.first["stream"] for row in rows}) > 1
    curves = []
    for row in rows:
        stream = f"on {row.first['stream']}" if several else ""
        label = filter(None, [row.first["method"], row.settings, stream])
        curves.append((" ".join(label), [run.curve for run in row.runs]))
    levels = {average_chance(run.results) for row in rows for run in row.runs}
    chance = levels.pop() if len(levels) == 1 else None
    return figures.average_accuracies(curves, chance)
