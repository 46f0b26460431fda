"""Numbers under the names that SPG's program tracks them by."""

from __future__ import annotations

import typing

import numpy as np

from tfcl.metrics import accuracy_matrix
from tfcl.metrics.matrix_csv import written
from tfcl.metrics.weighted_metrics import (
    weighted_accuracy_curve,
    weighted_backward_transfer_curve,
)

if typing.TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def loss_csv(results: Mapping[str, Any]) -> str:
    """Text of `loss.csv`: test losses in the form of `accuracy_matrix.csv`."""
    names = results["task_names"]
    losses = np.array(results["loss_matrix"], float).reshape(-1, len(names))
    return written(losses, names, results["visits"])


def latest(results: Mapping[str, Any]) -> dict[str, Any]:
    """What is known after the last learned task, `{name: number}`.

    Names: `acc__<task>`, `btf__<task>` (accuracy now less that right after
    the task), both with `Overall`, weighted by test figures;
    `sec_each_consumed` and `sec_total_consumed`, importance passes counted;
    `epoch`, the last one's number from 0.
    """
    tasks = results["tasks"]
    if not tasks:
        return {}
    rows = [
        [np.nan if v is None else v for v in row]
        for row in results["accuracy_matrix"]
    ]
    # Tasks that came again count from their last visit on.
    matrix, order = accuracy_matrix.at_last_visits(rows, results["visits"])
    order = order[: len(matrix)]
    by_index = {task["index"]: task for task in tasks}
    sizes = [by_index[index]["sizes"]["test"] for index in order]
    matrix = matrix[:, : len(order)]
    found = {}
    for place, index in enumerate(order):
        name = by_index[index]["name"]
        found[f"acc__{name}"] = float(matrix[-1, place])
        change = matrix[-1, place] - matrix[place, place]
        found[f"btf__{name}"] = float(change)
    newest = max(tasks, key=lambda task: task["visit"])
    return {
        **found,
        "acc__Overall": float(weighted_accuracy_curve(matrix, sizes)[-1]),
        "btf__Overall": float(
            weighted_backward_transfer_curve(matrix, sizes)[-1]
        ),
        "sec_each_consumed": newest["seconds"],
        "sec_total_consumed": results["seconds"],
        "epoch": newest["epochs"] - 1,
    }
