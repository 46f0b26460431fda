"""VGGFace2, LFW, Adience, AffectNet, ChaLearn: CPG's sets of faces."""

import shutil
import tempfile
from typing import ClassVar
from unittest import mock

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tests.data_builders import harness, samples
from tfcl.data_builders import dummy_images
from tfcl.data_builders.adience import adience_dataset_builder as adience
from tfcl.data_builders.affectnet import affectnet_dataset_builder as affectnet
from tfcl.data_builders.chalearn_gender import (
    chalearn_gender_dataset_builder as chalearn,
)
from tfcl.data_builders.lfw_pairs import lfw_pairs_dataset_builder as lfw
from tfcl.data_builders.vggface2 import vggface2_dataset_builder as vggface2


class Vggface2Test(harness.BuilderTest):
    DATASET_CLASS = vggface2.Builder
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar[list] = ["official"]
    PATCHES: ClassVar[dict] = {"IDENTITIES": {"train": 2, "test": 1}}
    SPLITS: ClassVar[dict] = {"train": 2, "test": 1}

    def test_test_identities_are_numbered_after_those_for_training(self):
        found = self.prepared("official")
        labels = {
            (e["class_name"], int(e["label"]))
            for examples in found.values()
            for e in examples.values()
        }
        self.assertEqual(
            labels, {(b"n000002", 0), (b"n000004", 1), (b"n000001", 2)}
        )


class Vggface2OpenedTest(harness.OpenedTest):
    def setUp(self):
        super().setUp()
        self.patch(vggface2.Builder, IDENTITIES={"train": 2, "test": 1})

    def test_missing_face_is_named(self):
        self.fill(vggface2.Builder)
        (self.manual / "vggface2/test/n000001/0002_01.jpg").unlink()
        message = self.fault("vggface2")
        self.assertIn("n000001/0002_01.jpg' is missing", message)

    def test_shortened_list_is_refused(self):
        self.fill(vggface2.Builder)
        path = self.manual / "vggface2/train_list.txt"
        path.write_text("n000002/0003_02.jpg\n")
        self.assertIn("holds 1 identities where", self.fault("vggface2"))
        path.write_text("n000002/0003_02.jpg\nn2/1.jpg\nn2/1.jpg\n")
        self.assertIn("names an image twice", self.fault("vggface2"))
        path.write_text("0003_02.jpg\n")
        self.assertIn("'<identity>/<file>' is exp", self.fault("vggface2"))

    def test_the_number_of_persons_follows_the_folder(self):
        root = self.manual / "face_verification"
        files = ("train/n2/a.jpg", "train/n1/a.jpg", "train/n3/a.jpg")
        for name in (*files, "val/n3/b.jpg", "val/n4/b.jpg", "val/n1/b.jpg"):
            dummy_images.write(root / name)
        message = self.fault("vggface2_face_verification")
        self.assertIn("val/n4' is none of the 3 classes", message)
        shutil.rmtree(root / "val/n4")
        with self.assertLogs(level="WARNING") as logged:
            opened = self.open("vggface2_face_verification", "test")
        told = "".join(logged.output)
        self.assertIn("has 3 identities. CPG's results are of 4630", told)
        self.assertEqual(opened.class_names, ("n1", "n2", "n3"))
        self.assertEqual(opened.ids, ("val/n1/b.jpg", "val/n3/b.jpg"))
        # A person without images in one split shifts no label.
        self.assertAllEqual(opened.labels, [0, 2])
        # Prepared, it is opened again with the same classes.
        again = self.open("vggface2_face_verification", "train")
        self.assertEqual(again.class_names, ("n1", "n2", "n3"))
        self.assertAllEqual(again.labels, [0, 1, 2])

    def test_one_person_cannot_be_told_from_others(self):
        root = self.manual / "face_verification"
        for name in ("train/n2/a.jpg", "val/n2/b.jpg"):
            dummy_images.write(root / name)
        message = self.fault("vggface2_face_verification")
        self.assertIn("has one folder, but telling persons apart", message)


class LfwPairsTest(harness.BuilderTest):
    DATASET_CLASS = lfw.Builder
    SPLITS: ClassVar[dict] = {"test": 4}

    def test_pairs_are_those_of_the_list(self):
        found = self.prepared()["test"]
        self.assertEqual([int(found[i]["label"]) for i in _IDS], [1, 0, 1, 0])
        self.assertEqual([int(found[i]["fold"]) for i in _IDS], [0, 0, 1, 1])
        faces = self.dummy_data / "lfw"
        for key, name in (("image_1", "Bob_B_0001"), ("image_2", "Cyd_C_0003")):
            path = faces / name[:-5] / f"{name}.jpg"
            self.assertAllEqual(
                found["0003"][key],
                tf.io.decode_image(path.read_bytes(), channels=3),
            )


_IDS = ("0000", "0001", "0002", "0003")


class LfwPairsOpenedTest(harness.OpenedTest):
    def setUp(self):
        super().setUp()
        self.fill(lfw.Builder)
        self.pairs = self.manual / "pairs.txt"

    def test_pairs_without_images_are_left_out_and_counted(self):
        (self.manual / "lfw/Ann_A/Ann_A_0002.jpg").unlink()
        with self.assertLogs(level="WARNING") as logged:
            opened = self.open("lfw_pairs", "test")
        self.assertIn("1 of 4 pairs are left out", "".join(logged.output))
        self.assertEqual(opened.ids, _IDS[1:])

    def test_no_image_at_all_is_a_fault(self):
        for path in self.manual.glob("lfw/*/*.jpg"):
            path.unlink()
        message = self.fault("lfw_pairs", "test")
        self.assertIn("none of the 4 pairs has its images", message)

    def test_damaged_lists_are_refused(self):
        text = self.pairs.read_text()
        for damaged, fault in (
            (text.replace("Cyd_C\t1\t3\n", ""), "holds 3 pairs where"),
            (
                text.replace("\tBob_B\t1\n", "\t1\n"),
                "line 3 is no pair of diff",
            ),
            (
                text.replace("Cyd_C\t1\t3", "Cyd_C\tx\t3"),
                "line 4 is no pair of s",
            ),
            (text.replace("2\t1\n", "Ann\n", 1), "does not begin with the num"),
        ):
            self.pairs.write_text(damaged)
            self.assertIn(fault, self.fault("lfw_pairs", "test"))

    def test_there_is_nothing_to_train_on(self):
        with self.assertRaisesRegex(Exception, "no such split.*for 'test'"):
            self.open("lfw_pairs", "train")


_ADIENCE_COUNTS = {"age0": {"train": 4, "test": 1}}


class AdienceTest(harness.BuilderTest):
    DATASET_CLASS = adience.Builder
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar[list] = ["age0"]
    PATCHES: ClassVar[dict] = {"COUNTS": _ADIENCE_COUNTS}
    SPLITS: ClassVar[dict] = {"train": 4, "test": 1}

    def test_ages_outside_the_groups_are_left_out(self):
        found = self.prepared("age0")
        self.assertEqual(set(found["test"]), {"fold_0/0@N03/7.12.jpg"})
        labels = sorted(int(e["label"]) for e in found["train"].values())
        self.assertEqual(labels, [1, 2, 4, 7])


class AdienceOpenedTest(harness.OpenedTest):
    def test_the_tree_of_cpg_is_read_too(self):
        self.patch(adience.Builder, COUNTS={"age3": {"train": 2, "test": 1}})
        for name in (
            "train/0-2/a.jpg",
            "train/25-32/b.jpg",
            "val/60_100/c.jpg",
        ):
            dummy_images.write(self.manual / "age3" / name)
        self.assertAllEqual(self.open("adience_age3").labels, [0, 4])
        self.assertAllEqual(self.open("adience_age3", "test").labels, [7])

    def test_folds_make_up_the_published_number(self):
        for sizes in adience.Builder.COUNTS.values():
            self.assertEqual(sizes["train"] + sizes["test"], 17_424)

    def test_incomplete_copy_is_refused(self):
        self.fill(adience.Builder)
        message = self.fault("adience_age0")
        self.assertIn("holds 4 images for 'train'", message)

    def test_missing_fold_is_named(self):
        self.fill(adience.Builder)
        (self.manual / "adience/fold_4_data.txt").unlink()
        self.assertIn("fold_4_data.txt", self.fault("adience_age0"))

    def test_unaligned_faces_are_read_where_there_are_no_others(self):
        self.patch(adience.Builder, COUNTS=_ADIENCE_COUNTS)
        self.fill(adience.Builder)
        root = self.manual / "adience"
        (root / "aligned").rename(root / "faces")
        message = self.fault("adience_age0")
        self.assertIn("coarse_tilt_aligned_face.7.12.jpg' is miss", message)


class AffectnetTest(harness.BuilderTest):
    DATASET_CLASS = affectnet.Builder
    PATCHES: ClassVar[dict] = {"COUNTS": {"train": 1, "validation": 1}}
    SPLITS: ClassVar[dict] = {"train": 1, "validation": 1}

    def test_faces_are_cut_and_contempt_is_left_out(self):
        found = self.prepared()
        example = found["train"]["train/689/a.jpg"]
        self.assertEqual(example["label"], 6)
        self.assertEqual(example["image"].shape, (4, 3, 3))
        names = self.builder.info.features["label"].names
        self.assertEqual(" ".join(names[::3]), "neutral surprise anger")


class AffectnetOpenedTest(harness.OpenedTest):
    def setUp(self):
        super().setUp()
        self.patch(affectnet.Builder, COUNTS={"train": 1, "validation": 1})

    def test_the_tree_of_cpg_is_read_too(self):
        root = self.manual / "emotion"
        for name in ("train/0/a.jpg", "val/Anger/b.jpg"):
            dummy_images.write(root / name)
        self.assertAllEqual(self.open("affectnet").labels, [0])
        self.assertAllEqual(self.open("affectnet", "test").labels, [6])

    def test_damaged_lists_are_refused(self):
        self.fill(affectnet.Builder)
        path = self.manual / "affectnet/training.csv"
        text = path.read_text()
        path.write_text(text.replace("1;2,6", "1;2,11"))
        self.assertIn(
            "training.csv' line 2 has no box", self.fault("affectnet")
        )
        path.write_text(text.replace("expression", "emotion"))
        self.assertIn("lacks the columns expression", self.fault("affectnet"))


class ChalearnGenderTest(harness.BuilderTest):
    DATASET_CLASS = chalearn.Builder
    SPLITS: ClassVar[dict] = {"train": 2, "validation": 1}

    def test_lists_give_classes_and_boxes(self):
        found = self.prepared()
        labels = {name: int(e["label"]) for name, e in found["train"].items()}
        self.assertEqual(labels, {"train/a.jpg": 0, "train/b.jpg": 2})
        example = found["validation"]["validation/c.jpg"]
        self.assertEqual(example["label"], 1)
        self.assertEqual(example["image"].shape, (4, 2, 3))


class ChalearnGenderOpenedTest(harness.OpenedTest):
    def test_the_tree_of_cpg_is_read_too(self):
        for name in ("train/female/a.jpg", "train/Other/b.jpg", "val/0/c.jpg"):
            dummy_images.write(self.manual / "gender" / name)
        self.assertAllEqual(self.open("chalearn_gender").labels, [2, 1])
        self.assertAllEqual(self.open("chalearn_gender", "test").labels, [0])

    def test_damaged_lists_are_refused(self):
        self.fill(chalearn.Builder)
        path = self.manual / "chalearn_gender/train.csv"
        for text, fault in (
            ("image_name,Gender\na.jpg,3\n", "line 2 has the gender '3'"),
            (
                "image_name,smile\na.jpg,1\n",
                "one column with the word 'gender'",
            ),
            ("image,file,gender\na,a,1\n", "one column with the word 'image'"),
            ("", "header, which is empty"),
        ):
            path.write_text(text)
            self.assertIn(fault, self.fault("chalearn_gender"))


class RealSamplesTest(tf.test.TestCase):
    def test_lfw_pairs(self):
        pairs = lfw.read_pairs(samples.folder("raw/lfw/pairs.txt"))
        self.assertLen(pairs, 6000)
        self.assertEqual(
            pairs[0],
            lfw.Pair(
                "Abel_Pacheco/Abel_Pacheco_0001.jpg",
                "Abel_Pacheco/Abel_Pacheco_0004.jpg",
                True,
                0,
            ),
        )
        self.assertEqual(sum(pair.same for pair in pairs), 3000)
        folds = np.bincount([pair.fold for pair in pairs])
        self.assertAllEqual(folds, [600] * 10)
        for pair in pairs:
            persons = {name.split("/")[0] for name in pair[:2]}
            self.assertLen(persons, 1 if pair.same else 2)

    def test_vggface2_list(self):
        sample = samples.folder("raw/vggface2/test_list.txt")
        with tempfile.TemporaryDirectory() as out:
            manual = tfds.core.Path(out) / "vggface2"
            manual.mkdir()
            for split in ("train", "test"):
                path = manual / f"{split}_list.txt"
                path.write_text(sample.read_text())
            names = sample.read_text().split()
            identities = sorted({name.split("/")[0] for name in names})
            builder = vggface2.Builder(data_dir=out, config="official")
            sizes = dict.fromkeys(("train", "test"), len(identities))
            with mock.patch.object(vggface2.Builder, "IDENTITIES", sizes):
                manager = harness.manual_folder(out)
                found = list(builder.images(manager)["test"])
        self.assertEqual([p.id for p in found], [f"test/{n}" for n in names])
        for image in found:
            place = image.label - len(identities)
            self.assertEqual(identities[place], image.more["class_name"])


if __name__ == "__main__":
    tfds.testing.test_main()
