"""CUB, Stanford Cars, Flowers, WikiArt, sketches: CPG's fine-grained sets."""

import tempfile
from typing import ClassVar
from unittest import mock

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tests.data_builders import harness, samples
from tfcl.data_builders import dummy_images, image_files
from tfcl.data_builders.cub_cropped import cub_cropped_dataset_builder as cub
from tfcl.data_builders.flowers_cpg import (
    flowers_cpg_dataset_builder as flowers,
)
from tfcl.data_builders.sketches import sketches_dataset_builder as sketches
from tfcl.data_builders.stanford_cars_cropped import (
    stanford_cars_cropped_dataset_builder as cars,
)
from tfcl.data_builders.wikiart import wikiart_dataset_builder as wikiart


class CubTest(harness.BuilderTest):
    DATASET_CLASS = cub.Builder
    PATCHES: ClassVar[dict] = {"COUNTS": {"train": 2, "test": 2}}
    SPLITS: ClassVar[dict] = {"train": 2, "test": 2}

    def test_birds_are_cut_to_their_boxes(self):
        found = self.prepared()
        path = "001.Black_footed_Albatross/A_0046_18.jpg"
        example = found["train"][path]
        self.assertEqual(example["label"], 0)
        photograph = _decoded(self.dummy_data / "CUB_200_2011/images" / path)
        np.testing.assert_array_equal(example["image"], photograph[2:5, 1:5])
        # A box that reaches beyond the photograph ends at its edge.
        beyond = found["train"]["002.Laysan_Albatross/B_0002_1027.jpg"]
        self.assertEqual(beyond["image"].shape, (3, 3, 3))


class CubOpenedTest(harness.OpenedTest):
    def setUp(self):
        super().setUp()
        self.patch(cub.Builder, COUNTS={"train": 2, "test": 2})
        self.tree = self.manual / "CUB_200_2011"

    def test_images_that_are_cut_already_are_read_too(self):
        for split, numbers in (("train", (1, 2)), ("test", (1, 200))):
            for number in numbers:
                name = cub.Builder.CLASS_NAMES[number - 1]
                path = f"data/cubs_cropped/{split}/{name}/{number}.jpg"
                dummy_images.write(self.manual / path)
        opened = self.open("cub_cropped", "test")
        self.assertAllEqual(opened.labels, [0, 199])
        self.assertEndsWith(opened.class_names[199], "Common_Yellowthroat")

    def test_lists_that_disagree_are_refused(self):
        self.fill(cub.Builder)
        (self.tree / "bounding_boxes.txt").write_text("1 0 0 1 1\n")
        self.assertIn("disagree about image 2", self.fault("cub_cropped"))

    def test_images_listed_twice_are_refused(self):
        self.fill(cub.Builder)
        path = self.tree / "images.txt"
        path.write_text(path.read_text().replace("0009_34", "0046_18"))
        path = self.tree / "train_test_split.txt"
        path.write_text(path.read_text().replace("2 0", "2 1"))
        message = self.fault("cub_cropped")
        self.assertIn("A_0046_18.jpg' is listed twice", message)

    def test_archive_of_another_content_is_refused(self):
        self.manual.mkdir(parents=True)
        (self.manual / "CUB_200_2011.tgz").write_bytes(b"another")
        message = self.fault("cub_cropped")
        self.assertIn("CUB_200_2011.tgz' has the checksum", message)
        self.assertIn("0c685df5597a... is right", message)


class CarsTest(harness.BuilderTest):
    DATASET_CLASS = cars.Builder
    PATCHES: ClassVar[dict] = {"COUNTS": {"train": 2, "test": 1}}
    SPLITS: ClassVar[dict] = {"train": 2, "test": 1}

    def test_cars_are_cut_to_their_boxes(self):
        found = self.prepared()
        example = found["train"]["train/00001.jpg"]
        self.assertEqual(example["label"], 13)
        photograph = _decoded(self.dummy_data / "cars_train/00001.jpg")
        np.testing.assert_array_equal(example["image"], photograph[2:5, 1:7])
        self.assertEqual(found["train"]["train/00002.jpg"]["label"], 195)
        self.assertEqual(found["test"]["test/00001.jpg"]["label"], 0)


class CarsOpenedTest(harness.OpenedTest):
    def setUp(self):
        super().setUp()
        self.patch(cars.Builder, COUNTS={"train": 2, "test": 1})

    def test_images_that_are_cut_already_are_read_too(self):
        root = self.manual / "stanford_cars_cropped"
        dummy_images.write(root / "train/002.any/1.jpg")
        dummy_images.write(root / "train/Ram C-V Cargo Van Minivan 2012/2.jpg")
        dummy_images.write(root / "test/196.any/1.jpg")
        opened = self.open("stanford_cars_cropped")
        names = [opened.class_names[label] for label in opened.labels]
        self.assertEqual(
            names, ["Acura RL Sedan 2012", "Ram C/V Cargo Van Minivan 2012"]
        )

    def test_annotations_without_classes_are_refused(self):
        self.fill(cars.Builder)
        path = self.manual / "cars_test_annos_withlabels.mat"
        scipy = tfds.core.lazy_imports.scipy
        boxes = np.zeros((1, 2), [("bbox_x1", "O"), ("fname", "O")])
        scipy.io.savemat(path, {"annotations": boxes})
        message = self.fault("stanford_cars_cropped")
        self.assertIn("withlabels.mat' has boxes without classes", message)
        scipy.io.savemat(path, {"another": boxes})
        message = self.fault("stanford_cars_cropped")
        self.assertIn("withlabels.mat' has no 'annotations'", message)
        path.write_bytes(b"MATLAB 5.0 and no more")
        message = self.fault("stanford_cars_cropped")
        self.assertIn("withlabels.mat' is no whole MATLAB file", message)

    def test_missing_annotations_are_named(self):
        self.fill(cars.Builder)
        (self.manual / "cars_test_annos_withlabels.mat").unlink()
        message = self.fault("stanford_cars_cropped")
        self.assertIn("devkit/cars_test_annos_withlabels.mat", message)


_NO_SUMS = dict.fromkeys(flowers._SHA256)


class FlowersTest(harness.BuilderTest):
    DATASET_CLASS = flowers.Builder
    PATCHES: ClassVar[dict] = {"COUNTS": {"train": 3, "test": 2}}
    SPLITS: ClassVar[dict] = {"train": 3, "test": 2}

    def setUp(self):
        super().setUp()
        self.enter_context(mock.patch.object(flowers, "_SHA256", _NO_SUMS))

    def test_the_owners_validation_images_are_for_training(self):
        found = self.prepared()
        labels = {
            split: {name: int(e["label"]) for name, e in examples.items()}
            for split, examples in found.items()
        }
        self.assertEqual(
            labels["train"],
            {
                "image_00002.jpg": 0,
                "image_00003.jpg": 101,
                "image_00005.jpg": 49,
            },
        )
        self.assertEqual(
            labels["test"], {"image_00001.jpg": 76, "image_00004.jpg": 0}
        )
        names = self.builder.info.features["label"].names
        self.assertEqual(names[76], "passion flower")


class FlowersOpenedTest(harness.OpenedTest):
    def test_other_lists_are_refused(self):
        self.fill(flowers.Builder)
        message = self.fault("flowers_cpg")
        self.assertIn("imagelabels.mat' has the checksum", message)

    def test_folders_by_number_are_read_too(self):
        self.patch(flowers.Builder, COUNTS={"train": 2, "test": 1})
        root = self.manual / "flowers"
        dummy_images.write(root / "train/1/x.jpg")
        dummy_images.write(root / "train/100/x.jpg")
        dummy_images.write(root / "test/canterbury_bells/x.jpg")
        self.assertAllEqual(self.open("flowers_cpg").labels, [0, 99])
        self.assertAllEqual(self.open("flowers_cpg", "test").labels, [2])


_WIKIART_COUNTS = {
    name: {"train": 2, "validation": 1} for name in ("style", "artist")
}


class WikiartTest(harness.BuilderTest):
    DATASET_CLASS = wikiart.Builder
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar[list] = ["style"]
    PATCHES: ClassVar[dict] = {"COUNTS": _WIKIART_COUNTS}
    SPLITS: ClassVar[dict] = {"train": 2, "validation": 1}

    def test_lists_of_artists_have_a_header_and_an_empty_column(self):
        builder = self.DATASET_CLASS(data_dir=self.tmp_dir, config="artist")
        found = builder.images(harness.manual_folder(self.dummy_data))
        self.assertEqual(
            [(p.id, p.label) for p in found["train"]],
            [("Impressionism/a_b-1900,c.jpg", 12), ("Rococo/d_e.jpg", 0)],
        )


class WikiartOpenedTest(harness.OpenedTest):
    def setUp(self):
        super().setUp()
        self.patch(wikiart.Builder, COUNTS=_WIKIART_COUNTS)

    def test_folders_of_piggyback_are_ranked(self):
        self.patch(wikiart.Builder, PIGGYBACK_CLASSES=2)
        for name in ("train/b/1.jpg", "train/a/1.jpg", "test/b/2.jpg"):
            dummy_images.write(self.manual / "wikiart" / name)
        # One of the classes has no test image: labels would shift.
        message = self.fault("wikiart_piggyback")
        self.assertIn("test' has 1 folders where 2 classes", message)
        dummy_images.write(self.manual / "wikiart/test/a/2.jpg")
        opened = self.open("wikiart_piggyback", "test")
        self.assertEqual(opened.ids, ("test/a/2.jpg", "test/b/2.jpg"))
        self.assertAllEqual(opened.labels, [0, 1])

    def test_missing_painting_is_named(self):
        self.fill(wikiart.Builder)
        (self.manual / "wikiart/Rococo/d_e.jpg").unlink()
        self.assertIn("Rococo/d_e.jpg' is missing", self.fault("wikiart_style"))

    def test_rows_of_no_class_are_refused(self):
        self.fill(wikiart.Builder)
        path = self.manual / "wikiart/Style/style_val.csv"
        path.write_text("Cubism/f_g.jpg,27\n")
        message = self.fault("wikiart_style")
        self.assertIn("style_val.csv' line 1 is not 'path,class'", message)


class SketchesTest(harness.BuilderTest):
    DATASET_CLASS = sketches.Builder
    PATCHES: ClassVar[dict] = {
        "COUNTS": {"train": 8, "test": 2},
        "CLASSES": 2,
    }
    SPLITS: ClassVar[dict] = {"train": 8, "test": 2}

    def test_every_fifth_sketch_by_number_is_for_testing(self):
        found = self.prepared()
        self.assertEqual(
            set(found["test"]), {"airplane/12.png", "alarm clock/17.png"}
        )
        example = found["train"]["alarm clock/13.png"]
        self.assertEqual(example["label"], 1)
        self.assertEqual(example["class_name"], b"alarm clock")
        # 8 to 12: by number, not by name.
        self.assertIn("airplane/10.png", found["train"])


class SketchesOpenedTest(harness.OpenedTest):
    def test_a_tree_with_splits_keeps_them(self):
        self.patch(sketches.Builder, COUNTS={"train": 2, "test": 1}, CLASSES=1)
        for name in ("train/ant/1.png", "train/ant/5.png", "test/ant/9.png"):
            dummy_images.write(self.manual / "sketches" / name)
        opened = self.open("sketches", "test")
        self.assertEqual(opened.ids, ("test/ant/9.png",))

    def test_missing_classes_are_counted(self):
        self.fill(sketches.Builder)
        message = self.fault("sketches")
        self.assertIn("has 2 folders where 250 classes are exp", message)


def _decoded(path):
    return tf.io.decode_image(path.read_bytes(), channels=3).numpy()


class RealSamplesTest(tf.test.TestCase):
    def test_cub(self):
        folder = samples.folder("raw/cub_200_2011")
        counts = {"train": 12, "test": 8}
        with (
            mock.patch.object(cub.Builder, "COUNTS", counts),
            tempfile.TemporaryDirectory() as out,
        ):
            found = harness.built(cub.Builder, folder, out)
        for examples in found.values():
            for name, example in examples.items():
                own = cub.Builder.CLASS_NAMES[example["label"]]
                self.assertEqual(own, name.split("/")[0])
        # Image 4 with the box 112 90 255 242 is a training image.
        name = "001.Black_footed_Albatross/Black_Footed_Albatross_0074_59.jpg"
        photograph = _decoded(folder / "CUB_200_2011/images" / name)
        self.assertAllEqual(
            found["train"][name]["image"], photograph[90:332, 112:367]
        )

    def test_cars_are_cut_as_a_public_copy_is(self):
        folder = samples.folder("raw/stanford_cars")
        cropped = samples.folder("raw/stanford_cars_cropped") / "train"
        images = cars.annotated(
            "train",
            folder / "cars_train",
            folder / "devkit/cars_train_annos.mat",
        )
        self.assertLen(images, cars.Builder.COUNTS["train"])
        copies = {path.name: path for path in cropped.glob("*/*.jpg")}
        compared = 0
        for image in images:
            if not image.path.exists():
                continue
            copy = copies[image.path.name]
            # "001.AM_General_Hummer_SUV_2000".
            self.assertEqual(int(copy.parent.name[:3]), image.label + 1)
            mine = tf.io.decode_image(
                image_files.read(image.path, image.box).read()
            )
            expected = _decoded(copy)
            self.assertEqual(mine.shape, expected.shape)
            # The photograph was stored as JPEG once more: no edge of its grey
            # canvas may show.
            difference = np.abs(np.int32(mine) - np.int32(expected))
            self.assertLess(difference.mean(), 6)
            compared += 1
        self.assertEqual(compared, 12)

    def test_cars_have_the_owners_names(self):
        path = samples.folder("raw/stanford_cars/devkit/cars_meta.mat")
        meta = tfds.core.lazy_imports.scipy.io.loadmat(path, squeeze_me=True)
        self.assertEqual(tuple(meta["class_names"]), cars.Builder.CLASS_NAMES)

    def test_flowers_lists_give_the_published_sizes(self):
        folder = samples.folder("raw/oxford_flowers102")
        with tempfile.TemporaryDirectory() as out:
            manual = tfds.core.Path(out)
            (manual / "jpg").mkdir()
            for name in ("imagelabels.mat", "setid.mat"):
                (manual / name).write_bytes((folder / name).read_bytes())
            builder = flowers.Builder(data_dir=out)
            found = builder.images(harness.manual_folder(manual))
        sizes = {split: len(images) for split, images in found.items()}
        self.assertEqual(sizes, flowers.Builder.COUNTS)
        names = {p.id for images in found.values() for p in images}
        self.assertLen(names, 8189)
        labels = {p.id: p.label for p in found["train"] + found["test"]}
        # The first images of the release are passion flowers, class 77.
        self.assertEqual(labels["image_00001.jpg"], 76)
        self.assertEqual(set(labels.values()), set(range(102)))

    def test_wikiart_lists_name_the_styles(self):
        folder = samples.folder("raw/wikiart")
        with tempfile.TemporaryDirectory() as out:
            for config in ("style", "artist", "genre"):
                builder = wikiart.Builder(data_dir=out, config=config)
                found = builder.images(harness.manual_folder(folder))
                names = builder.info.features["label"].names
                for image in found["train"] + found["validation"]:
                    style, _, file = image.id.partition("/")
                    own = names[image.label]
                    if config == "style":
                        # "Art_Nouveau" and "Art_Nouveau_Modern".
                        self.assertStartsWith(style, own)
                    if config == "artist":
                        artist = own.lower().replace("_", "-")
                        self.assertStartsWith(file, artist)
                self.assertNotEmpty(found["validation"])


if __name__ == "__main__":
    tfds.testing.test_main()
