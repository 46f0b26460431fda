"""CUB-200-2011, birds cut to their bounding boxes, as a TFDS data set."""

from typing import ClassVar

from tfcl.data_builders import image_files, manual_files
from tfcl.data_builders.image_builder import ImageBuilder

_ARCHIVE = "CUB_200_2011.tgz"
_SHA256 = "0c685df5597a8b24909f6a7c9db6d11e008733779a671760afef78feb49bf081"
_CROPPED = "cubs_cropped"


class Builder(ImageBuilder):
    """5,994 training and 5,794 test images of 200 species.

    Features:
        image: `(height, width, 3)`, uint8; the bounding box cut out of the
            photograph, stored without loss.
        label: Class index 0..199, the owners' 1..200 less 1.
        id: "<class>/<file>".
    """

    CLASS_NAMES = manual_files.names(__file__)
    COUNTS: ClassVar[dict] = {"train": 5994, "test": 5794}
    HOMEPAGE = "https://www.vision.caltech.edu/datasets/cub_200_2011/"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Get {_ARCHIVE} from {HOMEPAGE} (research and education only) and put "
        "it, or the folder CUB_200_2011 that it unpacks to, or images "
        f"already cut as {_CROPPED}/{{train,test}}/<class>/<file>, into the "
        "folder for manual downloads."
    )

    def images(self, dl_manager):
        root = manual_files.tree(
            dl_manager,
            "CUB_200_2011",
            _CROPPED,
            f"data/{_CROPPED}",
            archives=[(_ARCHIVE, _SHA256)],
        )
        if (root / "images.txt").exists():
            return _cut(root)
        return image_files.in_split_folders(
            root, ("train", "test"), self.CLASS_NAMES, numbered=True
        )


def _cut(root):
    """The owners' images with their boxes."""
    labels = dict(manual_files.fields(root / "image_class_labels.txt", 2))
    in_train = dict(manual_files.fields(root / "train_test_split.txt", 2))
    boxes = {
        key: values
        for key, *values in manual_files.fields(root / "bounding_boxes.txt", 5)
    }
    found = {"train": [], "test": []}
    for key, name in manual_files.fields(root / "images.txt", 2):
        try:
            split = {"1": "train", "0": "test"}[in_train[key]]
            left, top, width, height = (round(float(v)) for v in boxes[key])
            label = int(labels[key]) - 1
        except (KeyError, ValueError):
            raise manual_files.DataFileError(
                f"the lists in '{root}' disagree about image {key} ('{name}')"
            ) from None
        box = (left, top, left + width, top + height)
        path = root / "images" / name
        found[split].append(image_files.Image(name, path, label, box))
    return found
