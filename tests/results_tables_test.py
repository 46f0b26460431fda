"""Numbers of docs/results.md against the matrices that they come from."""

import pathlib
import re

import pytest

from tfcl.metrics import accuracy_matrix, matrix_csv

_DOCS = pathlib.Path(__file__).parent.parent / "docs"
_LINK = re.compile(r"\(results/([^)]+\.csv)\)")


_COLUMNS = {
    "own %": accuracy_matrix.learning_accuracy,
    "learned %": accuracy_matrix.learning_accuracy,
    "final %": accuracy_matrix.average_accuracy,
    "mean %": accuracy_matrix.average_accuracy,
    "forgetting": accuracy_matrix.forgetting,
    "BWT, points": accuracy_matrix.backward_transfer,
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
            assert abs(float(number) - 100 * metric(matrix)) < 0.0501, column
            told += 1
    assert told


def _matrix(name):
    text = (_DOCS / "results" / name).read_text("utf-8")
    return matrix_csv.from_csv(text)[0]


def test_every_matrix_is_linked():
    text = (_DOCS / "results.md").read_text("utf-8")
    stored = {path.name for path in (_DOCS / "results").glob("*.csv")}
    assert stored == set(_LINK.findall(text))
