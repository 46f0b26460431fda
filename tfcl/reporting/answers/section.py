"""The part of report.html that shows what tasks answer wrongly."""

from __future__ import annotations

import base64
import io
import typing

import numpy as np
from PIL import Image

from tfcl.metrics.calibration import expected_calibration_error
from tfcl.metrics.confusion import class_accuracies, confused_pairs
from tfcl.reporting import tables
from tfcl.reporting.answers.answers import class_name, num_classes
from tfcl.reporting.answers.figures import rows_and_columns
from tfcl.reporting.answers.reliability import reliability_svg
from tfcl.reporting.markup import details, shown, table

if typing.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tfcl.reporting.answers.answers import Answers, VisitAnswers


STYLE = """
.classes th, .classes td { padding: .3rem .35rem; }
.classes td:first-child { min-width: 6.5rem; }
.pair { display: flex; flex-wrap: wrap; gap: .4rem 2rem; }
.pair > div { flex: 1 1 17rem; min-width: 0; max-width: 30rem; }
.map { width: 100%; max-width: 22rem; image-rendering: pixelated;
  border: 1px solid var(--line); background: #fff; }
.count td, .count th { text-align: center; padding: .2rem .35rem; }
.count tbody th { text-align: right; vertical-align: middle; }
.count td { min-width: 2rem; }
.sheet { display: flex; flex-wrap: wrap; gap: .6rem; }
.sheet div { width: 5.6rem; font-size: .8em; line-height: 1.3;
  overflow-wrap: anywhere; border-top: 3px solid #d55e00; }
.sheet div.ok { border-color: #009e73; }
.sheet img { width: 100%; image-rendering: pixelated; background: #fff; }
.curve { width: 100%; max-width: 16rem; }
h3 { font-size: 1rem; margin: 1rem 0 .3rem; }
h4 { font-size: .9rem; margin: .4rem 0; color: var(--soft); }
"""
_MOST_COUNTS = 12  # Classes up to which a confusion matrix has numbers.
_MOST_LINES = 10
_MOST_CLASSES = 20
_WHEN = {"learned": "When learned", "end": "At the end"}
_NOTE = (
    "What each task answers to its test images, when it was learned and at "
    "the end of the run. The calibration error (expected calibration error, "
    "15 bins) is the mean distance between how sure answers are and how often "
    "they are right."
)


def answers_section(
    tasks: Iterable[tuple[str, Sequence[str], VisitAnswers]],
) -> str:
    """HTML of all tasks of which answers are known; "" if there are none.

    Each task is folded, so that a page of many tasks opens at once.

    Args:
        tasks: `(task, class names, VisitAnswers)`.
    """
    tasks = list(tasks)
    newest = max(
        (
            found.visits
            for *_, answers in tasks
            for found in answers.moments().values()
        ),
        default=0,
    )
    parts = []
    for number, (name, names, answers) in enumerate(tasks, 1):
        if answers.moments():
            content = _stale(answers, newest) + _task(names, answers)
            parts.append(details(_title(number, name, answers), content))
        elif answers.without:
            line = shown(f"{number}. {name}: {answers.without}")
            parts.append(f'<p class="soft">{line}</p>')
    if not parts:
        return ""
    return f'<p class="soft">{_NOTE}</p>' + "".join(parts)


def _title(number, name, answers):
    facts = []
    for moment, found in answers.differing().items():
        error = expected_calibration_error(found.calibration())
        facts.append(
            f"{_WHEN[moment].lower()} {tables.percent(found.right.mean())} % "
            f"right, calibration error {tables.percent(error)} %"
        )
    if answers.end is not None and not answers.changed:
        facts.append("the same at the end")
    return f"{number}. {name}: {'; '.join(facts)}"


def _task(names, answers):
    width = num_classes(names, answers)
    counts = {
        moment: found.confusion(width)
        for moment, found in answers.differing().items()
    }
    classes = _classes(names, counts)
    text = f'<h3>Classes</h3><div class="classes">{classes}</div>'
    text += "<h3>Confusion</h3>" + _side_by_side(
        {moment: _confusion(names, each) for moment, each in counts.items()}
    )
    sheets = {
        moment: _sheet(names, found)
        for moment, found in answers.differing().items()
    }
    text += "<h3>Most confident mistakes, and a few right answers</h3>"
    text += _side_by_side(sheets)
    text += "<h3>Calibration</h3>" + _side_by_side(
        {
            moment: reliability_svg(found.calibration())
            for moment, found in answers.differing().items()
        }
    )
    return text


def _stale(answers, newest):
    """Says that the answers of the end are those of an earlier end."""
    end = answers.end
    if not answers.changed or end is None or end.visits == newest:
        return ""
    return (
        '<p class="soft">The last answers that are known are those after '
        f"{end.visits} learned tasks: later there were no test images.</p>"
    )


def _side_by_side(parts):
    cells = "".join(
        f"<div><h4>{_WHEN[moment]}</h4>{text}</div>"
        for moment, text in parts.items()
    )
    return f'<div class="pair">{cells}</div>'


def _classes(names, counts):
    """Support and accuracy of each class, the worst at last first."""
    accuracies = {m: class_accuracies(each)[0] for m, each in counts.items()}
    support = class_accuracies(next(iter(counts.values())))[1]
    last = list(accuracies.values())[-1]
    rows = np.flatnonzero(support)
    rows = rows[np.argsort(last[rows], kind="stable")]
    header = ["class", *(f"{moment} %" for moment in accuracies)]
    both = len(accuracies) == 2
    header += ["change", "images"] if both else ["images"]
    lines = []
    for k in rows:
        cells = [class_name(names, k)]
        cells += [tables.percent(each[k]) for each in accuracies.values()]
        if both:
            first, second = accuracies.values()
            cells.append(tables.points(second[k] - first[k]))
        lines.append([*cells, support[k]])
    kinds = "01111"[: len(header)]
    if len(lines) <= _MOST_CLASSES:
        return table(header, lines, kinds)
    worst = table(header, lines[:_MOST_LINES], kinds)
    others = table(header, lines[_MOST_LINES:], kinds)
    return worst + details(f"{len(lines) - _MOST_LINES} better ones", others)


def _confusion(names, counts):
    rows, columns = rows_and_columns(counts)
    pairs = confused_pairs(counts)
    if len(columns) <= _MOST_COUNTS:
        return _count_table(names, counts, rows, columns)
    text = _map(counts[np.ix_(rows, columns)])
    if not pairs:
        return f"{text}<p>No mistake.</p>"
    lines = [
        (class_name(names, t), class_name(names, g), count)
        for t, g, count in pairs[:_MOST_LINES]
    ]
    text += table(("true class", "given class", "images"), lines, "001")
    if len(pairs) > _MOST_LINES:
        rest = sum(count for *_, count in pairs[_MOST_LINES:])
        text += (
            f'<p class="soft">and {rest} images in {len(pairs) - _MOST_LINES} '
            "further pairs: confusion.csv</p>"
        )
    return text


def _count_table(names, counts, rows, columns):
    """Rows are true classes, columns given ones; darker is more of a row."""
    head = "".join(f"<th>{shown(class_name(names, g))}</th>" for g in columns)
    body = ""
    for t in rows:
        cells = ""
        for g in columns:
            count, share = counts[t, g], counts[t, g] / counts[t].sum()
            ink = ";color:#fff" if share > 0.5 else ""
            style = f' style="background:rgba(0,114,178,{share:.2f}){ink}"'
            cells += f"<td{style if count else ''}>{count or ''}</td>"
        body += f"<tr><th>{shown(class_name(names, t))}</th>{cells}</tr>"
    return (
        '<div class="wide"><table class="count"><thead><tr><th>true \\ given'
        f"</th>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        '<p class="soft">Numbers of images; darker is a larger share of the '
        "row.</p>"
    )


def _map(counts):
    """A matrix of many classes as a small image, a pixel per entry."""
    shares = counts / counts.sum(axis=1, keepdims=True)
    # 16 shades; even a single mistake gets one that can be seen.
    shades = np.where(counts > 0, np.clip(np.ceil(15 * shares), 2, 15), 0)
    image = Image.fromarray(shades.astype(np.uint8), mode="P")
    white, blue = np.array([255, 255, 255]), np.array([0, 62, 110])
    colours = [white + (blue - white) * k / 15 for k in range(16)]
    image.putpalette(np.round(colours).astype(np.uint8).tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True, bits=4)
    about = (
        f"confusion matrix, {counts.shape[0]} true classes by "
        f"{counts.shape[1]} given ones"
    )
    return (
        f'<img class="map" loading="lazy" alt="{about}" '
        f'src="{_data(buffer.getvalue())}"><p class="soft">A row per true '
        "class, a column per given class, in the order of the classes; darker "
        "is a larger share of the row.</p>"
    )


def _sheet(names, answers: Answers):
    cells = ""
    for row in answers.shown():
        true, given = (
            shown(class_name(names, int(each[row])))
            for each in (answers.labels, answers.given)
        )
        right = answers.labels[row] == answers.given[row]
        words = f"<b>{true}</b>" if right else f"<b>{true}</b><br>as {given}"
        score = f"{100 * float(answers.scores[row]):.1f} %"
        image = answers.images.get(row)
        seen = f"test image {row}<br>"
        if image:
            seen = (
                f'<img loading="lazy" alt="{true}" title="test image {row}" '
                f'src="{_data(image)}">'
            )
        kind = ' class="ok"' if right else ""
        cells += f"<div{kind}>{seen}{words}<br>{score}</div>"
    text = f'<div class="sheet">{cells}</div>'
    if answers.without_images:
        text += f'<p class="soft">{shown(answers.without_images)}</p>'
    return text


def _data(image):
    kind = "png" if image.startswith(b"\x89PNG") else "jpeg"
    content = base64.b64encode(image).decode("ascii")
    return f"data:image/{kind};base64,{content}"
