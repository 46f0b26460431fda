"""Oxford Flowers-102 with the split of CPG and Piggyback, for TFDS."""

from typing import ClassVar

import numpy as np

from tfcl.data_builders import image_files, manual_files, matlab
from tfcl.data_builders.image_builder import ImageBuilder

_ARCHIVE = "102flowers.tgz"
_SHA256 = {
    _ARCHIVE: (
        "2d01ecc807db462958cfe3d92f57a8c252b4abd240eb955770201e45f783b246"
    ),
    "imagelabels.mat": (
        "4903e94206bac23bf772aadf06451916df56b58fc483a62db32a97b82656651d"
    ),
    "setid.mat": (
        "46b8678f91fd95d3c8f4feab80d271a6c834a1dd896fe29fd3e6ad9ce5c8dccd"
    ),
}
# The owners' parts that a split takes: CPG trains on their validation part
# too.
_PARTS = {"train": ("trnid", "valid"), "test": ("tstid",)}


class Builder(ImageBuilder):
    """2,040 training and 6,149 test images of 102 flowers.

    Features:
        image: `(height, width, 3)`, uint8; the JPEG files, unchanged.
        label: Class index 0..101, the owners' 1..102 less 1.
        id: "image_00001.jpg"; "train/<class>/<file>" for sorted images.
    """

    CLASS_NAMES = manual_files.names(__file__)
    COUNTS: ClassVar[dict] = {"train": 2040, "test": 6149}
    HOMEPAGE = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Get {_ARCHIVE}, imagelabels.mat and setid.mat from {HOMEPAGE} (no "
        "explicit licence) and put them into the folder for manual downloads; "
        "the folder jpg that the archive unpacks to serves too, as does "
        "flowers/{train,test}/<class>/<file>."
    )

    def images(self, dl_manager):
        root = dl_manager.manual_dir
        for folder in ("flowers", "data/flowers"):
            if (root / folder).exists():
                return image_files.in_split_folders(
                    root / folder,
                    tuple(_PARTS),
                    self.CLASS_NAMES,
                    numbered=True,
                )
        jpg = manual_files.tree(
            dl_manager,
            *("jpg", "oxford_flowers102/jpg", "102flowers/jpg"),
            archives=[(_ARCHIVE, _SHA256[_ARCHIVE])],
        )
        labels = _matrices(root, jpg, "imagelabels.mat", ["labels"])["labels"]
        parts = _matrices(
            root,
            jpg,
            "setid.mat",
            [key for keys in _PARTS.values() for key in keys],
        )
        return {
            split: [
                _image(jpg, int(number), labels)
                for key in keys
                for number in np.sort(np.atleast_1d(parts[key]))
            ]
            for split, keys in _PARTS.items()
        }


def _image(jpg, number, labels):
    name = f"image_{number:05d}.jpg"
    label = int(labels[number - 1]) - 1
    return image_files.Image(name, jpg / name, label)


def _matrices(root, jpg, name, keys):
    path = manual_files.find(
        root, name, f"oxford_flowers102/{name}", jpg.parent / name
    )
    manual_files.check_sha256(path, _SHA256[name])
    return matlab.load(path, *keys)
