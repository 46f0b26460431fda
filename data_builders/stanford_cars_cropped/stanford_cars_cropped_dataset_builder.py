"""Stanford Cars, cut to their bounding boxes, as a TFDS data set."""

from typing import ClassVar

import numpy as np

from tfcl.data_builders import image_files, manual_files, matlab
from tfcl.data_builders.image_builder import ImageBuilder

# (folder, annotations) of the splits; the annotations of the test images
# come as a file of their own, since those of the devkit have no classes.
_SPLITS = {
    "train": ("cars_train", "cars_train_annos.mat"),
    "test": ("cars_test", "cars_test_annos_withlabels.mat"),
}
_SHA256 = {
    "cars_train": (
        "512b227b30e2f0a8aab9e09485786ab4479582073a144998da74d64b801fd288"
    ),
    "cars_test": (
        "bffea656d6f425cba3c91c6d83336e4c5f86c6cffd8975b0f375d3a10da8e243"
    ),
    "car_devkit": (
        "b97deb463af7d58b6bfaa18b2a4de9829f0f79e8ce663dfa9261bf7810e9accd"
    ),
}
_CROPPED = "stanford_cars_cropped"


class Builder(ImageBuilder):
    """8,144 training and 8,041 test images of 196 models.

    Features:
        image: `(height, width, 3)`, uint8; the bounding box cut out of the
            photograph, stored without loss.
        label: Class index 0..195, the owners' 1..196 less 1.
        id: "train/00001.jpg"; "train/<class>/00001.jpg" for images that
            were already cut.
    """

    CLASS_NAMES = manual_files.names(__file__)
    COUNTS: ClassVar[dict] = {"train": 8144, "test": 8041}
    HOMEPAGE = "https://ai.stanford.edu/~jkrause/cars/car_dataset.html"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "The owners' server is often off; a copy of Stanford Cars (research "
        "only) has cars_train.tgz, cars_test.tgz, car_devkit.tgz and "
        "cars_test_annos_withlabels.mat. Put these files, or the folders "
        "cars_train, cars_test and devkit that they unpack to, or images "
        f"already cut as {_CROPPED}/{{train,test}}/<class>/<file>, into the "
        "folder for manual downloads."
    )

    def images(self, dl_manager):
        root = dl_manager.manual_dir
        found = {}
        for split in _SPLITS:
            try:
                found[split] = self._split(dl_manager, split)
            except FileNotFoundError as error:
                manual_files.lacking(error)
        if not found:
            raise FileNotFoundError(f"there is no image of a car in '{root}'")
        return found

    def _split(self, dl_manager, split):
        root = dl_manager.manual_dir
        cropped = _cropped(root)
        if cropped is not None:
            return image_files.in_class_folders(
                cropped / split, self.CLASS_NAMES, split, numbered=True
            )
        folder, annotations = _SPLITS[split]
        devkit = _unpacked(dl_manager, "devkit", "car_devkit")
        return annotated(
            split,
            _unpacked(dl_manager, folder, folder),
            manual_files.find(
                root,
                devkit / annotations,
                annotations,
                f"stanford_cars/{annotations}",
            ),
        )


def _cropped(root):
    """The folder of images that are cut already, None if there is none."""
    for folder in (_CROPPED, f"data/{_CROPPED}"):
        if (root / folder).exists():
            return root / folder
    # Or `root` itself, unless its `train` is another data set's.
    if any(path.is_dir() for path in root.glob("train/001*")):
        return root
    return None


def _unpacked(dl_manager, folder, archive):
    return manual_files.tree(
        dl_manager,
        folder,
        f"stanford_cars/{folder}",
        archives=[(f"{archive}.tgz", _SHA256[archive])],
    )


def annotated(split, folder, annotations):
    """The images of a split with their boxes, in the owners' order.

    Args:
        split: "train" or "test".
        folder: Folder of the photographs, `epath.Path`.
        annotations: MATLAB file of boxes and classes, `epath.Path`.
    """
    images = []
    for row in _rows(annotations):
        # Differences are width and height: right and bottom are exclusive.
        box = tuple(int(row[f"bbox_{e}"]) for e in ("x1", "y1", "x2", "y2"))
        name = str(row["fname"])
        images.append(
            image_files.Image(
                f"{split}/{name}", folder / name, int(row["class"]) - 1, box
            )
        )
    return images


def _rows(path):
    """The rows of a MATLAB file of annotations."""
    rows = np.atleast_1d(matlab.load(path, "annotations")["annotations"])
    if "class" not in (rows.dtype.names or ()):
        raise manual_files.DataFileError(f"'{path}' has boxes without classes")
    return rows
