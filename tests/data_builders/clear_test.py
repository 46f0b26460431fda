"""CLEAR, by buckets of time."""

from typing import ClassVar

import tensorflow_datasets as tfds

from tests.data_builders import harness
from tfcl.data.streams.dataset_stream import dataset_stream
from tfcl.data_builders import dummy_images
from tfcl.data_builders.clear import clear_dataset_builder as clear


class ClearTest(harness.BuilderTest):
    DATASET_CLASS = clear.Builder
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar[list] = ["clear10_2"]
    SPLITS: ClassVar[dict] = {"train": 11, "test": 11}

    def test_labels_are_those_of_the_names(self):
        found = self.prepared("clear10_2")
        self.assertEqual(found["train"]["2/bus/0.jpg"]["label"], 2)
        self.assertEqual(found["test"]["2/BACKGROUND/1.jpg"]["label"], 0)

    def test_every_bucket_has_a_configuration(self):
        names = [config.name for config in self.builder.BUILDER_CONFIGS]
        self.assertLen(names, 20)
        self.assertEqual(names[9:11], ["clear10_10", "clear100_1"])


class ClearOpenedTest(harness.OpenedTest):
    def setUp(self):
        super().setUp()
        self.patch(clear.Builder, CLASSES=3)

    def _draw(self, root, bucket, classes, count=1):
        for folder in ("train_image_only", "test"):
            place = self.manual / root / folder / f"labeled_images/{bucket}"
            for name in classes:
                for number in range(count):
                    dummy_images.write(place / name / f"{number}.jpg")

    def test_folders_without_the_first_one_are_found(self):
        self._draw("", 7, clear.CLASS_NAMES)
        opened = self.open("clear10_7", "test")
        self.assertAllEqual(opened.labels, range(11))
        self.assertEqual(opened.class_names, clear.CLASS_NAMES)

    def test_classes_of_the_large_one_are_ranked(self):
        self._draw("clear100", 1, ("violin", "airplane", "bus"))
        opened = self.open("clear100_1")
        self.assertEqual(opened.ids[-1], "1/violin/0.jpg")
        self.assertAllEqual(opened.labels, [0, 1, 2])

    def test_the_wrong_release_is_told(self):
        self._draw("", 1, ("bus", "violin"))
        self.assertIn(
            "violin' is none of the 11 class", self.fault("clear10_1")
        )
        self.assertIn("2 folders where 3 classes", self.fault("clear100_1"))

    def test_a_missing_bucket_is_told(self):
        self.fill(clear.Builder)
        message = self.fault("clear10_3")
        self.assertIn("clear10-train-image-only.zip", message)
        self.assertIn("labeled_images/3'", message)

    def test_buckets_are_domains(self):
        for bucket in (1, 2):
            self._draw("clear100", bucket, ("a", "b", "c"), count=5)
        stream = dataset_stream(
            ["clear100_1", "clear100_2"],
            image_size=4,
            batch_size=2,
            scenario="domain",
            validation_fraction=0.2,
            data_dir=self.folder,
        )
        self.assertEqual(stream.scenario, "domain")
        sizes = [[len(s) for s in t.splits.values()] for t in stream]
        self.assertEqual(sizes, [[12, 3, 15]] * 2)


if __name__ == "__main__":
    tfds.testing.test_main()
