"""Tests of the accuracy-matrix metrics."""

import ast
import inspect
import json
import math

import numpy as np
from absl.testing import absltest, parameterized

from tfcl.metrics import accuracy_matrix, matrix_csv

NAN = math.nan
R = [
    [0.90, 0.20, 0.15, 0.25],
    [0.80, 0.85, 0.30, 0.20],
    [0.92, 0.70, 0.95, 0.40],
    [0.75, 0.72, 0.97, 0.88],
]
LOWER = [[R[i][j] if j <= i else NAN for j in range(4)] for i in range(4)]
NAMES = ["birds", "cars", "dogs", "flowers"]
INPUTS = {
    "initial": [0.20, 0.25, 0.20, 0.25],
    "single_task": [0.92, 0.80, 0.96, 0.86],
    "joint": [0.90, 0.88, 0.96, 0.92],
    "test_sizes": [100, 100, 300, 100],
    "parameters": [100, 120, 120, 150],
}
# Metric -> its value for `R` and `INPUTS`, worked by hand.
EXPECTED = {
    "average_accuracy": 0.83,
    "average_accuracy_curve": [0.9, 0.825, 0.856667, 0.83],
    "average_incremental_accuracy": 0.852917,
    "micro_average": 0.876667,
    "backward_transfer": -0.086667,
    "forgetting": 0.093333,
    "forgetting_per_task": [0.17, 0.13, -0.02],
    "forgetting_curve": [NAN, 0.1, 0.065, 0.093333],
    "forward_transfer": 0.066667,
    "gain_over_single_task": 0.01,
    "final_gap_to_single_task": -0.055,
    "learning_accuracy": 0.895,
    "intransigence": 0.02,
    "intransigence_last": 0.04,
    "intransigence_per_task": [0.0, 0.03, 0.01, 0.04],
    "retention_ratio": 0.925361,
    "retention_ratio_peak": 0.915569,
    "min_accuracy": 0.806667,
    "worst_case": 0.825,
    "triangle_accuracy": 0.844,
    "backward_transfer_all": -0.081667,
    "rem": 0.918333,
    "forward_transfer_all": 0.25,
    "model_size_efficiency": 0.833333,
    "parameter_growth": 1.5,
}
UNDEFINED_FOR_ONE_TASK = (
    "backward_transfer",
    "backward_transfer_all",
    "forgetting",
    "forgetting_curve",
    "forgetting_per_task",
    "forward_transfer",
    "forward_transfer_all",
    "min_accuracy",
    "rem",
)
ALL_METRICS = [{"testcase_name": n, "name": n} for n in EXPECTED]
OF_MATRIX = [case for case in ALL_METRICS if "param" not in case["name"]]
OF_MATRIX = [c for c in OF_MATRIX if "model_size" not in c["name"]]


def call(name, matrix, **replaced):
    """Calls a metric with the arguments it names."""
    function = getattr(accuracy_matrix, name)
    given = {"R": matrix, **INPUTS, **replaced}
    wanted = inspect.signature(function).parameters
    return function(**{key: given[key] for key in wanted})


def as_array(value):
    """A summary entry as floats: None becomes NaN."""
    return np.array(value, dtype=np.float64)


class AccuracyMatrixTest(parameterized.TestCase):
    def assert_close(self, actual, expected):
        np.testing.assert_allclose(
            as_array(actual), as_array(expected), rtol=0, atol=1e-6
        )

    @parameterized.named_parameters(ALL_METRICS)
    def test_worked_example(self, name):
        self.assert_close(call(name, R), EXPECTED[name])

    def test_summary_holds_every_metric_of_the_worked_example(self):
        summary = accuracy_matrix.summarise(R, **INPUTS)
        self.assertEqual(summary.pop("undefined"), {})
        self.assertCountEqual(summary, EXPECTED)
        for name, expected in EXPECTED.items():
            self.assert_close(summary[name], expected)

    def test_over_seeds_of_the_worked_example(self):
        result = accuracy_matrix.over_seeds([0.83, 0.81, 0.85])
        self.assert_close(result["mean"], 0.83)
        self.assert_close(result["std"], 0.02)
        self.assert_close(result["half_width"], 0.049683)

    # What makes each definition differ from its look-alikes.

    def test_forgetting_compares_with_the_best_not_the_first_accuracy(self):
        matrix = [[0.5, NAN, NAN], [0.9, 0.5, NAN], [0.6, 0.5, 0.5]]
        self.assert_close(accuracy_matrix.forgetting(matrix), 0.15)
        self.assert_close(accuracy_matrix.backward_transfer(matrix), 0.05)

    def test_forgetting_is_negative_when_the_last_row_is_the_best(self):
        matrix = [[0.5, NAN], [0.8, 0.9]]
        self.assert_close(accuracy_matrix.forgetting(matrix), -0.3)

    def test_accuracy_before_learning_never_counts_as_a_peak(self):
        matrix = [[0.5, 1.0], [0.5, 0.4]]
        self.assert_close(accuracy_matrix.retention_ratio_peak(matrix), 1.0)
        self.assert_close(accuracy_matrix.forgetting(matrix), 0.0)

    def test_macro_mean_ignores_test_sizes_and_micro_follows_them(self):
        matrix = [[1.0, NAN], [1.0, 0.0]]
        self.assert_close(accuracy_matrix.average_accuracy(matrix), 0.5)
        self.assert_close(accuracy_matrix.micro_average(matrix, [3, 1]), 0.75)

    def test_rem_is_one_when_nothing_is_forgotten(self):
        self.assert_close(accuracy_matrix.rem([[0.5, NAN], [0.9, 0.5]]), 1.0)

    def test_model_size_efficiency_of_a_shrinking_model_is_one(self):
        self.assert_close(accuracy_matrix.model_size_efficiency([4, 2]), 1.0)

    def test_ties_change_nothing(self):
        summary = accuracy_matrix.summarise(np.full((3, 3), 0.5))
        for name in ("forgetting", "backward_transfer"):
            self.assertEqual(summary[name], 0.0)
        for name in ("min_accuracy", "worst_case", "triangle_accuracy"):
            self.assertEqual(summary[name], 0.5)
        self.assertEqual(summary["retention_ratio_peak"], 1.0)

    def test_metrics_follow_the_position_in_the_stream(self):
        order = [1, 0]
        matrix = np.array([[0.9, 0.2], [0.6, 0.8]])
        swapped = matrix[np.ix_(order, order)]
        self.assert_close(accuracy_matrix.backward_transfer(matrix), -0.3)
        self.assert_close(accuracy_matrix.backward_transfer(swapped), -0.6)

    # Undefined is NaN, or None with a reason; never 0.

    @parameterized.parameters(*UNDEFINED_FOR_ONE_TASK)
    def test_one_task_leaves_it_undefined(self, name):
        one = {key: values[:1] for key, values in INPUTS.items()}
        value = np.asarray(call(name, [[0.9]], **one))
        self.assertTrue(np.isnan(value).all())
        self.assertIn(value.shape, [(), (0,), (1,)])
        summary = accuracy_matrix.summarise([[0.9]])
        self.assertIsNone(summary[name])
        self.assertEqual(
            summary["undefined"][name], "only one task has been learned"
        )

    def test_one_task_leaves_everything_else_defined(self):
        one = {key: values[:1] for key, values in INPUTS.items()}
        summary = accuracy_matrix.summarise([[0.9]], **one)
        self.assertCountEqual(summary["undefined"], UNDEFINED_FOR_ONE_TASK)
        self.assert_close(summary["worst_case"], 0.9)
        self.assert_close(summary["retention_ratio"], 1.0)
        self.assert_close(summary["intransigence"], 0.0)

    def test_forward_transfer_is_undefined_without_future_evaluations(self):
        summary = accuracy_matrix.summarise(LOWER, **INPUTS)
        reason = "future tasks were not evaluated"
        self.assertEqual(
            summary["undefined"],
            {"forward_transfer": reason, "forward_transfer_all": reason},
        )
        self.assertIsNone(summary["forward_transfer"])
        self.assertIsNone(summary["forward_transfer_all"])

    @parameterized.parameters((0, 1), (1, 2), (2, 3))
    def test_one_missing_next_task_makes_forward_transfer_nan(self, i, j):
        matrix = np.array(R)
        matrix[i, j] = NAN
        self.assertTrue(np.isnan(call("forward_transfer", matrix)))

    def test_forward_transfer_needs_only_the_next_task(self):
        matrix = np.array(R)
        matrix[0, 2:] = matrix[1, 3] = NAN
        self.assert_close(call("forward_transfer", matrix), 0.066667)
        self.assertTrue(np.isnan(call("forward_transfer_all", matrix)))

    def test_missing_upper_cells_change_no_other_metric(self):
        summary = accuracy_matrix.summarise(LOWER, **INPUTS)
        for name in set(EXPECTED) - set(summary["undefined"]):
            self.assert_close(summary[name], EXPECTED[name])

    def test_a_summary_names_the_inputs_that_were_not_given(self):
        undefined = accuracy_matrix.summarise(R)["undefined"]
        self.assertEqual(
            undefined,
            {
                "forward_transfer": "`initial` was not given",
                "gain_over_single_task": "`single_task` was not given",
                "final_gap_to_single_task": "`single_task` was not given",
                "intransigence": "`joint` was not given",
                "intransigence_last": "`joint` was not given",
                "intransigence_per_task": "`joint` was not given",
                "micro_average": "`test_sizes` was not given",
                "model_size_efficiency": "`parameters` was not given",
                "parameter_growth": "`parameters` was not given",
            },
        )

    def test_forward_transfer_can_lack_both_of_its_inputs(self):
        self.assertEqual(
            accuracy_matrix.summarise(LOWER)["undefined"]["forward_transfer"],
            "future tasks were not evaluated and `initial` was not given",
        )

    def test_the_reason_blames_no_cell_that_is_not_needed(self):
        matrix = np.array(R)
        matrix[0, 3] = NAN
        undefined = accuracy_matrix.summarise(matrix)["undefined"]
        self.assertEqual(
            undefined["forward_transfer"], "`initial` was not given"
        )

    def test_retention_of_a_task_never_learned_is_undefined(self):
        summary = accuracy_matrix.summarise([[0.0, NAN], [0.5, 0.5]])
        self.assertIsNone(summary["retention_ratio"])
        self.assertEqual(
            summary["undefined"]["retention_ratio"],
            "an accuracy to divide by is 0",
        )
        self.assert_close(summary["retention_ratio_peak"], 1.0)
        summary = accuracy_matrix.summarise([[0.0, NAN], [0.0, 0.5]])
        self.assertIsNone(summary["retention_ratio_peak"])

    def test_a_summary_is_strict_json_of_plain_numbers(self):
        for matrix in (R, LOWER, [[1]]):
            summary = accuracy_matrix.summarise(matrix)
            text = json.dumps(summary, allow_nan=False)
            self.assertEqual(json.loads(text), summary)

    def test_the_forgetting_curve_begins_with_null(self):
        summary = accuracy_matrix.summarise(R)
        self.assertIsNone(summary["forgetting_curve"][0])

    # Wrong input.

    @parameterized.parameters(
        (i, j) for i in range(4) for j in range(4) if j <= i
    )
    def test_a_missing_lower_cell_is_an_error_naming_it(self, i, j):
        matrix = np.array(R)
        matrix[i, j] = NAN
        with self.assertRaisesRegex(ValueError, rf"\({i + 1}, {j + 1}\)"):
            accuracy_matrix.summarise(matrix)

    @parameterized.named_parameters(OF_MATRIX)
    def test_every_metric_rejects_a_missing_lower_cell(self, name):
        matrix = np.array(R)
        matrix[2, 1] = NAN
        with self.assertRaisesRegex(ValueError, r"\(3, 2\).*R\[2, 1\]=nan"):
            call(name, matrix)

    @parameterized.parameters(-0.01, 1.01, 83.0, math.inf, -math.inf)
    def test_an_accuracy_outside_zero_to_one_is_an_error(self, value):
        for cell in ((3, 0), (0, 3)):
            matrix = np.array(R)
            matrix[cell] = value
            with self.assertRaisesRegex(ValueError, r"fractions in \[0, 1\]"):
                accuracy_matrix.average_accuracy(matrix)

    @parameterized.product(
        name=("initial", "single_task", "joint"),
        value=(-0.01, 1.01, math.inf, NAN, None),
    )
    def test_a_reference_accuracy_must_be_a_fraction(self, name, value):
        values = [0.5, 0.5, value, 0.5]
        with self.assertRaisesRegex(ValueError, f"`{name}` must hold fract"):
            accuracy_matrix.summarise(R, **{name: values})

    @parameterized.product(
        name=("test_sizes", "parameters"), value=(0, -1, math.inf, NAN)
    )
    def test_a_size_must_be_positive_and_finite(self, name, value):
        with self.assertRaisesRegex(ValueError, f"`{name}` must hold positive"):
            accuracy_matrix.summarise(R, **{name: [1, 1, 1, value]})

    @parameterized.parameters(*INPUTS)
    def test_an_input_of_another_length_is_an_error(self, name):
        for length in (0, 2, 5):
            with self.assertRaisesRegex(ValueError, f"`{name}` must have one"):
                accuracy_matrix.summarise(R[:3], **{name: [0.5] * length})

    @parameterized.parameters(
        ([],), ([0.5],), (0.5,), ([[0.5], [0.5]],), (np.zeros((0, 3)),)
    )
    def test_a_matrix_of_impossible_shape_is_an_error(self, matrix):
        with self.assertRaisesRegex(ValueError, "`R` must have"):
            accuracy_matrix.average_accuracy(matrix)
        with self.assertRaisesRegex(ValueError, "`R` must have"):
            accuracy_matrix.micro_average(matrix, [1])

    def test_no_parameters_are_an_error(self):
        with self.assertRaisesRegex(ValueError, "`parameters` must hold"):
            accuracy_matrix.model_size_efficiency([])

    # Number types and purity.

    @parameterized.named_parameters(ALL_METRICS)
    def test_float32_gives_the_same_numbers(self, name):
        inputs = {k: np.array(v, np.float32) for k, v in INPUTS.items()}
        value = call(name, np.array(R, np.float32), **inputs)
        self.assert_close(value, EXPECTED[name])

    @parameterized.named_parameters(OF_MATRIX)
    def test_integers_give_the_same_numbers(self, name):
        matrix = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
        inputs = {key: [1, 1, 1] for key in INPUTS}
        self.assert_close(
            call(name, matrix, **inputs),
            call(name, np.array(matrix, np.float64), **inputs),
        )

    @parameterized.named_parameters(ALL_METRICS)
    def test_no_metric_modifies_its_input(self, name):
        matrix = np.array(LOWER)
        inputs = {k: np.array(v, np.float64) for k, v in INPUTS.items()}
        before = {k: v.tobytes() for k, v in inputs.items()}
        for array in (matrix, *inputs.values()):
            array.flags.writeable = False
        call(name, matrix, **inputs)
        self.assertEqual(matrix.tobytes(), np.array(LOWER).tobytes())
        for key, array in inputs.items():
            self.assertEqual(array.tobytes(), before[key])

    def test_summary_and_csv_do_not_modify_their_input(self):
        rows = [list(row) for row in R]
        inputs = {key: list(values) for key, values in INPUTS.items()}
        names = list(NAMES)
        accuracy_matrix.summarise(rows, **inputs)
        matrix_csv.to_csv(rows, names)
        self.assertEqual((rows, inputs, names), (R, INPUTS, NAMES))

    def test_results_share_no_memory_with_the_input(self):
        matrix = np.array([[0.5]])
        accuracy_matrix.average_accuracy_curve(matrix)[:] = 0
        matrix_csv.from_csv(matrix_csv.to_csv(matrix, ["a"]))
        self.assertEqual(matrix[0, 0], 0.5)

    def test_the_module_imports_only_numpy_and_the_standard_library(self):
        tree = ast.parse(inspect.getsource(accuracy_matrix))
        roots = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                roots |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                roots.add(node.module.split(".")[0])
        known = {"collections", "csv", "io", "math", "numpy", "re"}
        self.assertLessEqual(roots, known)

    # A run in progress.

    @parameterized.parameters(1, 2, 3)
    def test_a_prefix_speaks_of_the_learned_tasks_alone(self, k):
        cut = {key: values[:k] for key, values in INPUTS.items()}
        expected = accuracy_matrix.summarise(np.array(R)[:k, :k], **cut)
        for inputs in (INPUTS, cut):
            self.assertEqual(
                accuracy_matrix.summarise(R[:k], **inputs), expected
            )

    @parameterized.parameters(1, 2, 3, 4)
    def test_a_prefix_gives_the_metric_after_k_tasks(self, k):
        self.assert_close(
            accuracy_matrix.average_accuracy(R[:k]),
            EXPECTED["average_accuracy_curve"][k - 1],
        )
        self.assert_close(
            accuracy_matrix.forgetting(R[:k]),
            EXPECTED["forgetting_curve"][k - 1],
        )

    def test_a_prefix_needs_no_evaluation_of_tasks_to_come(self):
        matrix = np.array(R)[:2]
        matrix[:, 2:] = NAN
        summary = accuracy_matrix.summarise(matrix, initial=INPUTS["initial"])
        self.assert_close(summary["forward_transfer"], 0.20 - 0.25)
        self.assert_close(summary["forward_transfer_all"], 0.20)

    def test_inputs_for_tasks_to_come_may_be_unknown(self):
        joint = [0.9, 0.88, NAN, NAN]
        self.assert_close(accuracy_matrix.intransigence(R[:2], joint), 0.015)

    def test_an_unfilled_row_is_an_error(self):
        matrix = np.full((4, 4), NAN)
        matrix[0] = R[0]
        with self.assertRaisesRegex(ValueError, r"\(2, 1\).*complete rows"):
            accuracy_matrix.average_accuracy(matrix)


# Tasks 0, 1, 2, then 0 and 2 again.
VISITS = [0, 1, 2, 0, 2]
REPEATED = [
    [0.90, NAN, NAN],
    [0.80, 0.70, NAN],
    [0.60, 0.65, 0.50],
    [0.95, 0.60, 0.45],
    [0.85, 0.55, 0.75],
]


class RepeatedTasksTest(parameterized.TestCase):
    def test_a_task_counts_from_its_last_visit_on(self):
        matrix, order = accuracy_matrix.at_last_visits(REPEATED, VISITS)
        self.assertEqual(order.tolist(), [1, 0, 2])
        np.testing.assert_array_equal(
            matrix, [[0.70, 0.80, NAN], [0.60, 0.95, 0.45], [0.55, 0.85, 0.75]]
        )
        # By hand: (0.70 - 0.55 + 0.95 - 0.85) / 2.
        self.assertAlmostEqual(accuracy_matrix.forgetting(matrix), 0.125)
        self.assertAlmostEqual(
            accuracy_matrix.learning_accuracy(matrix), (0.7 + 0.95 + 0.75) / 3
        )

    @parameterized.parameters(1, 2, 3)
    def test_without_a_repeat_nothing_changes(self, k):
        matrix, order = accuracy_matrix.at_last_visits(REPEATED[:k], VISITS[:k])
        np.testing.assert_array_equal(matrix, REPEATED[:k])
        self.assertEqual(order.tolist(), [0, 1, 2])

    def test_a_task_per_row_is_needed(self):
        with self.assertRaisesRegex(ValueError, "visits"):
            accuracy_matrix.at_last_visits(REPEATED, VISITS[:-1])

    def test_the_file_has_a_line_per_visit(self):
        text = matrix_csv.to_csv(REPEATED, ["a", "b", "c"], VISITS)
        labels = [line.split(",")[0] for line in text.splitlines()[1:]]
        self.assertEqual(labels, ["a", "b", "c", "a", "c"])
        matrix, names = matrix_csv.from_csv(text)
        np.testing.assert_array_equal(matrix, REPEATED)
        self.assertEqual(names, ["a", "b", "c"])


class OverSeedsTest(parameterized.TestCase):
    def test_one_seed_has_a_mean_and_no_spread(self):
        result = accuracy_matrix.over_seeds([0.83])
        self.assertEqual(result["mean"], 0.83)
        self.assertTrue(math.isnan(result["std"]))
        self.assertTrue(math.isnan(result["half_width"]))

    def test_integers_and_tuples_are_seeds_too(self):
        result = accuracy_matrix.over_seeds((0, 1))
        self.assertAlmostEqual(result["std"], math.sqrt(0.5))

    @parameterized.parameters(
        ([],), ([0.5, NAN],), ([math.inf],), ([[0.5]],), (0.5,), ([None],)
    )
    def test_values_must_be_finite_numbers(self, values):
        with self.assertRaisesRegex(ValueError, "`values` must hold"):
            accuracy_matrix.over_seeds(values)

    @parameterized.parameters(*range(1, 31))
    def test_the_interval_covers_95_percent_of_student_t(self, freedom):
        # Recovers t from the result and integrates the density up to it.
        values = np.arange(freedom + 1.0)
        result = accuracy_matrix.over_seeds(values)
        t = result["half_width"] * math.sqrt(values.size) / result["std"]
        # In angle, x = sqrt(freedom) tan(angle), the density is a power of cos.
        angle = np.linspace(0.0, math.atan(t / math.sqrt(freedom)), 20001)
        density = np.cos(angle) ** (freedom - 1)
        steps = np.diff(angle)
        inside = np.sum(steps * (density[1:] + density[:-1]) / 2)
        whole = (
            math.sqrt(math.pi)
            * math.gamma(freedom / 2)
            / (2 * math.gamma((freedom + 1) / 2))
        )
        self.assertAlmostEqual(inside / whole, 0.95, delta=1e-7)

    def test_many_seeds_use_the_normal_quantile(self):
        result = accuracy_matrix.over_seeds([0.0, 1.0] * 16)
        expected = 1.96 * result["std"] / math.sqrt(32)
        self.assertAlmostEqual(result["half_width"], expected, places=12)


if __name__ == "__main__":
    absltest.main()
