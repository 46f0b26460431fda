"""The metrics of a run on its page: the usual ones, and all others folded."""

from __future__ import annotations

import numbers
import typing

from tfcl.reporting import markup, tables

if typing.TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


# What each metric says, in the order of the table.
_METRICS = {
    "average_accuracy": "Mean test accuracy over the learned tasks, final",
    "average_incremental_accuracy": "Mean of the averages after each task",
    "task_aware_accuracy": "Mean final accuracy where each test image comes "
    "with its task",
    "task_agnostic_accuracy": "The same where it comes without; with heads of "
    "tasks, the class is that of the largest logit of all",
    "micro_average": "Final accuracy on the examples of all test sets together",
    "average_top5_accuracy": "Mean final share of test images whose class is "
    "among the five best answers, over the tasks of more than five classes",
    "learning_accuracy": "Mean accuracy on a task right after learning it",
    "backward_transfer": "Mean change of earlier tasks since they were "
    "learned; below 0: forgotten, above 0: helped by later tasks",
    "forgetting": "Mean over earlier tasks of the best accuracy before the "
    "last task minus the final accuracy; lower is better",
    "retention_ratio": "Mean of final accuracy / accuracy when learned",
    "retention_ratio_peak": "Mean of final accuracy / best accuracy",
    "min_accuracy": "Mean over earlier tasks of the lowest accuracy since "
    "the task was learned",
    "worst_case": "As min accuracy, but including the last task",
    "triangle_accuracy": "Mean of the accuracy matrix up to its diagonal",
    "backward_transfer_all": "Backward transfer, averaged over the moments "
    "after each task",
    "rem": "1 minus the loss in backward transfer all; 1: nothing forgotten",
    "forward_transfer": "Mean accuracy on a task just before learning it "
    "minus that of the untrained network",
    "forward_transfer_all": "Mean accuracy on tasks not learned yet",
    "gain_over_single_task": "Mean accuracy when learned minus that of "
    "individual networks, one per task",
    "final_gap_to_single_task": "Mean final accuracy minus that of "
    "individual networks, one per task",
    "intransigence": "Mean accuracy of joint training minus the accuracy "
    "when learned",
    "intransigence_last": "Intransigence of the last task",
    "model_size_efficiency": "Mean of stored parameters after task 1 / after "
    "each task; at most 1",
    "parameter_growth": "Stored parameters, final / after task 1",
}
_DIFFERENCES = ("backward_", "forgetting", "gain", "final_gap", "intransigence")
_RATIOS = ("retention_", "rem", "model_size_", "parameter_")

# Those that papers give, for a look; the rest is folded.
_USUAL: tuple[str, ...]
_USUAL = ("average_accuracy", "average_incremental_accuracy")
_USUAL += ("learning_accuracy", "backward_transfer", "forgetting")
_USUAL += ("forward_transfer", "intransigence")
_USUAL += ("task_aware_accuracy", "task_agnostic_accuracy")

_COMPARED = "tfcl compare RUN --{name}=OTHER, OTHER a run of {method} {more}"
# How an undefined metric is had, by the begin of the reason.
_WAYS = {
    "only one task": "Learn a second task.",
    "future tasks": "A run measures no task before it has learned it. Measure "
    "them in a loop of your own, and give the matrix to tfcl.metrics.",
    "`initial`": "Give the accuracies of the untrained network to "
    "tfcl.metrics.forward_transfer.",
    "`single_task`": _COMPARED.format(
        name="single_task", method="--method=individual", more="on this stream."
    ),
    "`joint`": _COMPARED.format(
        name="joint",
        method="--method=joint",
        more="with Joint.every_task = True, on this stream.",
    ),
    "an accuracy to divide": "No ratio says anything here: see forgetting, a "
    "difference.",
    "an accuracy is not known": "Start the run's command once more with the "
    "test images of all tasks at hand.",
    "`test_sizes`": "Give the numbers of test examples to "
    "tfcl.metrics.micro_average.",
    "`parameters`": "Give the numbers of stored parameters to "
    "tfcl.metrics.{name}.",
}
# Of a reason that no run gives.
_OTHERWISE = "Compute it from the matrix by tfcl.metrics.{name}."


def section(metrics: Mapping[str, Any]) -> str:
    """The metrics as HTML.

    Args:
        metrics: Of `results.json`: numbers, lists and None by name, and under
            "undefined" the reasons.
    """
    metrics = dict(metrics)
    undefined = metrics.pop("undefined", {})
    order = {name: k for k, name in enumerate(_METRICS)}
    names = sorted(metrics, key=lambda name: order.get(name, len(order)))
    lists = [name for name in names if isinstance(metrics[name], list)]
    known = [n for n in names if n not in lists and metrics[n] is not None]
    missing = [n for n in names if metrics[n] is None]
    usual = [name for name in known if name in _USUAL]
    others = [name for name in known if name not in _USUAL]
    text = _metric_table(usual, metrics)
    if others:
        content = _metric_table(others, metrics)
        text += markup.details(_counted(len(others), "further"), content)
    if lists:
        rows = [
            (markup.words(n), " ".join(map(tables.percent, metrics[n])))
            for n in lists
        ]
        content = markup.table(("metric", "per task, in percent"), rows)
        text += markup.details("Curves and values per task", content)
    if missing:
        rows = [_missing_row(name, undefined.get(name, "")) for name in missing]
        content = _missing_table(rows)
        text += markup.details(_counted(len(missing), "undefined"), content)
    return text


def _counted(number, kind):
    return f"{number} {kind} metric{'s' if number > 1 else ''}"


def _metric_table(names, metrics):
    """Metric with its meaning below, and its value: narrow enough."""
    if not names:
        return ""
    rows = "".join(
        f"<tr><td>{markup.shown(markup.words(name))}"
        f'<div class="soft">{markup.shown(_METRICS.get(name, ""))}</div></td>'
        f'<td class="n">{markup.shown(metric_text(name, metrics))}</td></tr>\n'
        for name in names
    )
    return f"<table><tbody>{rows}</tbody></table>"


def _missing_table(rows):
    """Metric with the reason below, and the way: narrow enough."""
    body = "".join(
        f'<tr><td>{markup.shown(name)}<div class="soft">{markup.shown(why)}'
        f"</div></td><td>{markup.shown(way)}</td></tr>\n"
        for name, why, way in rows
    )
    head = "<th>metric, and why it is undefined</th><th>how to get it</th>"
    return (
        f'<table class="ways"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def _missing_row(name, reason):
    ways = [way for cause, way in _WAYS.items() if cause in reason]
    text = " ".join(ways or [_OTHERWISE])
    return markup.words(name), reason, text.replace("{name}", name)


def metric_text(name: str, metrics: Mapping[str, Any]) -> str:
    """A metric as it is written: in percent, points, or a ratio."""
    value = metrics.get(name)
    if not isinstance(value, numbers.Real):
        return tables.UNKNOWN if value is None else str(value)
    if name.startswith(_DIFFERENCES):
        return f"{tables.points(value)} points"
    if name.startswith(_RATIOS) or name not in _METRICS:
        return f"{value:.4g}"
    return f"{tables.percent(value)} %"
