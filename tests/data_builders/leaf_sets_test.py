"""FEMNIST and federated CelebA, cut into users by LEAF."""

import json
import shutil
import tempfile
from typing import ClassVar

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tests.data_builders import harness, samples
from tfcl.data_builders.fceleba import fceleba_dataset_builder as fceleba
from tfcl.data_builders.femnist import femnist_dataset_builder as femnist


class FemnistTest(harness.BuilderTest):
    DATASET_CLASS = femnist.Builder
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar[list] = ["by_file"]
    SPLITS: ClassVar[dict] = {"train": 4, "test": 2}

    def test_file_t_is_user_t(self):
        found = self.prepared("by_file")
        users = {name: int(e["user"]) for name, e in found["train"].items()}
        self.assertEqual(
            users,
            {
                "000/train/000000": 0,
                "000/train/000001": 0,
                "001/train/000000": 1,
                "001/train/000001": 1,
            },
        )
        path = self.dummy_data / "femnist/train"
        path /= "all_data_1_iid_01_0_keep_0_train_9.json"
        samples_of = json.loads(path.read_text())["user_data"]["user_1"]
        example = found["train"]["001/train/000001"]
        # Cut off, not rounded: 0.999 becomes 254.
        expected = np.floor(255 * np.array(samples_of["x"][1]))
        self.assertAllEqual(example["image"].ravel(), expected)
        self.assertEqual(example["image"][0, 0, 0], 254)
        self.assertEqual(example["label"], samples_of["y"][1])

    def test_published_behaviour_reads_file_0_alone(self):
        found = self.prepared("published")
        self.assertEqual(
            set(found["train"]), {"000/train/000000", "000/train/000001"}
        )
        self.assertEqual(set(found["test"]), {"000/test/000000"})

    def test_classes_are_digits_capitals_and_small_letters(self):
        names = self.builder.info.features["label"].names
        self.assertLen(names, 62)
        self.assertEqual("".join(names[8:12] + names[34:38]), "89ABYZab")


class FemnistOpenedTest(harness.OpenedTest):
    def setUp(self):
        super().setUp()
        self.fill(femnist.Builder)
        self.train = self.manual / "femnist/train"
        self.file = self.train / "all_data_1_iid_01_0_keep_0_train_9.json"

    def test_files_below_raw_are_read_too(self):
        shutil.move(self.manual / "femnist", self.manual / "raw")
        self.assertLen(self.open("femnist"), 4)

    def test_missing_file_is_named(self):
        name = "all_data_0_iid_01_0_keep_0_train_9.json"
        (self.train / name).unlink()
        self.assertIn("lacks all_data_0_*.json", self.fault("femnist"))

    def test_file_in_one_folder_only_is_named(self):
        self.file.unlink()
        self.assertIn("file 1 is only in one of", self.fault("femnist"))

    def test_cut_off_file_is_named(self):
        self.file.write_text(self.file.read_text()[:-9])
        message = self.fault("femnist")
        self.assertIn("train_9.json' is no whole LEAF file", message)

    def test_other_cuts_of_leaf_are_refused(self):
        content = json.loads(self.file.read_text())
        content["users"].append("other")
        content["num_samples"].append(0)
        content["user_data"]["other"] = {"x": [], "y": []}
        self.file.write_text(json.dumps(content))
        self.assertIn("has 2 users where one is exp", self.fault("femnist"))

    def test_other_images_are_refused(self):
        content = json.loads(self.file.read_text())
        samples_of = content["user_data"]["user_1"]
        for image, fault in (
            ([0.5] * 783, "an image of 783 numbers"),
            ([0.5] * 783 + ["x"], "an image of 0 numbers"),
            ([0.5] * 783 + [255], "values from 0.5 to 255 where 0 to 1"),
        ):
            samples_of["x"][1] = image
            self.file.write_text(json.dumps(content))
            self.assertIn(fault, self.fault("femnist"))

    def test_labels_of_no_class_are_refused(self):
        content = json.loads(self.file.read_text())
        content["user_data"]["user_1"]["y"][1] = 62
        self.file.write_text(json.dumps(content))
        message = self.fault("femnist")
        self.assertIn("train_9.json' has the label 62", message)


class FcelebaTest(harness.BuilderTest):
    DATASET_CLASS = fceleba.Builder
    SPLITS: ClassVar[dict] = {"train": 3, "test": 2}

    def test_users_keep_the_order_of_the_file(self):
        found = self.prepared()
        examples = {
            name: (int(e["user"]), int(e["label"]))
            for split in found.values()
            for name, e in split.items()
        }
        self.assertEqual(
            examples,
            {
                "000/train/00000/000001.jpg": (0, 0),
                "000/train/00001/000002.jpg": (0, 1),
                "001/train/00000/000004.jpg": (1, 0),
                "000/test/00000/000003.jpg": (0, 0),
                "001/test/00000/000006.jpg": (1, 0),
            },
        )
        self.assertEqual(
            self.builder.info.features["label"].names,
            ["not_smiling", "smiling"],
        )


class FcelebaOpenedTest(harness.OpenedTest):
    def setUp(self):
        super().setUp()
        self.fill(fceleba.Builder)

    def test_the_trees_of_the_owners_are_read_too(self):
        (self.manual / "Img").mkdir()
        faces = self.manual / "img_align_celeba"
        shutil.move(faces, self.manual / "Img" / faces.name)
        (self.manual / "leaf").mkdir()
        shutil.move(self.manual / "fceleba", self.manual / "leaf/iid")
        self.assertLen(self.open("fceleba"), 3)

    def test_missing_face_is_named(self):
        (self.manual / "img_align_celeba/000004.jpg").unlink()
        self.assertIn("000004.jpg' is missing", self.fault("fceleba"))

    def test_labels_of_another_attribute_coding_are_refused(self):
        (path,) = self.manual.glob("fceleba/train/*.json")
        content = json.loads(path.read_text())
        content["user_data"]["4"]["y"][1] = -1.0
        path.write_text(json.dumps(content))
        message = self.fault("fceleba")
        self.assertIn("000002.jpg' the class index -1", message)

    def test_two_lists_are_one_too_many(self):
        path = self.manual / "fceleba/test/all_data_niid_test_9.json"
        path.write_text("{}")
        message = self.fault("fceleba")
        self.assertIn("test' has 2 files all_data*.json", message)


class RealSamplesTest(tf.test.TestCase):
    def test_femnist(self):
        folder = samples.folder("raw/femnist")
        with tempfile.TemporaryDirectory() as out:
            found = harness.built(femnist.Builder, folder, out, "by_file")
        self.assertLen(found["train"], 4 * 36)
        self.assertLen(found["test"], 4 * 4)
        # The first labels of the second file's test part are 6, 3, 4.
        labels = [
            int(found["test"][f"001/test/{place:06d}"]["label"])
            for place in range(3)
        ]
        self.assertEqual(labels, [6, 3, 4])
        for example in found["test"].values():
            self.assertLess(example["label"], 10)
            # Dark strokes on white.
            self.assertEqual(np.median(example["image"]), 255)

    def test_fceleba(self):
        lists = samples.folder("raw/celeba/leaf")
        with tempfile.TemporaryDirectory() as out:
            manual = tfds.core.Path(out) / "manual"
            shutil.copytree(lists, manual / "leaf")
            (list_path,) = manual.glob("leaf/iid/test/*.json")
            content = json.loads(list_path.read_text())
            faces = manual / "img_align_celeba"
            faces.mkdir()
            builder = fceleba.Builder(data_dir=out)
            found = builder.images(harness.manual_folder(manual))
            self.assertEqual(found["test"][0].path.parent, faces)
        self.assertLen(found["train"], 3 * 54)
        expected = [
            (user, name, int(label))
            for user, key in enumerate(content["users"])
            for name, label in zip(*content["user_data"][key].values())
        ]
        self.assertEqual(
            [(p.more["user"], p.path.name, p.label) for p in found["test"]],
            expected,
        )


if __name__ == "__main__":
    tfds.testing.test_main()
