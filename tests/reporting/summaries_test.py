"""Tests of the TensorBoard writer."""

import io
import pathlib
import resource

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing import (
    event_accumulator,
    plugin_event_accumulator,
)
from tensorboard.plugins.hparams import plugin_data_pb2

from tfcl.reporting import figures
from tfcl.reporting.summaries import Summaries


def _read(folder) -> event_accumulator.EventAccumulator:
    reader = event_accumulator.EventAccumulator(
        str(folder), purge_orphaned_data=True
    )
    reader.Reload()
    return reader


def _page_points(folder, tag) -> list[tuple[int, float]]:
    """The points that TensorBoard's own (slow) loader shows."""
    reader = plugin_event_accumulator.EventAccumulator(str(folder))
    reader.Reload()
    points = reader.Tensors(tag)
    values = [tf.make_ndarray(point.tensor_proto) for point in points]
    return [
        (point.step, round(float(value), 6))
        for point, value in zip(points, values, strict=True)
    ]


def _points(folder, tag) -> list[tuple[int, float]]:
    return [(e.step, round(e.value, 6)) for e in _read(folder).Scalars(tag)]


class SummariesTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.get_temp_dir()) / "board"

    def test_scalars_and_arrays_are_read_back(self):
        with_labels = {"posterior": ["11", "01", "10", "00"]}
        values = {
            "loss": 0.5,
            "accuracy": np.float32(0.25),
            "posterior": np.array([0.1, 0.2, 0.3, 0.4]),
            "rates": [1.0, 2.0],
        }
        summaries = Summaries(self.folder)
        summaries.scalars("task_003/train", values, 7, labels=with_labels)
        summaries.close()
        self.assertEqual(
            set(_read(self.folder).Tags()["scalars"]),
            {
                "task_003/train/loss",
                "task_003/train/accuracy",
                "task_003/train/posterior/11",
                "task_003/train/posterior/01",
                "task_003/train/posterior/10",
                "task_003/train/posterior/00",
                "task_003/train/rates/0",
                "task_003/train/rates/1",
            },
        )
        tag = "task_003/train/posterior/10"
        self.assertEqual(_points(self.folder, tag), [(7, 0.3)])

    def test_values_not_evaluated_are_left_out(self):
        summaries = Summaries(self.folder)
        for step, value in ((1, 0.1), (2, float("nan")), (3, 0.3)):
            summaries.scalars("validation", {"accuracy": value}, step)
        summaries.close()
        points = _points(self.folder, "validation/accuracy")
        self.assertEqual(points, [(1, 0.1), (3, 0.3)])

    def test_wrong_labels_and_shapes_are_refused(self):
        summaries = Summaries(self.folder)
        with self.assertRaisesRegex(ValueError, "2 labels for 3 elements"):
            summaries.scalars("p", {"x": np.ones(3)}, 1, {"x": ["a", "b"]})
        with self.assertRaisesRegex(ValueError, r"shape \(2, 2\)"):
            summaries.scalars("p", {"x": np.ones((2, 2))}, 1)
        summaries.close()

    def test_images_texts_and_hparams_are_read_back(self):
        summaries = Summaries(self.folder)
        rows = [[0.5, None], [0.4, 0.6]]
        figure = figures.accuracy_matrix(rows, ["a", "<b>"], [0, 1])
        png = summaries.image("accuracy_matrix", figure, 9)
        summaries.text("config", "    LASEM.rate = 0.1", 0)
        summaries.hparams(
            {"rate": 0.1, "name": "x", "on": True},
            {"no": None},
            {"metrics/average_accuracy": "average accuracy"},
        )
        summaries.close()
        reader = _read(self.folder)
        (image,) = reader.Images("accuracy_matrix")
        self.assertEqual(image.encoded_image_string, png)
        figure = Image.open(io.BytesIO(png))
        self.assertEqual(figure.size, (image.width, image.height))
        (text,) = reader.Tensors("config")
        self.assertEqual(
            text.tensor_proto.string_val[0], b"    LASEM.rate = 0.1"
        )
        contents = reader.PluginTagToContent("hparams")
        data = plugin_data_pb2.HParamsPluginData.FromString(
            contents["_hparams_/experiment"]
        )
        columns = [each.name for each in data.experiment.hparam_infos]
        self.assertEqual(columns, ["rate", "name", "on"])
        (metric,) = data.experiment.metric_infos
        self.assertEqual(metric.name.tag, "metrics/average_accuracy")
        data = plugin_data_pb2.HParamsPluginData.FromString(
            contents["_hparams_/session_start_info"]
        )
        hparams = data.session_start_info.hparams
        self.assertEqual(hparams["rate"].number_value, 0.1)
        self.assertEqual(hparams["name"].string_value, "x")
        self.assertTrue(hparams["on"].bool_value)
        self.assertEqual(hparams["no"].string_value, "None")


class ResumeTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.get_temp_dir())

    def _write(self, global_step, steps, value, close=True):
        summaries = Summaries(self.folder, global_step)
        for step in steps:
            summaries.scalars("train", {"loss": value}, step)
        summaries.flush()
        if close:
            summaries.close()
        return summaries

    def test_points_after_the_checkpoint_do_not_show_twice(self):
        self._write(0, (10, 20, 30, 40), 1.0)  # 20 was the last checkpoint
        self._write(20, (30, 40, 50), 2.0)
        expected = [(10, 1.0), (20, 1.0), (30, 2.0), (40, 2.0), (50, 2.0)]
        self.assertEqual(_points(self.folder, "train/loss"), expected)
        self.assertEqual(_page_points(self.folder, "train/loss"), expected)

    def test_points_never_written_again_vanish(self):
        self._write(0, (10, 25), 1.0)
        self._write(20, (30,), 2.0)
        points = _points(self.folder, "train/loss")
        self.assertEqual(points, [(10, 1.0), (30, 2.0)])

    def test_points_at_the_checkpoint_are_kept_and_not_repeated(self):
        self._write(0, (10, 20), 1.0)
        self._write(20, (20, 30), 2.0)
        points = _points(self.folder, "train/loss")
        self.assertEqual(points, [(10, 1.0), (20, 1.0), (30, 2.0)])

    def test_points_lost_with_the_writer_are_written_again(self):
        self._write(0, (10, 20), 1.0)  # killed; 10 was the checkpoint
        self._write(10, (), 2.0)  # killed, its points were never flushed
        self._write(20, (20, 30), 3.0)
        points = _points(self.folder, "train/loss")
        self.assertEqual(points, [(10, 1.0), (20, 3.0), (30, 3.0)])

    def test_a_run_killed_before_its_first_checkpoint_starts_clean(self):
        for value in (1.0, 2.0):
            summaries = self._write(0, (0, 10), value, close=False)
            summaries.hparams({"rate": 0.1}, {}, {})
            summaries.close()
        points = _points(self.folder, "train/loss")
        self.assertEqual(points, [(0, 1.0), (10, 2.0)])

    def test_many_restarts_in_one_second_keep_their_order(self):
        for k in range(12):
            self._write(10 * k, (10 * k + 10, 10 * k + 20), float(k))
        self.assertEqual(
            _points(self.folder, "train/loss"),
            [(10 * k + 10, float(k)) for k in range(12)] + [(130, 11.0)],
        )

    def test_many_starts_leave_one_file_with_every_point_once(self):
        for k in range(15):
            self._write(10 * k, (10 * k + 10,), float(k), close=k % 2)
            self.assertLen(list(self.folder.iterdir()), 1)
        wanted = [(10 * k + 10, float(k)) for k in range(15)]
        self.assertEqual(_points(self.folder, "train/loss"), wanted)
        self.assertEqual(_page_points(self.folder, "train/loss"), wanted)

    def test_a_board_that_is_looking_sees_every_point_once(self):
        self._write(0, (10, 20, 30), 1.0)
        reader = _read(self.folder)
        self._write(20, (30, 40), 2.0)
        reader.Reload()
        points = [(e.step, e.value) for e in reader.Scalars("train/loss")]
        self.assertEqual(points, [(10, 1.0), (20, 1.0), (30, 2.0), (40, 2.0)])

    def test_a_kill_while_files_are_joined_loses_nothing(self):
        self._write(0, (10, 20), 1.0)
        (old,) = self.folder.iterdir()
        content = old.read_bytes()
        # Before the new file has its name.
        (self.folder / ".unfinished.tmp").write_bytes(content[:50])
        self.assertEqual(
            _points(self.folder, "train/loss"), [(10, 1.0), (20, 1.0)]
        )
        # After that, before the old file is gone.
        self._write(20, (30,), 2.0)
        old.write_bytes(content)
        wanted = [(10, 1.0), (20, 1.0), (30, 2.0)]
        self.assertEqual(_points(self.folder, "train/loss"), wanted)
        self._write(30, (40,), 3.0)
        self.assertLen(list(self.folder.iterdir()), 1)
        self.assertEqual(
            _points(self.folder, "train/loss"), [*wanted, (40, 3.0)]
        )

    def test_a_file_cut_within_a_record_does_not_hide_what_follows(self):
        self._write(0, (10, 20, 30), 1.0)
        (path,) = self.folder.iterdir()
        path.write_bytes(path.read_bytes()[:-5])
        self._write(10, (20, 30), 2.0)
        points = _points(self.folder, "train/loss")
        self.assertEqual(points, [(10, 1.0), (20, 2.0), (30, 2.0)])


class FullDiskTest(tf.test.TestCase):
    """A limit on the size of files stands in for a full disk."""

    def _limit(self, size):
        old = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, old)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))

    def test_only_flush_and_close_raise(self):
        folder = self.get_temp_dir()
        summaries = Summaries(folder)
        self._limit(2000)
        figure = figures.training_curves({"train/loss": np.ones(3)})
        for step in range(3):
            summaries.image("figure", figure, step)
            summaries.scalars("train", {"loss": 1.0}, step)
        for _ in range(2):
            with self.assertRaisesRegex(OSError, "cannot be written"):
                summaries.flush()
        with self.assertRaisesRegex(OSError, "cannot be written"):
            summaries.close()
        summaries.close()

    def test_a_later_run_goes_on_where_the_disk_was_full(self):
        folder = self.get_temp_dir()
        summaries = Summaries(folder)
        summaries.scalars("train", {"loss": 1.0}, 10)
        summaries.flush()
        old = resource.getrlimit(resource.RLIMIT_FSIZE)
        self._limit(150)
        for step in range(11, 40):
            summaries.scalars("train", {"loss": 1.0}, step)
        with self.assertRaises(OSError):
            summaries.close()
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        again = Summaries(folder, 10)
        again.scalars("train", {"loss": 2.0}, 20)
        again.close()
        points = _points(folder, "train/loss")
        self.assertEqual(points, [(10, 1.0), (20, 2.0)])

    def test_a_folder_that_cannot_be_made_is_an_os_error(self):
        path = pathlib.Path(self.get_temp_dir()) / "file"
        path.write_text("not a folder")
        with self.assertRaises(OSError):
            Summaries(path / "board")


if __name__ == "__main__":
    tf.test.main()
