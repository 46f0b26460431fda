"""The builder of a user's folders against TFDS's checks and the tree."""

import contextlib
import io
import os
import pathlib
import shutil
import sys
import tempfile
import unittest
from typing import ClassVar

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tests.testing.folders import draw, draw_task, save
from tfcl.data.sources import folder_package
from tfcl.data.streams.folder_stream import folder_stream
from tfcl.data_builders.image_folders import image_folders_dataset_builder
from tfcl.data_builders.image_folders.image_file import DEFAULT_RULES, decode
from tfcl.data_builders.image_folders.image_tree import TreeError
from tfcl.errors import UserError

_DUMMY = image_folders_dataset_builder.Builder.code_path.parent / "dummy_data"


class ImageFoldersTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = image_folders_dataset_builder.Builder
    SPLITS: ClassVar[dict] = {"train": 6, "test": 2}

    def test_records_are_the_images_of_the_tree(self):
        self.builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=_DUMMY)
        )
        records = [
            record
            for split in ("train", "test")
            for record in tfds.as_numpy(self.builder.as_dataset(split=split))
        ]
        records.sort(key=lambda record: record["number"])
        told = [
            (r["task"], r["class_name"], r["label"], r["id"]) for r in records
        ]
        self.assertEqual(
            told[:3],
            [
                (b"birds", b"magpie", 0, b"birds/train/magpie/1.png"),
                (b"birds", b"magpie", 0, b"birds/train/magpie/2.jpg"),
                (b"birds", b"robin", 1, b"birds/train/robin/1.bmp"),
            ],
        )
        for record in records:
            image = decode(_DUMMY / record["id"].decode())
            self.assertAllEqual(record["image"], image)


class PackageTest(tf.test.TestCase):
    """Built through `package_builder`, read by `folder_stream`."""

    def setUp(self):
        super().setUp()
        folder = self.enter_context(tempfile.TemporaryDirectory())
        self.root = pathlib.Path(folder, "my")
        self.data_dir = pathlib.Path(folder, "data")
        self.enter_context(contextlib.redirect_stdout(io.StringIO()))
        self.enter_context(contextlib.redirect_stderr(io.StringIO()))
        draw_task(self.root, "cars", {"mini": 9, "beetle": 5}, size=(20, 30))
        draw_task(
            self.root, "birds", {"robin": 2, "magpie": 2}, ("train", "val")
        )
        draw(self.root / "birds/train/robin/7.jpg", size=(12, 40))

    def _packed(self, size=(8, 6), resize="crop", **kwargs):
        builder = folder_package.package_builder(
            self.root, self.data_dir, size, resize, **kwargs
        )
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=self.root)
        )
        return pathlib.Path(builder.data_dir)

    def _opened(self, root, **kwargs):
        return folder_stream(
            root=str(root),
            image_size=(8, 6),
            resize="crop",
            batch_size=1,
            **kwargs,
        )

    def test_a_set_gives_the_stream_of_its_tree(self):
        packed = self._packed()
        self.assertEqual(
            packed.relative_to(self.data_dir).as_posix(),
            "image_folders/my_8x6_crop/1.0.0",
        )
        self.assertTrue(folder_package.is_package(packed))
        self.assertFalse(folder_package.is_package(self.root))
        wanted = self._opened(self.root)
        shutil.rmtree(self.root)
        for in_memory in (True, False):
            found = self._opened(packed, in_memory=in_memory)
            self.assertEqual(found.name, "my_8x6_crop")
            for one, other in zip(wanted.tasks, found.tasks, strict=True):
                self.assertEqual(one.class_names, other.class_names)
                for name in ("train", "validation", "test"):
                    split, again = getattr(one, name), getattr(other, name)
                    rows = np.arange(len(split))
                    self.assertAllEqual(again.labels, split.labels)
                    self.assertAllEqual(again.images[rows], split.images)

    def test_images_may_keep_their_size(self):
        packed = self._packed(size=None)
        wanted, found = self._opened(self.root), self._opened(packed)
        for one, other in zip(wanted.tasks, found.tasks):
            self.assertEqual(one.fingerprint(), other.fingerprint())

    def test_tasks_are_chosen_and_unknown_ones_named(self):
        packed = self._packed()
        (task,) = self._opened(packed, tasks=["cars"]).tasks
        self.assertEqual(task.name, "cars")
        with self.assertRaisesRegex(UserError, "'car'. Did you mean 'cars'"):
            self._opened(packed, tasks=["car"])

    def test_copies_in_two_splits_are_still_found(self):
        copy = self.root / "birds/val/magpie/9.png"
        copy.write_bytes((self.root / "birds/train/robin/0.png").read_bytes())
        with self.assertRaisesRegex(UserError, "robin/0.png' .*same content"):
            self._opened(self._packed())

    def test_white_is_decided_before_packing_and_kept_with_the_set(self):
        values = np.random.default_rng(0).integers(0, 4096, (9, 8, 6))
        for k, class_name in enumerate(["mini", "beetle"] * 4):
            path = self.root / "cars" / class_name / f"deep_{k}.png"
            save(path, values[k].astype(np.uint16))
        packed = self._packed(resize="crop")
        found = self._opened(packed, tasks=["cars"]).tasks[0]
        wanted = self._opened(self.root, tasks=["cars"]).tasks[0]
        self.assertEqual(found.preprocessing, wanted.preprocessing)
        self.assertEqual(found.preprocessing.white, 4095.0)
        for name in ("train", "validation", "test"):
            rows = np.arange(len(getattr(wanted, name)))
            self.assertAllEqual(
                getattr(found, name).images[rows],
                getattr(wanted, name).images[rows],
            )
        for white in (None, 1000.0):  # Of which the set says nothing.
            given = self._opened(packed, tasks=["birds"], white=white)
            self.assertEqual(given.tasks[0].preprocessing.white, white)

    def test_two_channels_are_packed_if_asked_for_and_noted(self):
        pixels = np.random.default_rng(0).integers(0, 256, (8, 6, 2), np.uint8)
        save(self.root / "cars/mini/0.png", pixels)
        with self.assertRaisesRegex(TreeError, "has two channels"):
            self._packed()
        rules = DEFAULT_RULES._replace(two_channels="grey")
        task = self._opened(self._packed(rules=rules)).tasks[0]
        self.assertEqual(task.preprocessing.two_channels, "grey")

    def test_lists_may_lead_out_of_the_folder_if_asked_for(self):
        outside = draw(self.root.parent / "out/9.png", key=9)
        listed = [f"../cars/mini/{k}.png {k % 2}" for k in range(8)]
        (self.root / "boats").mkdir()
        text = "\n".join([*listed, f"{outside} 0"])
        (self.root / "boats/train.txt").write_text(text)
        with self.assertRaisesRegex(TreeError, "leads out of"):
            self._packed()
        packed = self._packed(leave_root=True)
        self.assertLen(self._opened(packed, tasks=["boats"]).tasks[0].train, 5)

    @unittest.skipUnless(sys.platform == "linux", "names are texts")
    def test_images_with_names_that_are_no_text_are_packed(self):
        draw(self.root / "cars/mini" / os.fsdecode(b"caf\xe9.png"), key=5)
        task = self._opened(self._packed(), tasks=["cars"]).tasks[0]
        self.assertLen(task.train, 15 - 2 - 3)

    def test_bad_files_stop_the_packing_or_are_left_out(self):
        (self.root / "cars/mini/0.png").write_bytes(b"no image")
        with self.assertRaisesRegex(TreeError, "mini/0.png' is no readable"):
            self._packed()
        self.assertFalse(list(self.data_dir.glob("image_folders/*/1.0.0")))
        packed = self._packed(skip_bad=True)
        task = self._opened(packed, tasks=["cars"]).tasks[0]
        self.assertLen(task.train, 13 - 2 - 2)

    def test_another_set_is_refused(self):
        packed = self._packed()
        info = packed / "features.json"
        info.write_text(info.read_text().replace('"content"', '"other"'))
        with self.assertRaisesRegex(UserError, "not one that"):
            self._opened(packed)

    def test_damage_is_named(self):
        packed = self._packed()
        (shard,) = packed.glob("*-train.tfrecord*")
        content = bytearray(shard.read_bytes())
        content[len(content) // 2] ^= 0x10
        shard.write_bytes(content)
        with self.assertRaisesRegex(UserError, f"'{shard}' is damaged"):
            self._opened(packed)


if __name__ == "__main__":
    tfds.testing.test_main()
