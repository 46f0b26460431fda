"""TU-Berlin sketches as a TFDS data set."""

import re
from typing import ClassVar

import tensorflow_datasets as tfds

from tfcl.data_builders import image_files, manual_files
from tfcl.data_builders.image_builder import ImageBuilder

_CLASSES = 250
_ARCHIVE = "sketches_png.zip"
# Inside a class, every 5th sketch by number is a test sketch: 64 and 16.
_TEST_EVERY = 5


class Builder(ImageBuilder):
    """16,000 training and 4,000 test sketches; the user supplies them.

    Features:
        image: `(height, width, 3)`, uint8; 1111 x 1111 grey PNG files,
            unchanged, read in colours.
        label: Class index 0..249, the place of the class by name.
        class_name: Name of the class.
        id: "<class>/<file>"; "<split>/<class>/<file>" of a tree with splits.
    """

    CLASSES = _CLASSES
    COUNTS: ClassVar[dict] = {"train": 16_000, "test": 4_000}
    HOMEPAGE = "https://cybertron.cg.tu-berlin.de/eitz/projects/classifysketch/"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Get {_ARCHIVE} from {HOMEPAGE} (CC BY 4.0) and put it, or the folder "
        "png that it unpacks to, or sketches/{train,test}/<class>/<file>, into "
        "the folder for manual downloads."
    )

    def features(self):
        return image_files.features(
            count=_CLASSES, class_name=tfds.features.Text()
        )

    def images(self, dl_manager):
        root = dl_manager.manual_dir
        for folder in ("sketches", "data/sketches"):
            if (root / folder / "train").exists():
                return {
                    split: image_files.in_ranked_folders(
                        root / folder / split, self.CLASSES, split
                    )
                    for split in ("train", "test")
                }
        png = manual_files.tree(
            dl_manager,
            *("png", "sketches_png/png", "sketches/png"),
            archives=[(_ARCHIVE, None)],
        )
        return _divided(
            image_files.in_ranked_folders(png, self.CLASSES, png.name)
        )


def _divided(images):
    found = {"train": [], "test": []}
    classes = {}
    for image in images:
        classes.setdefault(image.label, []).append(image)
    for sketches in classes.values():
        sketches.sort(key=lambda image: _number(image.path))
        for place, image in enumerate(sketches, 1):
            split = "train" if place % _TEST_EVERY else "test"
            identity = image.id.partition("/")[2]
            found[split].append(image._replace(id=identity))
    return found


def _number(path):
    number = re.match(r"\d+$", path.stem)
    if not number:
        raise manual_files.DataFileError(f"'{path}' has no number for a name")
    return int(number[0])
