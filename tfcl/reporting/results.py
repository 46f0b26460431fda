"""What a run leaves in its folder, derived from journal and bank."""

import functools
import importlib.metadata
import pathlib

import numpy as np

from tfcl import __version__
from tfcl.errors import RunError, UserError
from tfcl.files import read_json, write_atomically, write_json
from tfcl.metrics import accuracy_matrix, matrix_csv
from tfcl.reporting import drawing, report, tracked

FORMAT = 2
# Enough for a figure; tasks/*/history.npz holds every epoch.
_EPOCHS = 60
_PACKAGES = ("tensorflow", "keras", "tensorflow-datasets", "numpy")


def task_record(task, place, labels, notes):
    """The journal's record of a learned task.

    Args:
        task: `Task`.
        place: The journal's position at the end of the task.
        labels: `{history name: labels}` of arrays per epoch.
        notes: The method's facts; `validation_accuracy` is among them if it
            keeps what another than the last phase has learned.
    """
    validations = [
        result["validation/accuracy"]
        for result in place["results"]
        if "validation/accuracy" in result
    ]
    last, notes = validations[-1] if validations else None, dict(notes)
    return {
        "index": task.index,
        "visit": place["visit"],
        "name": task.name,
        "fingerprint": place["fingerprint"],
        "class_names": list(task.class_names),
        "sizes": {
            "train": len(task.train),
            "validation": len(task.validation),
            "test": len(task.test),
        },
        "epochs": place["epochs"],
        "steps": place["steps"],
        "seconds": place["seconds"],
        "validation_accuracy": notes.pop("validation_accuracy", last),
        "peak": place["peak"],
        "phases": place["results"],
        "notes": notes,
        "labels": labels,
    }


def top5_row(found, stream):
    """Accuracies of the five best answers, as the journal notes them.

    Args:
        found: `{task index: Evaluation}`.
        stream: `TaskStream`.

    Returns:
        List of numbers, None where five answers are all or there are none.
    """
    return [
        each.top5_accuracy if stream.tasks[index].num_classes > 5 else None
        for index, each in found.items()
    ]


def history_arrays(histories):
    """`{"<phase>/<name>": array}`; one phase goes without its name.

    Epochs that were not evaluated hold NaN.
    """
    arrays = {}
    for phase, records in histories.items():
        prefix = "" if len(histories) == 1 else f"{phase}/"
        names = sorted({name for record in records for name in record})
        for name in names:
            known = [np.asarray(r[name]) for r in records if name in r]
            missing = np.full_like(known[0], np.nan, dtype=float)
            arrays[prefix + name] = np.stack(
                [np.asarray(r.get(name, missing), float) for r in records]
            )
    return arrays


def collect(run):
    """The content of `results.json` for a run so far."""
    journal, names = run.journal, [task.name for task in run.stream]
    matrix = journal.accuracy_matrix(len(names))
    top5 = journal.top5_matrix(len(names))
    visits = [_public(record, run.bank) for record in journal.visits]
    # Of a task seen again, the last visit is what the run has learned.
    newest = {record["index"]: record for record in visits}
    tasks = [newest[index] for index in sorted(newest)]
    return {
        "format": FORMAT,
        "method": run.method.name,
        "stream": run.stream.name,
        "seeds": _seeds(run),
        "command": run.command,
        "versions": _versions(),
        "distribution": run.distribution,
        "replicas": run.strategy.num_replicas_in_sync,
        "finished": len(visits) == len(run.stream.visits),
        "seconds": journal.seconds,
        "global_step": journal.global_step,
        "skipped_steps": journal.skipped_steps,
        "tasks": tasks,
        "accuracy_matrix": _rows(matrix),
        "loss_matrix": _rows(journal.loss_matrix(len(names))),
        "top5_accuracy_matrix": _rows(top5),
        "task_names": names,
        "visits": [record["index"] for record in visits],
        "earlier_visits": [v for v in visits if v not in tasks],
        "metrics": _metrics(matrix, top5, tasks, run.stream) if tasks else {},
        "bindings": journal.bindings,
    }


def _rows(matrix):
    return [[None if np.isnan(v) else float(v) for v in r] for r in matrix]


def _public(record, bank):
    row, hidden = record["row"], ("row", "losses", "top5", "notes")
    shown = {k: v for k, v in record.items() if k not in hidden}
    accuracy = row[record["index"]]
    return {
        **shown,
        "test_accuracy": accuracy,
        "method": record["notes"],
        "vectors": _vectors(bank.history(record["visit"], record["name"])),
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


def _metrics(matrix, top5, tasks, stream):
    """The metrics; tasks count from their last visit on."""
    visits = [v.task.index for v in stream.visits[: len(matrix)]]
    matrix, order = accuracy_matrix.at_last_visits(matrix, visits)
    tasks = sorted(tasks, key=lambda task: task["visit"])
    shared = tasks[-1]["footprint"]["shared_parameters"]
    own = np.cumsum([t["footprint"]["task_parameters"] for t in tasks])
    metrics = accuracy_matrix.summarise(
        matrix,
        test_sizes=[len(stream.tasks[index].test) for index in order],
        parameters=(own + shared).tolist(),
    )
    last = top5[-1][~np.isnan(top5[-1])]
    if len(last):  # Of the tasks with more than five classes.
        metrics["average_top5_accuracy"] = float(last.mean())
    return metrics


def _seeds(run):
    seeds = {"run": run.seed}
    for name, value in run.journal.bindings.items():
        if name.endswith("_seed") and "." in name:
            seeds[name.rsplit(".", maxsplit=1)[1]] = value
    return seeds


@functools.cache
def _versions():
    found = {p: importlib.metadata.version(p) for p in _PACKAGES}
    return {"tfcl": __version__, **found}


def write_texts(model_dir, texts):
    """Writes `{file name: text}` into the model directory."""
    for name, text in texts.items():
        _written(lambda n=name, t=text: write_atomically(model_dir / n, t))


def write_numbers(results, model_dir):
    """Writes results.json, metrics.json, accuracy_matrix.csv and the like.

    Under the names that SPG's program gives them, too: acc.csv, loss.csv and
    metrics_latest.json.
    """
    model_dir = pathlib.Path(model_dir)
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
    for name, content in (("results", results), ("metrics", metrics)):
        path, plain = model_dir / f"{name}.json", _plain(content)
        _written(lambda p=path, c=plain: write_json(p, c))
    losses = tracked.loss_csv(results)
    texts = {"accuracy_matrix.csv": csv, "acc.csv": csv, "loss.csv": losses}
    for name, text in texts.items():
        _written(lambda n=name, t=text: write_atomically(model_dir / n, t))
    latest = _plain(tracked.latest(results))
    path = model_dir / "metrics_latest.json"
    _written(lambda: write_json(path, latest))


def _plain(value):
    """`value` with None for numbers that JSON does not know (NaN, inf)."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def write_figures(results, histories, model_dir, further=None):
    """Writes figures/*.png and report.html.

    Args:
        results: Content of `results.json`.
        histories: `{task index: {name: array}}`.
        model_dir: Folder of the run.
        further: `{name: Figure}` of figures that the results do not tell.
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
    _written(lambda: report.write_report(page, histories, path, further))


def read(model_dir):
    """The content of a run's `results.json`.

    Raises:
        UserError: If the folder holds none.
    """
    try:
        found = read_json(pathlib.Path(model_dir) / "results.json")
        names = [task["name"] for task in found["tasks"]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(
            f"{model_dir} has no results of a run: {error}. Give the "
            "--model_dir of runs that have learned at least one task."
        ) from error
    if not names:
        raise UserError(
            f"{model_dir} has not learned a task yet. Wait for its first."
        )
    return found


def _written(write):
    try:
        write()
    except OSError as error:
        raise RunError(
            f"Cannot write {getattr(error, 'filename', None) or 'a result'}: "
            f"{error.strerror or error}. Everything learned is saved: make "
            "room and start the same command again."
        ) from error
