"""Tiny-ImageNet, down-sampled ImageNet and mini-ImageNet."""

import gzip
import pathlib
import pickle
import shutil
import tempfile
from typing import ClassVar
from unittest import mock

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tests.data_builders import harness, samples
from tests.testing.contexts import entered
from tfcl.data_builders import dummy_images
from tfcl.data_builders.imagenet32 import (
    imagenet32_dataset_builder as imagenet32,
)
from tfcl.data_builders.mini_imagenet import make_dummy_data as mini_dummy_data
from tfcl.data_builders.mini_imagenet import (
    mini_imagenet_dataset_builder as mini_imagenet,
)
from tfcl.data_builders.tiny_imagenet import tiny_imagenet_dataset_builder

_TINY = tiny_imagenet_dataset_builder.Builder
_TINY_COUNTS = {"train": 4, "validation": 2}


class TinyImagenetTest(harness.BuilderTest):
    DATASET_CLASS = _TINY
    PATCHES: ClassVar[dict] = {"COUNTS": _TINY_COUNTS}
    SPLITS: ClassVar[dict] = _TINY_COUNTS

    def test_labels_are_ranks_of_wordnet_ids(self):
        names = self.builder.info.features["label"].names
        self.assertLen(names, 200)
        self.assertEqual(sorted(set(names)), names)
        found = self.prepared()
        self.assertEqual(
            {name: e["label"] for name, e in found["train"].items()},
            {
                "train/n01443537/n01443537_0.JPEG": 0,
                "train/n01443537/n01443537_1.JPEG": 0,
                "train/n02124075/n02124075_0.JPEG": names.index("n02124075"),
                "train/n02124075/n02124075_1.JPEG": names.index("n02124075"),
            },
        )
        # Stored in grey, read in colours.
        grey = found["validation"]["val/val_1.JPEG"]["image"]
        self.assertEqual(grey.shape, (4, 5, 3))
        self.assertEqual(found["validation"]["val/val_1.JPEG"]["label"], 0)


class TinyImagenetOpenedTest(harness.OpenedTest):
    def setUp(self):
        super().setUp()
        self.patch(_TINY, COUNTS=_TINY_COUNTS)

    def test_images_sorted_into_folders_are_read_too(self):
        root = self.manual / "tiny-imagenet-200"
        for split in ("train", "test"):
            for name in ("n01443537", "n12267677"):
                for number in range(1 + (split == "train")):
                    file = f"{name}_{number}.JPEG"
                    dummy_images.write(root / split / name / file)
        (root / "wnids.txt").write_text("n12267677\n")
        opened = self.open("tiny_imagenet", "test")
        self.assertEqual(opened.ids[1], "test/n12267677/n12267677_0.JPEG")
        self.assertEqual(opened.class_names[opened.labels[1]], "n12267677")

    def test_incomplete_copy_is_refused(self):
        self.fill(_TINY)
        path = "tiny-imagenet-200/train/n01443537/images/n01443537_1.JPEG"
        (self.manual / path).unlink()
        self.assertIn("holds 3 images for 'train'", self.fault("tiny_imagenet"))

    def test_truncated_image_is_named(self):
        self.fill(_TINY)
        file = "tiny-imagenet-200/val/images/val_0.JPEG"
        whole = (self.manual / file).read_bytes()
        (self.manual / file).write_bytes(whole[:-20])
        message = self.fault("tiny_imagenet")
        self.assertIn("val/images/val_0.JPEG' is no image or is cut", message)

    def test_missing_image_is_named(self):
        self.fill(_TINY)
        (self.manual / "tiny-imagenet-200/val/images/val_1.JPEG").unlink()
        self.assertIn("val_1.JPEG' is missing", self.fault("tiny_imagenet"))

    def test_another_tree_is_refused(self):
        (self.manual / "another_set").mkdir(parents=True)
        self.assertIn("tiny-imagenet-200.zip'", self.fault("tiny_imagenet"))

    def test_archive_is_unpacked(self):
        dummy = _TINY.code_path.parent / "dummy_data"
        self.manual.mkdir(parents=True)
        archive = self.manual / "tiny-imagenet-200"
        shutil.make_archive(archive, "zip", dummy, "tiny-imagenet-200")
        self.assertLen(self.open("tiny_imagenet"), 4)

    def test_cut_off_archive_is_refused(self):
        self.manual.mkdir(parents=True)
        archive = self.manual / "tiny-imagenet-200.zip"
        archive.write_bytes(b"PK\x03\x04 and no more")
        self.assertIn("tiny-imagenet-200.zip", self.fault("tiny_imagenet"))

    def test_annotation_of_an_unknown_class_is_refused(self):
        self.fill(_TINY)
        path = self.manual / "tiny-imagenet-200/val/val_annotations.txt"
        path.write_text("val_0.JPEG\tn00000000\t0\t0\t1\t1\n")
        self.assertIn("'n00000000', none of the", self.fault("tiny_imagenet"))


class Imagenet32Test(harness.BuilderTest):
    DATASET_CLASS = imagenet32.Builder
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar[list] = ["planar"]
    PATCHES: ClassVar[dict] = {
        "COUNTS": {"train": 3, "validation": 2},
        "BATCHES": 2,
    }
    SPLITS: ClassVar[dict] = {"train": 3, "validation": 2}

    def test_planes_become_channels(self):
        found = self.prepared("planar")
        example = found["train"]["train_data_batch_1/000001"]
        self.assertEqual(example["label"], 999)
        rows = _rows(self.dummy_data / "imagenet/train/train_data_batch_1")
        colour = rows[1][::1024]
        np.testing.assert_array_equal(
            example["image"], np.broadcast_to(colour, (32, 32, 3))
        )

    def test_scrambled_reading_is_the_row_as_it_stands(self):
        found = self.prepared("scrambled")
        rows = _rows(self.dummy_data / "imagenet/test/val_data")
        np.testing.assert_array_equal(
            found["validation"]["val_data/000000"]["image"].ravel(), rows[0]
        )


def _rows(path):
    return pickle.loads(path.read_bytes())["data"]


class Imagenet32OpenedTest(harness.OpenedTest):
    def setUp(self):
        super().setUp()
        counts = {"train": 3, "validation": 2}
        self.patch(imagenet32.Builder, COUNTS=counts, BATCHES=2)
        self.fill(imagenet32.Builder)
        self.file = self.manual / "imagenet/train/train_data_batch_2"

    def test_pickle_that_runs_a_program_is_refused(self):
        self.file.write_bytes(b"cbuiltins\nprint\n(Vran\ntR.")
        message = self.fault("imagenet32")
        self.assertIn("train_data_batch_2' names 'builtins.print'", message)

    def test_missing_batch_is_named(self):
        self.file.unlink()
        self.assertIn("train_data_batch_2", self.fault("imagenet32"))

    def test_cut_off_batch_is_named(self):
        self.file.write_bytes(self.file.read_bytes()[:-9])
        self.assertIn("batch_2' is no whole pickle", self.fault("imagenet32"))

    def test_labels_must_be_those_of_the_owners(self):
        rows = np.zeros((1, 3072), np.uint8)
        self.file.write_bytes(pickle.dumps({"data": rows, "labels": [0]}))
        message = self.fault("imagenet32")
        self.assertIn("labels must be integers from 1 to 1000", message)

    def test_data_of_another_size_are_refused(self):
        rows = np.zeros((1, 768), np.uint8)
        self.file.write_bytes(pickle.dumps({"data": rows, "labels": [1]}))
        self.assertIn("3072 numbers per label", self.fault("imagenet32"))

    def test_missing_rows_are_counted(self):
        self.patch(imagenet32.Builder, BATCHES=1)
        self.assertIn("holds 2 images for 'train'", self.fault("imagenet32"))


_NAMES = ("n01532829", "n01855672", "n01930112")


class MiniImagenetTest(harness.BuilderTest):
    DATASET_CLASS = mini_imagenet.Builder
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar[list] = ["noise_1"]
    PATCHES: ClassVar[dict] = {"PER_CLASS": 10}
    SPLITS: ClassVar[dict] = {"train": 21, "validation": 3, "test": 6}

    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(entered(_temporary(), cls.addClassCleanup))
        mini_dummy_data.write(folder, _NAMES)
        cls.EXAMPLE_DIR = folder
        entered(
            mock.patch.object(mini_imagenet, "CLASS_NAMES", _NAMES),
            cls.addClassCleanup,
        )
        super().setUpClass()

    def test_splits_cut_each_class_by_place(self):
        found = self.prepared("original")
        places = {
            split: sorted({int(name[4:]) for name in examples})
            for split, examples in found.items()
        }
        self.assertEqual(
            places, {"train": [*range(7)], "validation": [7], "test": [8, 9]}
        )
        example = found["test"]["002/0009"]
        self.assertEqual(example["distribution"], 2)
        rows = pickle.loads(
            (self.dummy_data / "mini-imagenet-cache-test.pkl").read_bytes()
        )
        np.testing.assert_array_equal(example["image"], rows["image_data"][9])

    def test_noise_is_that_of_the_stated_size(self):
        found = self.prepared("noise_2")["train"]
        self.assertEqual(found["001/0003"]["distribution"], 201)
        image = np.full((84, 84, 3), 128, np.uint8)
        configs = {c.name: c for c in mini_imagenet.Builder.BUILDER_CONFIGS}
        for name, deviation in (("noise_1", 0.025), ("noise_2", 0.1)):
            drawn = mini_imagenet.noisy(image, configs[name], (0, 0))
            drawn = drawn / 255 - 128 / 255
            # 21,168 draws: the deviation is known to half a percent.
            self.assertNear(drawn.std(), deviation, 0.03 * deviation)
            # Whole parts lie half a grey level lower on average.
            self.assertNear(drawn.mean(), -0.5 / 255, 0.003)

    def test_noise_depends_on_the_image_alone(self):
        config = self.DATASET_CLASS.BUILDER_CONFIGS[1]
        image = np.full((84, 84, 3), 9, np.uint8)

        def drawn(*key):
            return mini_imagenet.noisy(image, config, key)

        np.testing.assert_array_equal(drawn(3, 4), drawn(3, 4))
        self.assertNotAllEqual(drawn(3, 4), drawn(4, 3))


def _temporary():
    return tempfile.TemporaryDirectory()


class MiniImagenetOpenedTest(harness.OpenedTest):
    def setUp(self):
        super().setUp()
        self.patch(mini_imagenet.Builder, PER_CLASS=10)
        mini_dummy_data.write(self.manual, _NAMES)
        self.file = self.manual / "mini-imagenet-cache-val.pkl"

    def test_missing_classes_are_counted(self):
        message = self.fault("mini_imagenet_original")
        self.assertIn("holds 3 classes where the release has 100", message)

    def test_unknown_class_is_named(self):
        content = pickle.loads(self.file.read_bytes())
        content["class_dict"] = {"n00000000": list(range(10))}
        self.file.write_bytes(pickle.dumps(content))
        message = self.fault("mini_imagenet_original")
        self.assertIn("has the class 'n00000000'", message)

    def test_classes_without_rows_are_refused(self):
        content = pickle.loads(self.file.read_bytes())
        content["class_dict"] = {"n01855672": 10}
        self.file.write_bytes(pickle.dumps(content))
        message = self.fault("mini_imagenet_original")
        self.assertIn("'class_dict' must give a list of rows", message)

    def test_rows_outside_are_refused(self):
        content = pickle.loads(self.file.read_bytes())
        content["class_dict"] = {"n01855672": list(range(1, 11))}
        self.file.write_bytes(pickle.dumps(content))
        message = self.fault("mini_imagenet_original")
        self.assertIn("no images for all rows of 'n01855672'", message)


class RealSamplesTest(tf.test.TestCase):
    def test_tiny_imagenet(self):
        folder = samples.folder("raw/tiny_imagenet")
        counts = {"train": 300, "validation": 80}
        with mock.patch.object(_TINY, "COUNTS", counts), _temporary() as out:
            found = harness.built(_TINY, folder, out)
        names = found["train"].keys() | found["validation"].keys()
        self.assertLen(names, 380)
        for name, example in found["train"].items():
            wordnet_id = name.split("/")[1]
            self.assertEqual(_TINY.CLASS_NAMES[example["label"]], wordnet_id)
            self.assertEqual(example["image"].shape, (64, 64, 3))
        tree = folder / "tiny-imagenet-200/val"
        rows = (tree / "val_annotations.txt").read_text().splitlines()
        for file, wordnet_id, *_ in (row.split("\t") for row in rows):
            label = found["validation"][f"val/{file}"]["label"]
            self.assertEqual(_TINY.CLASS_NAMES[label], wordnet_id)
        pixels = tf.io.decode_jpeg(
            (tree / "images" / file).read_bytes(), channels=3
        )
        self.assertAllEqual(found["validation"][f"val/{file}"]["image"], pixels)

    def test_imagenet32(self):
        folder = samples.folder("raw/imagenet32")
        builder = imagenet32.Builder
        counts = {"train": 200, "validation": 50}
        with (
            mock.patch.object(builder, "COUNTS", counts),
            mock.patch.object(builder, "BATCHES", 2),
            _temporary() as out,
        ):
            found = harness.built(builder, folder, out)
        self.assertEqual(
            {int(e["label"]) for e in found["train"].values()}, set(range(10))
        )
        image = found["train"]["train_data_batch_1/000000"]["image"]
        image = image.astype(float)
        # Neighbours of a photograph are alike; scrambled ones are not.
        self.assertLess(np.abs(np.diff(image, axis=1)).mean(), 25)
        row = _rows(folder / "train/train_data_batch_1")[0]
        self.assertAllEqual(image[0, :3, 1], row[1024:1027])

    def test_mini_imagenet(self):
        folder = samples.folder("raw/mini_imagenet")
        names = []
        for part in ("train", "val", "test"):
            path = folder / f"mini-imagenet-cache-{part}.pkl"
            names += pickle.loads(path.read_bytes())["class_dict"]
        with (
            mock.patch.object(mini_imagenet, "CLASS_NAMES", tuple(names)),
            mock.patch.object(mini_imagenet.Builder, "PER_CLASS", 10),
            _temporary() as out,
        ):
            found = harness.built(mini_imagenet.Builder, folder, out)
        sizes = {split: len(examples) for split, examples in found.items()}
        self.assertEqual(sizes, {"train": 56, "validation": 8, "test": 16})
        content = pickle.loads(
            (folder / "mini-imagenet-cache-val.pkl").read_bytes()
        )
        # The first class of the second part, after four of the first.
        self.assertAllEqual(
            found["test"]["004/0008"]["image"], content["image_data"][8]
        )

    def test_class_names_are_those_of_the_published_parts(self):
        names = []
        for part in ("train", "val", "test"):
            file = f"raw/mini_imagenet/csv_ravi_larochelle/{part}.csv.gz"
            text = gzip.decompress(samples.folder(file).read_bytes()).decode()
            rows = text.splitlines()[1:]
            names += dict.fromkeys(row.split(",")[1].strip() for row in rows)
        self.assertEqual(tuple(names), mini_imagenet.CLASS_NAMES)


if __name__ == "__main__":
    tfds.testing.test_main()
