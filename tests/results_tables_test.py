"""Numbers of docs/results.md against the matrices that they come from."""

import csv
import pathlib
import re

import numpy as np
import pytest

_DOCS = pathlib.Path(__file__).parent.parent / "docs"
_LINK = re.compile(r"\(results/([^)]+\.csv)\)")


def _learned(matrix):
    return 100 * np.diagonal(matrix).mean()


def _final(matrix):
    return 100 * matrix[-1].mean()


def _forgetting(matrix):
    """Chaudhry et al. 2018: below the best of earlier rows."""
    best = np.nanmax(matrix[:-1, :-1], axis=0)
    return 100 * (best - matrix[-1, :-1]).mean()


def _backward_transfer(matrix):
    """Lopez-Paz and Ranzato 2017."""
    learned = np.diagonal(matrix)[:-1]
    return 100 * (matrix[-1, :-1] - learned).mean()


_COLUMNS = {
    "own %": _learned,
    "learned %": _learned,
    "final %": _final,
    "mean %": _final,
    "forgetting": _forgetting,
    "BWT, points": _backward_transfer,
}


def _rows():
    """`{column: cell}` of the rows of tables that link to matrices."""
    rows, header = [], None
    for line in (_DOCS / "results.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            header = None
        elif header is None:
            header = cells
        elif _LINK.search(cells[0]):
            rows.append(dict(zip(header, cells, strict=True)))
    return rows


@pytest.mark.parametrize(
    "row", _rows(), ids=lambda row: _LINK.search(next(iter(row.values())))[1]
)
def test_a_row_tells_what_its_matrices_hold(row):
    names = _LINK.findall(next(iter(row.values())))
    matrices = [_matrix(name) for name in names]
    told = 0
    for column, metric in _COLUMNS.items():
        if row.get(column, "-") == "-":
            continue
        numbers = row[column].split(" / ")
        for number, matrix in zip(numbers, matrices, strict=True):
            assert abs(float(number) - metric(matrix)) < 0.0501, column
            told += 1
    assert told


def _matrix(name):
    with open(_DOCS / "results" / name, encoding="utf-8") as file:
        _, *rows = csv.reader(file)
    return np.array([[float(x or "nan") for x in row[1:]] for row in rows])


def test_every_matrix_is_linked():
    text = (_DOCS / "results.md").read_text("utf-8")
    stored = {path.name for path in (_DOCS / "results").glob("*.csv")}
    assert stored == set(_LINK.findall(text))
