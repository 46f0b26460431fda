"""Tests of the figures: what they show, and that any input can be drawn."""

import concurrent.futures
import io

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from matplotlib.colors import to_hex
from PIL import Image

from tfcl.reporting import drawing, figures

_ODD_NAMES = ["$x_$", "_hidden", '<b>&"x', "a\nb", "n" * 200]


def _triangle(num_tasks, rows=None):
    R = np.random.default_rng(0).uniform(0.2, 0.9, (num_tasks, num_tasks))
    return np.where(np.tri(num_tasks), R, np.nan)[:rows]


def _names(num_tasks):
    return [f"task_{k:02d}" for k in range(num_tasks)]


def _tasks(num_tasks):
    footprint = {"task_bytes": 3000, "shared_bytes": 5000}
    names = _names(num_tasks)
    return [{"name": name, "footprint": footprint} for name in names]


def _texts(axes):
    return [text.get_text() for text in axes.texts]


def _legend(figure):
    return [t.get_text() for t in figure.axes[0].get_legend().get_texts()]


def _image(figure):
    return Image.open(io.BytesIO(drawing.png_bytes(figure)))


class HeatMapTest(tf.test.TestCase):
    def test_cells_carry_percent_and_the_upper_triangle_is_empty(self):
        R = [[0.5, None, None], [0.25, 1.0, None]]
        figure = figures.accuracy_matrix(R, ["a", "b", "c"])
        axes = figure.axes[0]
        cells = {t.get_position(): t.get_text() for t in axes.texts}
        self.assertEqual(
            cells, {(0.5, 0.5): "50.0", (0.5, 1.5): "25.0", (1.5, 1.5): "100.0"}
        )
        drawn = np.ma.getmaskarray(axes.collections[0].get_array())
        self.assertAllEqual(
            ~drawn.reshape(2, 3), [[True, False, False], [True, True, False]]
        )
        columns = [label.get_text() for label in axes.get_xticklabels()]
        self.assertEqual(columns, ["a", "b", "c"])
        # Matrices of several runs are coloured alike.
        self.assertEqual(axes.collections[0].get_clim(), (0.0, 100.0))

    def test_numbers_only_up_to_20_tasks(self):
        twenty = figures.accuracy_matrix(_triangle(20), _names(20))
        self.assertLen(_texts(twenty.axes[0]), 210)
        fifty = figures.accuracy_matrix(_triangle(50), _names(50))
        self.assertEmpty(_texts(fifty.axes[0]))
        self.assertLen(fifty.axes[0].get_xticklabels(), 50)

    def test_small_numbers_show_two_digits_of_the_largest(self):
        for values, wanted in (
            ([0.0081, 0.0007], ["0.0081", "0.0007"]),
            ([0.62, 0.04], ["0.62", "0.04"]),
            ([12.0, -3.0], ["12.00", "-3.00"]),
            ([0.0, 0.0], ["0.00", "0.00"]),
        ):
            figure = figures.heat_map([values], ["a"], ["x", "y"])
            self.assertEqual(_texts(figure.axes[0]), wanted)

    def test_the_image_stays_small_for_very_many_tasks(self):
        figure = figures.accuracy_matrix(_triangle(300), _names(300))
        self.assertLess(max(_image(figure).size), 2500)

    def test_does_not_change_its_input(self):
        R = _triangle(4)
        before = R.copy()
        figures.accuracy_matrix(R, _names(4))
        figures.accuracy_over_time(R, _names(4))
        self.assertAllEqual(R, before)


class OverTimeTest(tf.test.TestCase):
    def test_lines_begin_when_the_task_was_learned(self):
        R = [[0.5, None, None], [0.4, 0.8, None], [0.3, 0.7, 0.9]]
        figure = figures.accuracy_over_time(R, ["a", "b", "c"])
        *lines, _, average = figure.axes[0].get_lines()
        self.assertAllClose(lines[0].get_xydata()[:, 1], [50, 40, 30])
        self.assertAllClose(lines[1].get_xydata(), [[2, 80], [3, 70]])
        self.assertAllClose(lines[2].get_xydata(), [[3, 90]])
        self.assertAllClose(average.get_ydata(), [50, 60, 190 / 3])
        self.assertGreater(average.get_linewidth(), 2 * 1.4)
        self.assertEqual(_legend(figure), ["average", "a", "b", "c"])

    def test_the_average_leaves_out_tasks_not_learned_yet(self):
        R = [[0.5, 0.1], [0.3, 0.7]]
        figure = figures.accuracy_over_time(R, ["a", "b"])
        average = figure.axes[0].get_lines()[-1]
        self.assertAllClose(average.get_ydata(), [50, 50])

    def test_fifty_tasks_get_a_colour_scale_instead_of_fifty_names(self):
        figure = figures.accuracy_over_time(_triangle(50), _names(50))
        self.assertEqual(_legend(figure), ["average"])
        self.assertLen(figure.axes, 2)


class ChanceTest(tf.test.TestCase):
    def _drawn(self, chances, R=((0.5, None), (0.5, 0.6))):
        names = _names(len(R[0]))
        figure = figures.accuracy_over_time(R, names, chances=chances)
        dashed = [
            line
            for line in figure.axes[0].get_lines()
            if line.get_linestyle() == "--"
        ]
        return dashed, _legend(figure)

    def test_one_thin_line_where_all_tasks_have_the_same(self):
        (line,), legend = self._drawn([[0.25, None], [0.25, 0.25]])
        self.assertAllClose(line.get_xydata(), [[1, 25], [2, 25]])
        self.assertLess(line.get_linewidth(), 1.0)
        self.assertEqual(legend[-1], "chance: 25.0 %")

    def test_it_falls_where_tasks_share_growing_answers(self):
        (line,), legend = self._drawn([[0.5, None], [0.25, 0.25]])
        self.assertAllClose(line.get_ydata(), [50, 25])
        self.assertEqual(legend[-1], "chance")

    def test_a_line_of_its_own_colour_where_tasks_differ(self):
        lines, legend = self._drawn([[0.5, None], [0.5, 0.1]])
        self.assertAllClose(lines[0].get_ydata(), [50, 50])
        self.assertAllClose(lines[1].get_ydata(), [np.nan, 10])
        colours = [line.get_color() for line in lines]
        self.assertEqual(colours, list(drawing.PALETTE[:2]))
        self.assertEqual(legend[-1], "chance, by task")

    def test_none_where_it_is_not_known_or_tasks_are_many(self):
        for chances in (None, [[None, None]] * 2):
            lines, legend = self._drawn(chances)
            self.assertEmpty(lines)
            self.assertLen(legend, 3)
        many = np.where(np.tri(13), 0.5, np.nan)
        lines, _ = self._drawn(many, many)
        self.assertEmpty(lines)

    def test_averages_have_one_if_it_is_known(self):
        curves = [("a", [[0.5, 0.75]])]
        for chance, told in (
            ((0.5, 0.5), ["a", "chance: 50.0 %"]),
            (None, ["a"]),
        ):
            figure = figures.average_accuracies(curves, chance)
            self.assertEqual(_legend(figure), told)


class FootprintTest(tf.test.TestCase):
    def test_bars_stack_to_the_bytes_stored(self):
        figure = figures.footprint(_tasks(3))
        tops = [
            max(bar.get_y() + bar.get_height() for bar in bars)
            for bars in zip(*figure.axes[0].containers, strict=True)
        ]
        self.assertAllClose(tops, [8.0, 11.0, 14.0])
        self.assertEqual(figure.axes[0].get_ylabel(), "stored (kB)")


class TrainingTest(parameterized.TestCase, tf.test.TestCase):
    def test_epochs_count_from_1_and_gaps_are_joined(self):
        history = {
            "train/loss": np.array([3.0, 2.0, 1.0]),
            "validation/accuracy": np.array([0.1, np.nan, 0.3]),
        }
        loss, accuracy = figures.training_curves(history).axes
        (line,) = loss.get_lines()
        self.assertAllClose(line.get_xydata(), [[1, 3], [2, 2], [3, 1]])
        (line,) = accuracy.get_lines()
        self.assertAllClose(line.get_xydata(), [[1, 10], [3, 30]])

    @parameterized.parameters(1, 8, 9, 64)
    def test_the_8_largest_weights_are_coloured(self, count):
        weights = np.arange(count) / sum(range(count + 1))
        array = np.stack([np.ones(count) / count, weights])
        labels = [f"c{k}" for k in range(count)]
        figure = figures.weights_over_epochs(array, labels, "posterior")
        named = [text.split()[0] for text in _legend(figure)]
        self.assertEqual(named[:8], labels[::-1][:8])
        lines = figure.axes[0].get_lines()
        self.assertLen(lines, count)
        coloured = [to_hex(line.get_color()) for line in lines]
        grey = coloured.count("#b8b8b8")
        self.assertEqual(grey, max(count - 8, 0))
        self.assertLen(set(coloured), min(count, 8) + (grey > 0))
        if grey:
            self.assertEqual(_legend(figure)[-1], f"{grey} more")


class GridTest(tf.test.TestCase):
    def test_a_cell_per_layer_and_a_name_per_meaning(self):
        figure = figures.bar_grid([[0, 1], [1, 1], [-1, 0]], _names(3))
        cells = figure.axes[0].collections[0].get_array().reshape(3, 2)
        self.assertAllEqual(cells.filled(-1), [[0, 1], [1, 1], [-1, 0]])
        self.assertEqual(_legend(figure), ["shared", "task-specific"])


class DrawTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.named_parameters(
        ("matrix", lambda: figures.accuracy_matrix([], ["a"])),
        ("one_value", lambda: figures.accuracy_matrix([[0.5]], ["a"])),
        ("matrix_nan", lambda: figures.accuracy_matrix([[None]], ["a"])),
        ("time", lambda: figures.accuracy_over_time([], ["a"])),
        ("time_nan", lambda: figures.accuracy_over_time([[None]], ["a"])),
        ("one_task", lambda: figures.accuracy_over_time([[0.5]], ["a"])),
        ("footprint", lambda: figures.footprint([])),
        ("curves", lambda: figures.training_curves({})),
        ("weights", lambda: figures.weights_over_epochs([[]], [], "x")),
        (
            "weights_nan",
            lambda: figures.weights_over_epochs([[np.nan, 1]], [1, 2], "x"),
        ),
        ("grid", lambda: figures.bar_grid([], [])),
    )
    def test_nothing_to_show_is_drawn_too(self, draw):
        self.assertGreater(min(_image(draw()).size), 100)

    def test_no_name_is_read_as_mathematics_or_dropped(self):
        R, names = _triangle(5), _ODD_NAMES
        tasks = _tasks(5)
        for task, name in zip(tasks, names, strict=True):
            task["name"] = name
        over_time = figures.accuracy_over_time(R, names)
        shown = _legend(over_time)
        self.assertEqual(shown[1:5], ["$x_$", "_hidden", '<b>&"x', "a b"])
        self.assertLess(len(shown[5]), 30)
        for figure in (
            over_time,
            figures.accuracy_matrix(R, names),
            figures.footprint(tasks),
            figures.bar_grid(np.eye(5), names, names),
            figures.weights_over_epochs(R[-1:], names, "$_{"),
        ):
            self.assertEqual(_image(figure).format, "PNG")

    def test_equal_figures_give_equal_bytes_also_in_threads(self):
        def draw(_):
            return drawing.png_bytes(
                figures.accuracy_over_time(_triangle(4), _names(4))
            )

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            self.assertLen(set(pool.map(draw, range(8))), 1)


if __name__ == "__main__":
    tf.test.main()
