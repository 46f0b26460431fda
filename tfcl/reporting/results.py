"""What a run leaves in its folder."""

from __future__ import annotations

import functools
import importlib.metadata
import pathlib
import typing

import numpy as np

from tfcl import __version__
from tfcl.errors import UserError
from tfcl.files import cannot, json_text, read_json, write_atomically
from tfcl.metrics import accuracy_matrix, matrix_csv
from tfcl.reporting import checksums, drawing, report, tracked
from tfcl.reporting.answers import tables as answer_tables
from tfcl.reporting.answers.section import answers_section
from tfcl.reporting.answers.summary import chance_matrix, with_answers
from tfcl.reporting.run_facts import LearnedSoFar, RunFacts

if typing.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from matplotlib.figure import Figure

    from tfcl.reporting.answers.tables import Told


FORMAT = 2
_DOMAIN = "domain"  # A scenario of `tfcl.data.scenario`.
# Enough for a figure; tasks/*/history.npz holds every epoch.
_EPOCHS = 60
_PACKAGES = ("tensorflow", "keras", "tensorflow-datasets", "numpy")


def collect(facts: RunFacts, learned: LearnedSoFar) -> dict:
    """The content of `results.json` for a run so far."""
    visits = [
        _public(record, history)
        for record, history in zip(
            learned.visits, learned.histories, strict=True
        )
    ]
    # Of a task seen again, the last visit is what the run has learned.
    newest = {record["index"]: record for record in visits}
    tasks = with_answers(
        [newest[index] for index in sorted(newest)], facts, learned
    )
    newest = {task["index"]: task["visit"] for task in tasks}
    return {
        "format": FORMAT,
        "method": facts.method,
        "stream": facts.stream,
        "scenario": facts.scenario,
        "seeds": _seeds(facts.seed, learned.bindings),
        "command": facts.command,
        "versions": versions(),
        "distribution": facts.distribution,
        "replicas": facts.replicas,
        "numerics": learned.numerics,
        "finished": len(visits) == len(facts.order),
        "seconds": learned.seconds,
        "global_step": learned.global_step,
        "skipped_steps": learned.skipped_steps,
        "tasks": tasks,
        "accuracy_matrix": _rows(learned.accuracy_matrix),
        "loss_matrix": _rows(learned.loss_matrix),
        "top5_accuracy_matrix": _rows(learned.top5_matrix),
        "chance_matrix": chance_matrix(tasks, facts, learned),
        "task_names": list(facts.task_names),
        "visits": [record["index"] for record in visits],
        "earlier_visits": [
            v for v in visits if newest[v["index"]] != v["visit"]
        ],
        "task_agnostic": learned.task_agnostic,
        "metrics": _metrics(facts, learned, tasks) if tasks else {},
        "bindings": learned.bindings,
        "lost": list(learned.lost),
    }


def _rows(matrix):
    return [[None if np.isnan(v) else float(v) for v in r] for r in matrix]


def _public(record, history):
    row, hidden = record["row"], ("row", "losses", "top5", "notes")
    shown = {k: v for k, v in record.items() if k not in hidden}
    accuracy = row[record["index"]]
    return {
        **shown,
        "test_accuracy": accuracy,
        "method": record["notes"],
        "vectors": _vectors(history),
    }


def _vectors(history):
    """What is a vector per epoch (priors, ...), at `_EPOCHS` epochs at most."""
    vectors = {}
    for name, array in history.items():
        if array.ndim == 2:
            count = min(len(array), _EPOCHS)
            rows = np.unique(np.linspace(0, len(array) - 1, count).round())
            rows = rows.astype(int)
            vectors[name] = {
                "epochs": (rows + 1).tolist(),
                "values": np.round(array[rows], 6).tolist(),
            }
    return vectors


def _metrics(facts, learned, tasks):
    """All metrics."""
    found = _of_matrix(facts, learned, tasks)
    if facts.scenario == _DOMAIN and "average_accuracy" in found:
        # Nobody was told the task anyway.
        found["task_agnostic_accuracy"] = found["average_accuracy"]
    if learned.task_agnostic is not None:
        for how in ("aware", "agnostic"):
            accuracies = learned.task_agnostic[how]
            if None not in accuracies:
                found[f"task_{how}_accuracy"] = float(np.mean(accuracies))
    return found


def _of_matrix(facts, learned, tasks):
    """The metrics of R; tasks count from their last visit on."""
    matrix, top5 = learned.accuracy_matrix, learned.top5_matrix
    visits = list(facts.order[: len(matrix)])
    matrix, order = accuracy_matrix.at_last_visits(matrix, visits)
    unknown = np.isnan(matrix[:, : len(matrix)][np.tril_indices(len(matrix))])
    if unknown.any():
        return _of_last_row(matrix[-1, : len(matrix)])
    tasks = sorted(tasks, key=lambda task: task["visit"])
    shared = tasks[-1]["footprint"]["shared_parameters"]
    own = np.cumsum([t["footprint"]["task_parameters"] for t in tasks])
    metrics = accuracy_matrix.summarise(
        matrix,
        test_sizes=[facts.test_sizes[index] for index in order],
        parameters=(own + shared).tolist(),
    )
    last = top5[-1][~np.isnan(top5[-1])]
    if len(last):  # Of the tasks with more than five classes.
        metrics["average_top5_accuracy"] = float(last.mean())
    return metrics


def _of_last_row(row):
    """The metrics where the accuracy matrix has gaps."""
    found = accuracy_matrix.all_undefined(
        "an accuracy is not known: the test images of a task were not here "
        "when it had changed"
    )
    if not np.isnan(row).any():
        found["average_accuracy"] = float(row.mean())
        del found["undefined"]["average_accuracy"]
    return found


def _seeds(seed, bindings):
    seeds = {"run": seed}
    for name, value in bindings.items():
        if name.endswith("_seed") and "." in name:
            seeds[name.rsplit(".", maxsplit=1)[1]] = value
    return seeds


@functools.cache
def versions() -> dict[str, str]:
    """Those of tfcl and of the packages that it computes with."""
    found = {p: importlib.metadata.version(p) for p in _PACKAGES}
    return {"tfcl": __version__, **found}


def write_texts(
    model_dir: str | pathlib.Path, texts: Mapping[str, str]
) -> None:
    """Writes `{file name: text}` into the model directory."""
    model_dir = pathlib.Path(model_dir)
    for name, text in texts.items():
        _written(lambda n=name, t=text: write_atomically(model_dir / n, t))


def write_numbers(
    results: Mapping[str, Any],
    model_dir: str | pathlib.Path,
    learned: LearnedSoFar | None = None,
) -> None:
    """Writes results.json, metrics.json, accuracy_matrix.csv and the like.

    Under the names that SPG's program gives them, too: acc.csv, loss.csv and
    metrics_latest.json. Where answers are known also classes.csv,
    confusion.csv and mistakes.csv. The checksums of all of them go to
    results.sha256, last.

    Args:
        results: Content of `results.json`.
        model_dir: Folder of the run.
        learned: What the results were collected from, for the answers.
    """
    model_dir = pathlib.Path(model_dir)
    texts = _texts(results)
    if learned is not None:
        found = answer_tables.texts(learned.told())
        texts |= found
        # Of answers that are lost.
        for name in set(answer_tables.NAMES) - set(found):
            path = model_dir / name
            _written(functools.partial(path.unlink, missing_ok=True))
    write_texts(model_dir, {**texts, checksums.NAME: checksums.text(texts)})


def _texts(results):
    """The content of each file of numbers, by its name."""
    rows = [
        [np.nan if v is None else v for v in row]
        for row in results["accuracy_matrix"]
    ]
    names = results["task_names"]
    csv = matrix_csv.to_csv(
        np.asarray(rows, float).reshape(len(rows), len(names)),
        names,
        results["visits"],
    )
    metrics = {
        "version": accuracy_matrix.METRICS_VERSION,
        "task_names": names,
        "seeds": results["seeds"],
        "bindings": results["bindings"],
        "accuracy_matrix": results["accuracy_matrix"],
        "metrics": results["metrics"],
    }
    return {
        "results.json": json_text(_plain(results)),
        "metrics.json": json_text(_plain(metrics)),
        "accuracy_matrix.csv": csv,
        "acc.csv": csv,
        "loss.csv": tracked.loss_csv(results),
        "metrics_latest.json": json_text(_plain(tracked.latest(results))),
    }


def _plain(value):
    """`value` with None for numbers that JSON does not know (NaN, inf)."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def write_figures(
    results: Mapping[str, Any],
    histories: Mapping[int, Mapping[str, np.ndarray]],
    model_dir: str | pathlib.Path,
    further: Mapping[str, Figure] | None = None,
    told: Sequence[Told] = (),
) -> None:
    """Writes figures/*.png and report.html.

    Args:
        results: Content of `results.json`.
        histories: `{task index: {name: array}}`.
        model_dir: Folder of the run.
        further: `{name: Figure}` of figures that the results do not tell.
        told: Of `LearnedSoFar.told`: what the tasks have answered.
    """
    model_dir = pathlib.Path(model_dir)
    config = model_dir / "config.gin"
    text = config.read_text(encoding="utf-8") if config.exists() else ""
    figures = {
        **report.run_figures(results),
        **report.method_figures(results),
        **(further or {}),
    }
    for name, figure in figures.items():
        path = model_dir / "figures" / f"{name}.png"
        content = drawing.png_bytes(figure)
        _written(lambda p=path, c=content: write_atomically(p, c))
    page = {**results, "config": text}
    path = model_dir / "report.html"
    answers = answers_section(told)
    _written(
        lambda: report.write_report(page, histories, path, further, answers)
    )


def read(model_dir: str | pathlib.Path) -> dict[str, Any]:
    """The content of a run's `results.json`.

    Raises:
        UserError: If the folder holds none, or a file of numbers is not as
            the run has written it.
    """
    try:
        found = read_json(pathlib.Path(model_dir) / "results.json")
        names = [task["name"] for task in found["tasks"]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(
            f"{model_dir} has no results of a run: {error}. Give the "
            "--model_dir of runs that have learned at least one task."
        ) from error
    faults = checksums.faults(model_dir)
    if faults:
        raise UserError(
            f"The results in {model_dir} are damaged: {'; '.join(faults)}. "
            "Start the run's tfcl.train command again, which writes them anew."
        )
    if not names:
        raise UserError(
            f"{model_dir} has not learned a task yet. Wait for its first."
        )
    return found


def _written(write):
    try:
        write()
    except OSError as error:
        raise cannot(
            f"write {getattr(error, 'filename', None) or 'a result'}",
            error,
            error.strerror,
            kept="Everything learned is saved.",
        ) from error
