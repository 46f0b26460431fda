"""The accuracy matrix as a text file."""

import csv
import io
import itertools
import math

import numpy as np
from absl.testing import absltest, parameterized

from tfcl.metrics import matrix_csv

_NAMES = ["birds", "cars", "dogs", "flowers"]
_R = [
    [0.90, 0.20, 0.15, 0.25],
    [0.80, 0.85, 0.30, 0.20],
    [0.92, 0.70, 0.95, 0.40],
    [0.75, 0.72, 0.97, 0.88],
]
_LOWER = [
    [_R[i][j] if j <= i else math.nan for j in range(4)] for i in range(4)
]


class CsvTest(parameterized.TestCase):
    def test_the_text_is_exactly_the_documented_one(self):
        text = matrix_csv.to_csv([[0.9, math.nan], [1, 2 / 3]], ["a", "b, c"])
        self.assertEqual(
            text, 'after_task,a,"b, c"\na,0.900000,\n"b, c",1.000000,0.666667\n'
        )

    @parameterized.parameters(0, 1, 2, 3, 4)
    def test_a_round_trip_changes_nothing(self, k):
        for rows in (_R, _LOWER):
            matrix = np.array(rows)[:k]
            text = matrix_csv.to_csv(matrix, _NAMES)
            actual, names = matrix_csv.from_csv(text)
            np.testing.assert_array_equal(actual, matrix)
            self.assertEqual(names, _NAMES)
            self.assertEqual(matrix_csv.to_csv(actual, names), text)

    def test_a_longer_run_only_appends_lines(self):
        texts = [matrix_csv.to_csv(_R[:k], _NAMES) for k in range(1, 5)]
        for shorter, longer in itertools.pairwise(texts):
            self.assertStartsWith(longer, shorter)

    def test_commas_quotes_and_other_alphabets_survive(self):
        names = ["a,b", 'say "c"', "åé 木", " d"]
        text = matrix_csv.to_csv(_R, names)
        self.assertEqual(matrix_csv.from_csv(text)[1], names)
        self.assertEqual(next(csv.reader(io.StringIO(text)))[1:], names)

    def test_other_line_ends_and_blank_lines_are_read(self):
        text = matrix_csv.to_csv(_R, _NAMES).replace("\n", "\r\n") + "\r\n"
        actual, _ = matrix_csv.from_csv(text)
        np.testing.assert_array_equal(actual, _R)

    def test_a_repeated_task_name_is_an_error(self):
        with self.assertRaisesRegex(ValueError, "none repeated"):
            matrix_csv.to_csv(_R, ["a", "b", "a", "c"])
        with self.assertRaisesRegex(ValueError, "none repeated"):
            matrix_csv.from_csv("after_task,a,a\na,0.5,0.5\n")

    @parameterized.parameters(
        (["a", "b", "c"],),
        (["a", "b", "c", ""],),
        (["a", "b", "c", "d\ne"],),
        (["a", "b", "c", 4],),
    )
    def test_names_must_be_one_printable_text_per_task(self, names):
        with self.assertRaisesRegex(ValueError, "printable name"):
            matrix_csv.to_csv(_R, names)

    @parameterized.named_parameters(
        ("no_text", "", "header"),
        ("no_header", "a,0.5\n", "header"),
        ("wrong_order", "after_task,a,b\nb,0.5,0.5\n", "Line 2"),
        ("too_few_cells", "after_task,a,b\na,0.5\n", "Line 2"),
        ("too_many_cells", "after_task,a\na,0.5,0.5\n", "Line 2"),
        ("too_many_rows", "after_task,a\na,0.5\nb,0.5\n", "Line 3"),
        ("no_number", "after_task,a\na,x\n", "Line 2"),
        ("nan", "after_task,a,b\na,0.5,nan\n", "Line 2"),
        ("percent", "after_task,a\na,83.0\n", "Line 2"),
        ("above_one", "after_task,a\na,1.5\n", r"fractions in \[0, 1\]"),
    )
    def test_a_malformed_text_is_an_error(self, text, message):
        with self.assertRaisesRegex(ValueError, message):
            matrix_csv.from_csv(text)

    def test_an_accuracy_that_is_not_known_stays_so(self):
        """Of a task that has changed while its images were not there."""
        R = np.array([[0.5, math.nan], [math.nan, 0.5]])
        text = matrix_csv.to_csv(R, ["a", "b"])
        self.assertEqual(text, "after_task,a,b\na,0.500000,\nb,,0.500000\n")
        np.testing.assert_array_equal(matrix_csv.from_csv(text)[0], R)


if __name__ == "__main__":
    absltest.main()
