"""Tests of the HTML report and of the final table."""

import base64
import copy
import html.parser
import io
import math
import pathlib
import unicodedata

import numpy as np
import rich.console
import tensorflow as tf
from PIL import Image

from tfcl.reporting import report, tables

_EVIL = '<b>&"x'
_VOID = ("meta", "img")


class _Page(html.parser.HTMLParser):
    """Collects what a browser would see, and checks that tags are balanced."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.images = [], [], []
        self.open, self.words, self.cells, self.styles = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag == "img":
            self.images.append(dict(attrs)["src"])
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        expected = self.open.pop()
        if expected != tag:
            raise AssertionError(f"</{tag}> closes <{expected}>")

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.styles.append(data)
        else:
            self.words.append(data)
            if self.open and self.open[-1] == "td":
                self.cells.append(data)

    @property
    def text(self):
        return " ".join(self.words)


def _task(index, name, configuration):
    return {
        "index": index,
        "visit": index,
        "name": name,
        "class_names": ["cat", _EVIL + "class"],
        "sizes": {"train": 170, "validation": 30, "test": 1000},
        "epochs": 3,
        "steps": 51,
        "seconds": 80.1,
        "validation_accuracy": None,
        "test_accuracy": (0.9, 0.85, 0.95)[index],
        "footprint": {
            "task_parameters": 262858,
            "task_bytes": 1051432,
            "shared_bytes": 262272,
        },
        "method": {
            "configuration": configuration,
            "prior": {"11": 0.25, "01": 0.75},
            "note": _EVIL + "note",
        },
        "labels": {"prior": ["11", _EVIL + "label"]},
    }


def _results():
    names = ["$a_$", _EVIL, "[red]c"]
    codes = ("11", "01", "10")
    return {
        "format": 1,
        "method": "LASEM",
        "stream": "cifar" + _EVIL,
        "seeds": {"init": 0, "data": 7},
        "command": "python -m tfcl.train --x='" + _EVIL + "'",
        "versions": {"tfcl": "0.1.0", "tensorflow": "2.21.0"},
        "distribution": "none",
        "replicas": 1,
        "finished": True,
        "seconds": 812.3,
        "global_step": 10200,
        "tasks": [
            _task(i, name, code)
            for i, (name, code) in enumerate(zip(names, codes, strict=True))
        ],
        "accuracy_matrix": [
            [0.9, None, None],
            [0.8, 0.85, None],
            [0.92, 0.7, 0.95],
        ],
        "task_names": names,
        "visits": [0, 1, 2],
        "metrics": {
            "average_accuracy": 0.8567,
            "forgetting": 0.065,
            "backward_transfer": -0.065,
            "average_accuracy_curve": [0.9, 0.825, 0.8567],
            "retention_ratio": 0.9227,
            "forward_transfer": None,
            "my_metric": 17.5,
            "undefined": {"forward_transfer": "no <i>initial</i> accuracy"},
        },
        "config": "# <script>alert(1)</script>\nLASEM.rate = 0.1\n",
    }


def _histories():
    history = {
        "train/loss": np.array([3.0, 2.0, 1.0]),
        "validation/accuracy": np.array([0.1, np.nan, 0.3]),
        "train/posterior": np.full((3, 4), 0.25),
        "prior": np.full((3, 2), 0.5),
    }
    return {0: history, 2: history}


def _cut(results, learned):
    results = copy.deepcopy(results)
    results["tasks"] = results["tasks"][:learned]
    results["accuracy_matrix"] = results["accuracy_matrix"][:learned]
    results["visits"] = results["visits"][:learned]
    results["finished"] = False
    return results


class ReportTest(tf.test.TestCase):
    def _page(self, results, histories=None):
        path = pathlib.Path(self.get_temp_dir()) / "run" / "report.html"
        report.write_report(results, histories or {}, path)
        self.assertLen(list(path.parent.iterdir()), 1)
        page = _Page(path.read_text(encoding="utf-8"))
        self.assertEmpty(page.open)
        return page

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._shared = None

    def _full_page(self):
        if self._shared is None:
            type(self)._shared = self._page(_results(), _histories())
        return self._shared

    def test_the_page_needs_nothing_but_itself(self):
        page = self._full_page()
        self.assertNotIn("script", page.tags)
        self.assertNotIn("link", page.tags)
        for tag, name, value in page.attributes:
            self.assertFalse(name.startswith("on"), (tag, name))
            if name in ("src", "href", "srcset", "action", "data"):
                self.assertStartsWith(
                    value, "#" if tag == "a" else "data:image/png;base64,"
                )
        style = "".join(page.styles)
        self.assertNotIn("url(", style)
        self.assertNotIn("@import", style)
        self.assertIn("prefers-color-scheme: dark", style)
        self.assertIn("@media print", style)

    def test_links_lead_to_sections(self):
        page = self._full_page()
        ids = [v for _, name, v in page.attributes if name == "id"]
        links = [v for _, name, v in page.attributes if name == "href"]
        self.assertEqual(links, [f"#{section}" for section in ids])

    def test_every_text_is_escaped(self):
        page = self._full_page()
        self.assertNotIn("i", page.tags)
        headings = page.tags.count("b")
        self.assertEqual(headings, 6)  # the tiles; none from a name
        for text in (
            "cifar" + _EVIL,
            "--x='" + _EVIL,
            _EVIL + "class",
            _EVIL + "note",
            "no <i>initial</i> accuracy",
            "# <script>alert(1)</script>\nLASEM.rate = 0.1\n",
        ):
            self.assertIn(text, page.text)
        for name in _results()["task_names"]:
            self.assertIn(name, page.cells)

    def test_images_are_pngs_one_per_figure(self):
        page = self._full_page()
        # 3 of the run, 2 of the method, curves + 2 weights for 2 tasks.
        self.assertLen(page.images, 3 + 2 + 2 * 3)
        for source in page.images:
            data = base64.b64decode(source.partition(",")[2], validate=True)
            image = Image.open(io.BytesIO(data))
            image.load()
            self.assertEqual(image.format, "PNG")
            self.assertGreater(min(image.size), 100)

    def test_numbers_of_the_run_are_there(self):
        page = self._page(_results())
        for cell in (
            "+15.0",  # forgetting of the second task: 0.85 - 0.7
            "−2.0",  # of the first: 0.9 - 0.92
            "85.7 %",
            "+6.5 points",
            "−6.5 points",
            "0.9227",
            "17.5",
            "90.0 82.5 85.7",
        ):
            self.assertIn(cell, page.cells)
        for text in (
            "init 0, data 7",
            "tensorflow 2.21.0",
            "13 min 32 s",
            # The same for all tasks.
            "170 / 30 / 1000",
            "parameters of task 262,858",
            "size of task 1.05 MB",
        ):
            self.assertIn(text, page.text)
        self.assertIn("forward transfer", page.cells)

    def test_unfinished_runs_render(self):
        for learned in (0, 1, 2):
            page = self._page(_cut(_results(), learned), _histories())
            self.assertIn(f"Unfinished: {learned} of 3 tasks", page.text)
            self.assertIn("[red]c", page.text)
        results = _cut(_results(), 0)
        results["metrics"] = {}
        self.assertIn("0 of 3 tasks", self._page(results).text)

    def test_optional_parts_may_be_missing(self):
        results = _results()
        del results["config"]
        for task in results["tasks"]:
            task["method"] = {}
            del task["labels"]
        page = self._page(results, _histories())
        ids = [v for _, name, v in page.attributes if name == "id"]
        self.assertEqual(ids, ["Summary", "Tasks", "Figures", "Training"])
        self.assertNotIn("configuration", page.text)

    def test_phases_follow_each_other_in_one_figure(self):
        history = {
            "00_grow/train/loss": np.array([3.0, 2.0]),
            "01_prune/train/loss": np.array([1.0]),
            "01_prune/train/posterior": np.full((1, 2), 0.5),
        }
        task = {"labels": {"train/posterior": ["11", "01"]}}
        figures = report.task_figures(task, history)
        self.assertEqual(list(figures), ["training_curves", "train/posterior"])
        axes = figures["training_curves"].axes[0]
        self.assertAllClose(axes.get_lines()[0].get_ydata(), [3.0, 2.0, 1.0])
        marks = [text.get_text().strip() for text in axes.texts]
        self.assertEqual(marks, ["grow", "prune"])
        legend = figures["train/posterior"].axes[0].get_legend()
        names = [text.get_text() for text in legend.get_texts()]
        self.assertEqual(names, ["11  (0.50)", "01  (0.50)"])

    def test_arrays_of_a_grown_method_stay_apart(self):
        history = {
            "00_train/train/free": np.ones((2, 3)),
            "01_expand/train/free": np.ones((1, 4)),
        }
        task = {"labels": {"train/free": ["a", "b", "c", "d"]}}
        figures = report.task_figures(task, history)
        self.assertEqual(
            list(figures), ["00_train/train/free", "01_expand/train/free"]
        )
        (axes,) = figures["01_expand/train/free"].axes
        self.assertEmpty(axes.texts, "an epoch of one phase, not of all")
        names = [text.get_text() for text in axes.get_legend().get_texts()]
        self.assertEqual(names[0], "a  (1.00)")

    def test_the_peak_is_reported(self):
        results = _results()
        peak = {"epoch": 2, "validation_accuracy": 0.5, "test_accuracy": 0.75}
        results["tasks"][1]["peak"] = peak
        page = self._page(results)
        self.assertIn("best at epoch 2: validation 50.0 %, test 75", page.text)

    def test_the_input_is_not_changed(self):
        results = _results()
        self._page(results, _histories())
        self.assertEqual(results, _results())


class TablesTest(tf.test.TestCase):
    def _print(self, results, width=100):
        console = rich.console.Console(
            width=width, file=io.StringIO(), force_terminal=False
        )
        console.print(tables.final_table(results))
        return console.file.getvalue()

    def test_rows_hold_the_numbers_of_the_matrix(self):
        rows = tables.task_rows(_results())
        self.assertAllClose([row.learned for row in rows], [0.9, 0.85, 0.95])
        self.assertAllClose([row.final for row in rows], [0.92, 0.7, 0.95])
        self.assertAllClose([r.forgetting for r in rows[:2]], [-0.02, 0.15])
        self.assertTrue(math.isnan(rows[2].forgetting))
        self.assertEqual(rows[1].configuration, "01")

    def test_headings_are_the_words_of_the_report(self):
        path = pathlib.Path(self.get_temp_dir()) / "report.html"
        report.write_report(_results(), {}, path)
        page, printed = path.read_text(), self._print(_results())
        for name in ("learned %", "final %", "forgetting", "size of task"):
            self.assertIn(name, printed)
            self.assertTrue(name in page, name)

    def test_chance_is_a_column_where_tasks_differ_else_a_line(self):
        results = _results()
        self.assertNotIn("chance", self._print(results))  # Of older runs.
        for task in results["tasks"]:
            task["chance"] = 0.125
        text = self._print(results)
        self.assertIn("chance: 12.5 %", text)
        self.assertNotIn("chance %", text)
        results["tasks"][1]["chance"] = 0.5
        text = self._print(results)
        self.assertIn("chance %", text)
        self.assertNotIn("chance:", text)
        path = pathlib.Path(self.get_temp_dir()) / "report.html"
        report.write_report(results, {}, path)
        cells = _Page(path.read_text(encoding="utf-8")).cells
        at = cells.index("$a_$")
        # What is the same for all tasks is a line above the table; the rest
        # begins with learned, final, chance, forgetting.
        wanted = ["90.0", "92.0", "12.5", "−2.0"]
        first = cells.index("90.0", at)
        self.assertEqual(cells[first : first + 4], wanted)

    def test_names_are_no_markup(self):
        text = self._print(_results())
        for name in _results()["task_names"]:
            self.assertIn(name, text)

    def test_names_of_classes_are_nothing_but_names(self):
        names = ["<script>alert(1)</script>", "$x_{$", "a\x1b[31mb\u202ec"]
        results = _results()
        results["tasks"][0]["class_names"] = names
        results["task_names"][0] = results["tasks"][0]["name"] = "a\x00b"
        path = pathlib.Path(self.get_temp_dir()) / "report.html"
        report.write_report(results, {}, path)
        text = path.read_text(encoding="utf-8")
        page = _Page(text)
        self.assertNotIn("script", page.tags)
        self.assertIn(names[0], page.text)
        self.assertIn(names[1], page.text)
        self.assertIn(r"a\x1b[31mb\u202ec", page.text)
        self.assertIn(r"a\x00b", page.text)
        hidden = {c for c in text if unicodedata.category(c) in ("Cc", "Cf")}
        self.assertEqual(hidden, {"\n"})

    def test_the_summary_is_one_line(self):
        self.assertEqual(
            tables.summary_line(_results()),
            "3 of 3 tasks, average 85.7 %, forgetting +6.5 points, "
            "stored 3.42 MB, 13 min 32 s",
        )

    def test_a_run_without_tasks_prints(self):
        results = _cut(_results(), 0)
        results["metrics"] = {}
        self.assertIn("forgetting", self._print(results))
        line = tables.summary_line(results)
        self.assertEqual(line, "0 of 3 tasks, 13 min 32 s")

    def test_no_column_for_methods_without_configurations(self):
        results = _results()
        for task in results["tasks"]:
            task["method"] = {}
        self.assertNotIn("configuration", self._print(results))

    def test_numbers_as_text(self):
        self.assertEqual(tables.percent(0.3456), "34.6")
        self.assertEqual(tables.percent(None), "–")
        self.assertEqual(tables.percent(math.nan), "–")
        self.assertEqual(tables.points(0.05), "+5.0")
        self.assertEqual(tables.points(-0.05), "−5.0")
        self.assertEqual(tables.points(-0.0001), "0.0")
        self.assertEqual(tables.size_text(999), "999 bytes")
        self.assertEqual(tables.size_text(66600), "66.6 kB")
        self.assertEqual(tables.size_text(2.5e9), "2.50 GB")
        self.assertEqual(tables.duration_text(9.46), "9.5 s")
        self.assertEqual(tables.duration_text(812.3), "13 min 32 s")
        self.assertEqual(tables.duration_text(3599.9), "1 h 00 min")
        self.assertEqual(tables.duration_text(7500), "2 h 05 min")


if __name__ == "__main__":
    tf.test.main()
