"""WikiArt paintings by style, artist or genre, as a TFDS data set."""

from typing import ClassVar

import tensorflow_datasets as tfds

from tfcl.data_builders import image_files, manual_files
from tfcl.data_builders.image_builder import ImageBuilder, configurations

_NAMES = {
    name: manual_files.names(__file__, f"{name}_classes.txt")
    for name in ("style", "artist", "genre")
}
# By artists, from the Piggyback archive; the lists are not published.
_PIGGYBACK_CLASSES = 195
_DESCRIPTIONS = {
    "style": "27 styles, the refined lists of Tan et al.",
    "artist": "23 artists, the refined lists of Tan et al.",
    "genre": "10 genres, the refined lists of Tan et al.",
    "piggyback": "195 classes in folders, as Piggyback and CPG use them.",
}


class Builder(ImageBuilder):
    """Paintings; the user supplies the images.

    Features:
        image: `(height, width, 3)`, uint8; the JPEG files, unchanged.
        label: Class index. In `piggyback` the place of the folder by name.
        class_name: In `piggyback` only: the folder's name.
        id: "<style>/<file>"; in `piggyback` "<split>/<folder>/<file>".
    """

    BUILDER_CONFIGS: ClassVar[list] = configurations(_DESCRIPTIONS)
    COUNTS: ClassVar[dict] = {
        "style": {"train": 57_025, "validation": 24_421},
        "artist": {"train": 13_347, "validation": 5_707},
        "genre": {"train": 45_503, "validation": 19_492},
    }
    PIGGYBACK_CLASSES = _PIGGYBACK_CLASSES
    HOMEPAGE = "https://github.com/cs-chan/ArtGAN/tree/master/WikiArt%20Dataset"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Get wikiart.zip (25 GB) and the lists from {HOMEPAGE} "
        "(non-commercial research only), unpack them and put "
        "wikiart/<Style>/<image> and wikiart/{Style,Artist,Genre}/*.csv into "
        "the folder for manual downloads; for the 195 classes of Piggyback "
        "wikiart/{train,test}/<class>/<file>."
    )

    def features(self):
        name = self.builder_config.name
        if name == "piggyback":
            return image_files.features(
                count=_PIGGYBACK_CLASSES, class_name=tfds.features.Text()
            )
        return image_files.features(_NAMES[name])

    def images(self, dl_manager):
        name = self.builder_config.name
        if name == "piggyback":
            root = manual_files.tree(
                dl_manager, "wikiart", "data/wikiart", marker="train"
            )
            return {
                split: image_files.in_ranked_folders(
                    root / split, self.PIGGYBACK_CLASSES, split
                )
                for split in ("train", "test")
            }
        lists = manual_files.tree(
            dl_manager,
            *("wikiart", "wikiart_csv", ""),
            marker=f"{name.title()}/{name}_train.csv",
        )
        paintings = manual_files.tree(
            dl_manager, "wikiart/wikiart", "wikiart", ""
        )
        return {
            split: _listed(
                lists / name.title() / f"{name}_{ending}.csv",
                paintings,
                len(_NAMES[name]),
            )
            for split, ending in (("train", "train"), ("validation", "val"))
        }


def _listed(path, paintings, classes):
    """The images of a list "path,class" or, for artists, "path,,class"."""
    images = []
    for number, line in enumerate(manual_files.lines(path), 1):
        if number == 1 and line.startswith("("):
            continue  # The artists' lists begin with a header.
        # From the right: a title may have commas.
        name, _, label = line.strip().rpartition(",")
        name = name.removesuffix(",").strip()
        if not name or not label.isdecimal() or int(label) >= classes:
            raise manual_files.DataFileError(
                f"'{path}' line {number} is not 'path,class' with a class "
                f"below {classes}"
            )
        images.append(image_files.Image(name, paintings / name, int(label)))
    return images
