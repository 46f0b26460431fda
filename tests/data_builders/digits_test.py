"""The digits builder against TFDS's own checks and against scikit-learn."""

from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from sklearn import datasets

from tfcl.data_builders.digits import digits_dataset_builder


class DigitsTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = digits_dataset_builder.Builder
    # Nothing is downloaded; the harness only asks that the folder exists.
    EXAMPLE_DIR = digits_dataset_builder.Builder.code_path.parent
    SPLITS: ClassVar[dict] = {"train": 1442, "test": 355}

    def test_images_are_those_of_scikit_learn_split_as_stated(self):
        # Stated here once more, the slow way, to check the builder's rule.
        shipped = datasets.load_digits()
        seen = dict.fromkeys(range(10), 0)
        expected = {"train": {}, "test": {}}
        for i, (counts, label) in enumerate(
            zip(shipped.images, shipped.target)
        ):
            seen[label] += 1
            split = "test" if seen[label] % 5 == 0 else "train"
            grey = [[round(v * 255 / 16) for v in row] for row in counts]
            expected[split][f"digit_{i:04d}"] = (grey, int(label))

        self.builder.download_and_prepare()
        for split, images in expected.items():
            examples = list(tfds.as_numpy(self.builder.as_dataset(split=split)))
            self.assertLen(examples, len(images))
            for example in examples:
                grey, label = images[example["id"].decode()]
                np.testing.assert_array_equal(example["image"][..., 0], grey)
                self.assertEqual(example["label"], label)

    def test_every_class_is_in_both_splits(self):
        self.builder.download_and_prepare()
        counts = {
            split: np.bincount(
                [
                    example["label"]
                    for example in tfds.as_numpy(
                        self.builder.as_dataset(split=split)
                    )
                ]
            ).tolist()
            for split in ("train", "test")
        }
        self.assertEqual(
            counts["train"], [143, 146, 142, 147, 145, 146, 145, 144, 140, 144]
        )
        self.assertEqual(
            counts["test"], [35, 36, 35, 36, 36, 36, 36, 35, 34, 36]
        )

    def test_classes_have_names_and_the_folder_is_described(self):
        self.assertEqual(
            self.builder.info.features["label"].names[::9], ["zero", "nine"]
        )
        self.assertIn("scikit-learn", self.builder.info.description)
        self.assertIn("alpaydin", self.builder.info.citation)


if __name__ == "__main__":
    tfds.testing.test_main()
