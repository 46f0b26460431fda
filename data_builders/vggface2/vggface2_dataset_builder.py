"""VGGFace2, faces by identity, as a TFDS data set."""

from typing import ClassVar

import tensorflow_datasets as tfds
from absl import logging

from tfcl.data_builders import image_files, manual_files
from tfcl.data_builders.image_builder import ImageBuilder, configurations

_TRAIN_IDENTITIES, _TEST_IDENTITIES = 8631, 500
# Of CPG's cut; which ones they are is not published.
_CPG_IDENTITIES = 4630
_DESCRIPTIONS = {
    "official": "The owners' lists: 8,631 identities in train, 500 others in "
    "test.",
    "face_verification": "A cut as CPG's: the identities that the folder has, "
    "the same in train and validation.",
}


class Builder(ImageBuilder):
    """Faces; the user supplies the images.

    Features:
        image: `(height, width, 3)`, uint8; the JPEG files, unchanged.
        label: Class index, the place of the identity by name: in `official`
            0..8630 for those in train and 8631..9130 for those in test, in
            `face_verification` from 0, as many as `train` has folders; these
            are the names of the classes.
        class_name: The identity, "n000002".
        id: "<split>/<identity>/<file>".
    """

    BUILDER_CONFIGS: ClassVar[list] = configurations(_DESCRIPTIONS)
    IDENTITIES: ClassVar[dict] = {
        "train": _TRAIN_IDENTITIES,
        "test": _TEST_IDENTITIES,
    }
    HOMEPAGE = "https://github.com/ox-vgg/vgg_face2"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"See {HOMEPAGE} (research only) for vggface2_train.tar.gz, "
        "vggface2_test.tar.gz, train_list.txt and test_list.txt; unpack them "
        "and put vggface2/{train,test}/<identity>/<file> and the lists in "
        "vggface2 into the folder for manual downloads. For a cut as CPG's, "
        "of any number of identities (its list of 4,630 is not published), "
        "put face_verification/{train,val}/<identity>/<file>."
    )

    def features(self):
        count = None  # Set when the folders are known.
        if self.builder_config.name == "official":
            count = _TRAIN_IDENTITIES + _TEST_IDENTITIES
        return image_files.features(
            count=count, class_name=tfds.features.Text()
        )

    def images(self, dl_manager):
        if self.builder_config.name == "official":
            return self._official(dl_manager)
        root = manual_files.tree(
            dl_manager,
            *("face_verification", "data/face_verification"),
            marker="train",
        )
        names = image_files.folder_names(root / "train")
        _tell_of_count(len(names), root / "train")
        self.info.features["label"].names = names
        return {
            split: image_files.in_named_folders(root / folder, names, folder)
            for split, folder in (("train", "train"), ("validation", "val"))
        }

    def _official(self, dl_manager):
        root = manual_files.tree(
            dl_manager,
            *("vggface2", "VGG-Face2/data", "VGG-Face2", "data", ""),
            marker="train_list.txt",
        )
        found, first = {}, 0
        for split, expected in self.IDENTITIES.items():
            listed = _list(root, split)
            identities = sorted({name.partition("/")[0] for name in listed})
            manual_files.check_count(
                len(identities), expected, "identities", root / split
            )
            labels = {name: first + k for k, name in enumerate(identities)}
            # Made when they are read: there are 3.3 million.
            found[split] = _images(root, split, listed, labels)
            first += expected
        return found


def _tell_of_count(count, folder):
    if count < 2:
        raise manual_files.DataFileError(
            f"'{folder}' has one folder, but telling persons apart takes two: "
            "put a folder per identity there"
        )
    if count != _CPG_IDENTITIES:
        logging.warning(
            "'%s' has %d identities. CPG's results are of %d, whose list is "
            "not published: yours cannot be compared with them.",
            folder,
            count,
            _CPG_IDENTITIES,
        )


def _list(root, split):
    path = manual_files.find(
        root, f"{split}_list.txt", f"data/{split}_list.txt"
    )
    listed = [name.strip() for name in manual_files.lines(path)]
    wrong = next((name for name in listed if name.count("/") != 1), None)
    if wrong is not None:
        raise manual_files.DataFileError(
            f"'{path}' has the line '{wrong[:80]}' where '<identity>/<file>' "
            "is expected"
        )
    if len(set(listed)) < len(listed):
        raise manual_files.DataFileError(f"'{path}' names an image twice")
    return listed


def _images(root, split, listed, labels):
    for name in listed:
        identity = name.partition("/")[0]
        yield image_files.Image(
            f"{split}/{name}",
            root / split / name,
            labels[identity],
            more={"class_name": identity},
        )
