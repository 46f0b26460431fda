"""Splits out of TFDS: what they hold, and what a fault in them says."""

import concurrent.futures
import contextlib
import io
import os
import pathlib
import shutil
import struct
import tempfile
import time
from unittest import mock

import numpy as np
import requests
import tensorflow as tf
import tensorflow_datasets as tfds
from absl.testing import parameterized
from sklearn import datasets

from tests.testing import image_sets
from tests.testing.contexts import entered, working_folder
from tfcl.data import preprocessing
from tfcl.data.sources import tfds_source
from tfcl.errors import UserError

_FOLDER = "digits/1.0.0"
_TRAIN = f"{_FOLDER}/digits-train.tfrecord-00000-of-00001"
_INFO = f"{_FOLDER}/dataset_info.json"
_NAMES = f"{_FOLDER}/label.labels.txt"


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x80
    path.write_bytes(content)


def _cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 + 3])


def _cut_between_records(path):
    content, end = path.read_bytes(), 0
    while end < len(content) // 2:
        # A record: length (8 bytes), its checksum (4), data, checksum (4).
        end += 16 + struct.unpack("<Q", content[end : end + 8])[0]
    path.write_bytes(content[:end])


def _rename_split(path):
    path.write_text(path.read_text().replace('"train"', '"drain"'))


def _break_pattern(path):
    path.write_text(path.read_text().replace("{DATASET}", "{DATASET"))


def _drop_a_name(path):
    path.write_text(path.read_text().replace("seven\n", ""))


class TfdsSourceTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = entered(tempfile.TemporaryDirectory(), cls.addClassCleanup)
        cls.prepared = pathlib.Path(folder) / "prepared"
        with contextlib.redirect_stdout(io.StringIO()) as cls.stdout:
            cls.train = tfds_source.open_split("digits", "train", cls.prepared)
            cls.test = tfds_source.open_split("digits", "test", cls.prepared)

    def setUp(self):
        super().setUp()
        # Messages show `data_dir` as it was given: here "copy", relative.
        folder = self.enter_context(tempfile.TemporaryDirectory())
        self.enter_context(working_folder(folder))
        self.copy = pathlib.Path("copy")

    def _fault(self, name="digits", split="train", data_dir="copy"):
        """The message of the fault that opening runs into."""
        with self.assertRaises(UserError) as caught:
            tfds_source.open_split(name, split, data_dir)
        message = str(caught.exception)
        self.assertNotIn("\n", message)
        self.assertStartsWith(message, f"Data set '{name}', split '{split}': ")
        return message

    def test_holds_the_images_of_the_source_in_the_order_of_their_ids(self):
        shipped = datasets.load_digits()
        for split in (self.train, self.test):
            self.assertAllEqual(split.ids, sorted(split.ids))
            index = [int(name.removeprefix("digit_")) for name in split.ids]
            self.assertAllEqual(split.labels, shipped.target[index])
            grey = np.rint(shipped.images[index] * (255 / 16))
            pixels = split.images(np.arange(len(split)))
            self.assertEqual(pixels.dtype, np.uint8)
            self.assertAllEqual(pixels[..., 0], grey)

    def test_describes_itself(self):
        self.assertLen(self.train, 1442)
        self.assertEqual(self.train.labels.dtype, np.int64)
        self.assertEqual(self.train.image_shape, (8, 8, 1))
        self.assertEqual(self.train.class_names[::9], ("zero", "nine"))
        self.assertAllEqual(
            np.bincount(self.test.labels),
            [35, 36, 35, 36, 36, 36, 36, 35, 34, 36],
        )

    def test_images_come_in_the_order_asked_for(self):
        everything = self.train.images(range(len(self.train)))
        # More than one batch of decoding, with repeats.
        indices = np.random.default_rng(0).integers(0, 1442, 700)
        self.assertAllEqual(self.train.images(indices), everything[indices])
        self.assertEqual(self.train.images([]).shape, (0, 8, 8, 1))
        with self.assertRaises(IndexError):
            self.train.images([1442])

    def test_images_are_resized_when_a_shape_is_asked_for(self):
        wanted = (16, 12, 3)
        resized = tfds_source.open_split(
            "digits", "test", self.prepared, image_shape=wanted
        )
        self.assertEqual(resized.image_shape, wanted)
        images = self.test.images([0, 5])
        levels = preprocessing.grey_levels(tf.constant(images), wanted)
        pixels = resized.images([0, 5])
        self.assertEqual(pixels.dtype, np.uint8)
        self.assertAllEqual(pixels, levels)
        cropped = tfds_source.open_split(
            "digits", "test", self.prepared, wanted, "crop"
        )
        levels = preprocessing.grey_levels(tf.constant(images), wanted, "crop")
        self.assertAllEqual(cropped.images([0, 5]), levels)
        self.assertNotEqual(cropped.digest([0, 5]), resized.digest([0, 5]))
        # An image that has the shape is not touched.
        same = tfds_source.open_split(
            "digits", "test", self.prepared, image_shape=(8, 8, 1)
        )
        self.assertAllEqual(same.images([0, 5]), images)

    def test_leaves_stdout_to_the_command(self):
        self.assertEqual(self.stdout.getvalue(), "")

    def test_prepares_once_when_two_start_together(self):
        prepare = tfds_source._prepare

        def slow(*args, **kwargs):
            time.sleep(0.3)
            prepare(*args, **kwargs)

        with mock.patch.object(tfds_source, "_prepare", side_effect=slow) as p:
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                opened = [
                    pool.submit(tfds_source.open_split, "digits", split, "new")
                    for split in ("train", "test")
                ]
            self.assertEqual([len(o.result()) for o in opened], [1442, 355])
        self.assertEqual(p.call_count, 1)
        self.assertEqual(
            sorted(os.listdir("new/digits")), [".1.0.0.lock", "1.0.0"]
        )

    @parameterized.named_parameters(
        ("record_flipped", _TRAIN, _flip, "damaged or unreadable"),
        ("record_cut", _TRAIN, _cut, "damaged or unreadable"),
        ("records_missing", _TRAIN, _cut_between_records, "where 1442 are"),
        ("shard_missing", _TRAIN, os.remove, "is missing"),
        ("description_flipped", _INFO, _flip, "cannot be used"),
        ("description_cut", _INFO, _cut, "cannot be used"),
        ("description_pattern", _INFO, _break_pattern, "cannot be used"),
        ("description_split", _INFO, _rename_split, "lacks 'train'"),
        ("description_missing", _INFO, os.remove, "is missing"),
        ("names_cut", _NAMES, _drop_a_name, "the 10 class names"),
    )
    def test_damage_is_told_with_file_and_remedy(self, file, damage, what):
        shutil.copytree(self.prepared, self.copy)
        damage(self.copy / file)
        message = self._fault()
        self.assertIn(f"file 'copy/{file}'", message)
        self.assertIn(what, message)
        self.assertIn("Delete the folder 'copy/digits/1.0.0'", message)
        self.assertIn("--data_dir or TFDS_DATA_DIR", message)

    def test_the_remedy_helps(self):
        shutil.copytree(self.prepared, self.copy)
        _flip(self.copy / _TRAIN)
        self._fault()
        shutil.rmtree(self.copy / _FOLDER)
        mended = tfds_source.open_split("digits", "train", "copy")
        self.assertEqual(mended.ids, self.train.ids)

    def test_the_other_split_stays_usable(self):
        shutil.copytree(self.prepared, self.copy)
        os.remove(self.copy / _TRAIN)
        test = tfds_source.open_split("digits", "test", "copy")
        self.assertEqual(test.ids, self.test.ids)

    def test_the_cause_is_kept(self):
        shutil.copytree(self.prepared, self.copy)
        _flip(self.copy / _TRAIN)
        with self.assertRaises(UserError) as caught:
            tfds_source.open_split("digits", "train", "copy")
        self.assertIsInstance(
            caught.exception.__cause__, tf.errors.DataLossError
        )

    def test_folder_that_is_none(self):
        self.copy.write_text("")
        message = self._fault()
        self.assertIn("'copy/digits/1.0.0'", message)
        self.assertIn("NotADirectoryError", message)

    @parameterized.named_parameters(
        ("no_network", requests.exceptions.ConnectionError("no route\nat all")),
        ("server", tfds.download.DownloadError("404\nNot found")),
        ("full_disk", OSError(28, "No space left on device")),
    )
    def test_failed_download(self, error):
        with mock.patch.object(
            tfds.download.DownloadManager,
            "download_and_extract",
            side_effect=error,
        ):
            message = self._fault("mnist")
        self.assertIn("not found as 'copy/mnist/3.0.1'", message)
        self.assertIn(type(error).__name__, message)
        self.assertIn("internet", message)
        # Nothing half-made stays under the final name.
        self.assertFalse(os.path.exists("copy/mnist/3.0.1"))

    def test_full_disk_while_writing(self):
        # As TFDS raises it: TF's error wrapped into another type.
        error = RuntimeError("ResourceExhaustedError: Failed to finalize")
        error.__cause__ = tf.errors.ResourceExhaustedError(
            None, None, "copy/a_shard; No space left on device"
        )
        with mock.patch.object(tfds_source, "_prepare", side_effect=error):
            self.assertIn("Error: No space left on device)", self._fault())

    def test_missing_package(self):
        error = ModuleNotFoundError("No module", name="importlib_resources")
        with mock.patch.object(tfds_source, "_prepare", side_effect=error):
            self.assertIn("package 'importlib_resources'", self._fault())

    def test_undecodable_image_is_named(self):
        split = tfds_source.open_split("digits", "test", self.prepared)
        split._encoded._encoded[7] = b"no image"
        with self.assertRaises(UserError) as caught:
            split.images([3, 7, 11])
        self.assertRegex(
            str(caught.exception),
            f"image 7 .id '{split.ids[7]}'. cannot be decoded to 8 x 8 x 1",
        )
        self.assertLen(split.images([3, 11]), 2)

    def test_image_of_another_size_is_named(self):
        split = tfds_source.open_split("digits", "test", self.prepared)
        larger = tf.zeros((9, 8, 1), tf.uint8)
        split._encoded._encoded[2] = tf.io.encode_png(larger).numpy()
        with self.assertRaisesRegex(UserError, "image 2 "):
            split.images(range(5))

    def test_unknown_split(self):
        self.assertIn("'train' or 'test'", self._fault(split="validation"))


class Cifar100Test(tf.test.TestCase):
    def test_has_500_training_images_of_each_fine_class(self):
        folder = image_sets.folder_of_real("cifar100/3.0.2")
        train = tfds_source.open_split("cifar100", "train", folder)
        self.assertEqual(train.image_shape, (32, 32, 3))
        self.assertAllEqual(np.bincount(train.labels), [500] * 100)
        self.assertEqual(train.class_names[::99], ("apple", "worm"))
        self.assertAllEqual(train.ids, sorted(train.ids))
        pixels = train.images(np.arange(0, 50000, 100))
        # Published mean of the training images: 0.507, 0.487, 0.441.
        self.assertAllClose(
            pixels.mean((0, 1, 2)) / 255, (0.507, 0.487, 0.441), atol=0.02
        )


if __name__ == "__main__":
    tf.test.main()
