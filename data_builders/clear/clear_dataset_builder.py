"""CLEAR as a TFDS data set, one configuration per bucket of time."""

from typing import ClassVar

import tensorflow_datasets as tfds

from tfcl.data_builders import image_files, manual_files
from tfcl.data_builders.image_builder import ImageBuilder, configurations

CLASS_NAMES = (
    *("BACKGROUND", "baseball", "bus", "camera", "cosplay", "dress"),
    *("hockey", "laptop", "racing", "soccer", "sweater"),
)
BUCKETS = 10
_LARGE, _SMALL = "clear100", "clear10"
_HOST = "https://clear-challenge.s3.us-east-2.amazonaws.com"


class Builder(ImageBuilder):
    """Photographs of 2004 to 2014 in order of time; the user supplies them.

    Features:
        image: `(height, width, 3)`, uint8, any size; files unchanged.
        label: Class index, 0..10 of CLEAR-10; of CLEAR-100 0..99, the place of
            the class by name.
        class_name: Name of the class, of CLEAR-100.
        id: "<bucket>/<class>/<file>".
    """

    CLASS_NAMES = CLASS_NAMES
    CLASSES = 100  # Of CLEAR-100, whose names are those of its folders.
    HOMEPAGE = "https://clear-benchmark.github.io"
    BUILDER_CONFIGS: ClassVar[list] = configurations(
        {
            f"{name}_{bucket}": f"Bucket {bucket} of {name.upper()}."
            for name in (_SMALL, _LARGE)
            for bucket in range(1, BUCKETS + 1)
        }
    )
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Get clear10-train-image-only.zip and clear10-test.zip, or those of "
        f"clear100, from {HOMEPAGE} ({_HOST}) and put them, or the folders "
        "clear10/train_image_only and clear10/test that they unpack to, into "
        "the folder for manual downloads."
    )

    def features(self):
        if self._of_release()[0] == _LARGE:
            return image_files.features(
                count=self.CLASSES, class_name=tfds.features.Text()
            )
        return image_files.features(self.CLASS_NAMES)

    def images(self, dl_manager):
        name, bucket = self._of_release()
        found = {}
        for split, folder, archive in (
            ("train", "train_image_only", f"{name}-train-image-only.zip"),
            ("test", "test", f"{name}-test.zip"),
        ):
            marker = f"labeled_images/{bucket}"
            root = manual_files.tree(
                dl_manager,
                *(f"{name}/{folder}", folder),
                marker=marker,
                archives=[(archive, None)],
            )
            found[split] = self._in_classes(name, root / marker, bucket)
        return found

    def _of_release(self):
        """`("clear10" or "clear100", bucket)`, texts."""
        name, _, bucket = self.builder_config.name.partition("_")
        return name, bucket

    def _in_classes(self, name, folder, bucket):
        if name == _LARGE:
            return image_files.in_ranked_folders(folder, self.CLASSES, bucket)
        return image_files.in_class_folders(folder, self.CLASS_NAMES, bucket)
