"""Labeled Faces in the Wild: the verification pairs, as a TFDS data set."""

from typing import ClassVar, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from tfcl.data_builders import image_files, manual_files
from tfcl.data_builders.own_folder import InOwnFolder

CLASS_NAMES = ("different", "same")
_ARCHIVE = "lfw.tgz"
_SHA256 = "055f7d9c632d7370e6fb4afc7468d40f970c34a80d4c6f50ffec63f5a8d536c0"


class Pair(NamedTuple):
    """Two faces: relative paths, whether of one person, fold from 0."""

    first: str
    second: str
    same: bool
    fold: int


class Builder(InOwnFolder, tfds.core.GeneratorBasedBuilder):
    """6,000 pairs in 10 folds of 300 + 300; the user supplies the images.

    Features:
        image_1, image_2: `(height, width, 3)`, uint8; 250 x 250 JPEG files,
            unchanged.
        label: 0 "different" or 1 "same" person.
        fold: 0..9. The protocol chooses the threshold on nine folds, measures
            on the tenth and averages.
        id: Place of the pair in pairs.txt, "0000".."5999".
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict] = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Get {_ARCHIVE} and pairs.txt from http://vis-www.cs.umass.edu/lfw/ "
        f"(research) and put pairs.txt, and {_ARCHIVE} or the folder lfw that "
        "it unpacks to, into the folder for manual downloads."
    )

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "id": tfds.features.Text(),
                    "image_1": image_files.any_image(),
                    "image_2": image_files.any_image(),
                    "label": tfds.features.ClassLabel(names=CLASS_NAMES),
                    "fold": tfds.features.Scalar(dtype=np.int64),
                }
            ),
            homepage="http://vis-www.cs.umass.edu/lfw/",
        )

    def _split_generators(self, dl_manager):
        root = dl_manager.manual_dir
        pairs = read_pairs(
            manual_files.find(root, "pairs.txt", "lfw/pairs.txt")
        )
        faces = manual_files.tree(
            dl_manager,
            *("lfw/lfw", "lfw", "lfw-deepfunneled"),
            archives=[(_ARCHIVE, _SHA256)],
        )
        found = _present(pairs, faces)
        return {"test": self._generate_examples(found, faces)}

    def _generate_examples(self, pairs, faces):
        for place, pair in pairs:
            identity = f"{place:04d}"
            yield (
                identity,
                {
                    "id": identity,
                    "image_1": image_files.read(faces / pair.first),
                    "image_2": image_files.read(faces / pair.second),
                    "label": int(pair.same),
                    "fold": pair.fold,
                },
            )


def read_pairs(path):
    """The pairs of a pairs.txt in its order, a list of `Pair`s.

    The first line is "folds TAB n"; a fold has n lines "name i j" of one
    person and n lines "name i name j" of two.
    """
    first, *rows = [line.split("\t") for line in manual_files.lines(path)]
    try:
        folds, count = (int(number) for number in first)
    except ValueError:
        raise manual_files.DataFileError(
            f"'{path}' does not begin with the numbers of folds and pairs"
        ) from None
    manual_files.check_count(len(rows), 2 * folds * count, "pairs", path)
    pairs = []
    for place, row in enumerate(rows):
        same = place % (2 * count) < count
        try:
            if same:
                name, one, two = row
                faces = (_face(name, one), _face(name, two))
            else:
                name, one, other, two = row
                faces = (_face(name, one), _face(other, two))
        except ValueError:
            raise manual_files.DataFileError(
                f"'{path}' line {place + 2} is no pair of "
                f"{CLASS_NAMES[same]} persons"
            ) from None
        pairs.append(Pair(*faces, same, place // (2 * count)))
    return pairs


def _face(name, number):
    return f"{name}/{name}_{int(number):04d}.jpg"


def _present(pairs, faces):
    """`(place, pair)` of the pairs whose images are both there."""
    found = [
        (place, pair)
        for place, pair in enumerate(pairs)
        if (faces / pair.first).exists() and (faces / pair.second).exists()
    ]
    if not found:
        raise FileNotFoundError(
            f"none of the {len(pairs):,} pairs has its images in '{faces}'"
        )
    if len(found) < len(pairs):
        # As the published evaluation does: a detector may have found no face.
        logging.warning(
            "LFW: %d of %d pairs are left out, since images are missing in "
            "'%s'.",
            len(pairs) - len(found),
            len(pairs),
            faces,
        )
    return found
