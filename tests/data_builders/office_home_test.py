"""The Office-Home builder against TFDS's own checks and its dummy data."""

import contextlib
import io
import os
import pathlib
import shutil
import tempfile
from typing import ClassVar

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tfcl.data.sources import tfds_source
from tfcl.data_builders.office_home import office_home_dataset_builder
from tfcl.errors import UserError

_TREE = "OfficeHomeDataset_10072016"


class OfficeHomeTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = office_home_dataset_builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar[list] = ["product", "real_world"]
    SPLITS: ClassVar[dict] = {"train": 65}

    def test_classes_are_the_65_of_the_owners_in_their_order(self):
        names = self.builder.info.features["label"].names
        self.assertLen(set(names), 65)
        # Without regard to capitals in alphabetical order, TV aside.
        self.assertEqual(
            sorted(n.lower() for n in names if n != "TV"),
            [n.lower() for n in names if n != "TV"],
        )
        self.assertEqual(
            " ".join(names[::13]), "Alarm_Clock Couch Hammer Oven Shelf"
        )
        self.assertEqual(list(names[-3:]), ["Trash_Can", "TV", "Webcam"])

    def test_every_domain_has_a_configuration(self):
        names = [config.name for config in self.builder.BUILDER_CONFIGS]
        self.assertEqual(names, ["art", "clipart", "product", "real_world"])

    def test_the_folder_is_described(self):
        self.assertIn("non-commercial", self.builder.info.description)
        self.assertIn("venkateswara", self.builder.info.citation)


class OpenedTest(tf.test.TestCase):
    """Through `open_split`, as streams do."""

    def setUp(self):
        super().setUp()
        self.folder = self.enter_context(tempfile.TemporaryDirectory())
        self.manual = pathlib.Path(self.folder, "downloads/manual")
        self.enter_context(contextlib.redirect_stderr(io.StringIO()))

    def _fill(self, folder=""):
        dummy = office_home_dataset_builder.Builder.code_path.parent
        shutil.copytree(
            os.path.join(dummy, "dummy_data", _TREE), self.manual / folder
        )

    def _open(self, domain="product", **kwargs):
        name = f"office_home_{domain}"
        return tfds_source.open_split(name, "train", self.folder, **kwargs)

    def _fault(self, *args, **kwargs):
        with self.assertRaises(UserError) as caught:
            self._open(*args, **kwargs)
        self.assertNotIn("\n", str(caught.exception))
        return str(caught.exception)

    def test_images_are_resized_when_asked_for(self):
        self._fill(_TREE)
        opened = self._open(image_shape=(8, 6, 3))
        self.assertEqual(opened.image_shape, (8, 6, 3))
        self.assertLen(opened, 65)
        self.assertEqual(opened.ids[0], "Product/Alarm_Clock/00001")
        self.assertAllEqual(np.sort(opened.labels), np.arange(65))
        pixels = opened.images([3, 37])
        self.assertEqual(pixels.shape, (2, 8, 6, 3))
        self.assertEqual(pixels.dtype, np.uint8)
        # One colour each, so every pixel of the larger image has it too.
        colour = np.random.default_rng((0, 3)).integers(0, 256, 3, np.uint8)
        self.assertAllClose(pixels[0, 4, 3], colour, atol=6)
        same = np.broadcast_to(pixels[0, 0, 0], (8, 6, 3))
        self.assertAllEqual(pixels[0], same)
        # Stored in grey, read in colours.
        self.assertAllEqual(pixels[1, ..., 0], pixels[1, ..., 2])

    def test_the_tree_without_its_first_folder_is_accepted(self):
        self._fill()
        shutil.move(self.manual / "Real World", self.manual / "RealWorld")
        opened = self._open("real_world", image_shape=(4, 4, 3))
        self.assertEqual(opened.ids[36], "RealWorld/Mouse/00001")

    def test_a_stream_must_say_the_size(self):
        self._fill()
        with self.assertRaisesRegex(ValueError, "state the `image_shape`"):
            self._open()

    def test_there_is_no_test_split(self):
        with self.assertRaisesRegex(UserError, "no such split.*for 'train'"):
            tfds_source.open_split("office_home_art", "test", self.folder)

    def test_missing_images_are_answered_with_how_to_get_them(self):
        message = self._fault()
        self.assertIn("Data set 'office_home_product', split 'train'", message)
        self.assertIn("officeHomeDataset.html", message)
        self.assertIn(f"'{self.manual}': fill it", message)

    def test_a_missing_domain_is_named(self):
        self._fill(_TREE)
        self.assertIn("no folder 'Art' in", self._fault("art"))

    def test_truncated_image_is_named(self):
        self._fill(_TREE)
        path = self.manual / _TREE / "Product/Mug/00001.jpg"
        path.write_bytes(path.read_bytes()[:-9])
        message = self._fault(image_shape=(4, 4, 3))
        self.assertIn("Product/Mug/00001.jpg' is no image or is cut", message)

    def test_missing_classes_are_named(self):
        self._fill(_TREE)
        shutil.rmtree(self.manual / _TREE / "Product/ruler")
        shutil.rmtree(self.manual / _TREE / "Product/Mop")
        self.assertIn("lacks 2 of the 65 classes: Mop, Ruler)", self._fault())


if __name__ == "__main__":
    tfds.testing.test_main()
