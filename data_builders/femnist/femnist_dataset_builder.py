"""FEMNIST, LEAF's hand-written characters by user, as a TFDS data set."""

import re
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfcl.data_builders import image_files, leaf, manual_files
from tfcl.data_builders.image_builder import LabelledBuilder, configurations

CLASS_NAMES = tuple(
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)
_SIDE = 28
_CONFIGS = {
    "by_file": "All files; the number of a file is the feature 'user', so that "
    "task t learns file t.",
    "published": "File 0 alone: the published program draws every task from "
    "it.",
}


class Builder(LabelledBuilder):
    """62 characters, 28 x 28, about 22,000 per file; the user supplies them.

    Features:
        image: `(28, 28, 1)`, uint8; `255 * x` without its fraction, as
            published. The background is white, 255.
        label: Class index 0..61: digits, capitals, small letters.
        user: Number of the file, from 0; each holds one user.
        id: "<user>/<split>/<place in the file>", all padded with zeros.
    """

    CLASS_NAMES = CLASS_NAMES
    HOMEPAGE = "https://leaf.cmu.edu/"
    BUILDER_CONFIGS: ClassVar[list] = configurations(_CONFIGS)
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Make the files with LEAF (https://github.com/TalwalkarLab/leaf, "
        "data/femnist: ./preprocess.sh -s iid --iu 0.01 --sf 1.0 -k 0 -t "
        "sample) and put them as femnist/{train,test}/all_data_<number>_*.json "
        "into the folder for manual downloads."
    )

    def features(self):
        return image_files.features(
            self.CLASS_NAMES,
            image=image_files.png(_SIDE, _SIDE, 1),
            user=tfds.features.Scalar(dtype=np.int64),
        )

    def _split_generators(self, dl_manager):
        root = manual_files.tree(
            dl_manager,
            *("femnist", "femnist/raw", "femnist/data", "raw", "data", ""),
            marker="train",
        )
        files = {split: _files(root / split) for split in ("train", "test")}
        alone = set(files["train"]) ^ set(files["test"])
        if alone:
            raise FileNotFoundError(
                f"file {min(alone)} is only in one of the folders train and "
                f"test of '{root}'"
            )
        if self.builder_config.name == "published":
            files = {
                split: {0: numbered[0]} for split, numbered in files.items()
            }
        return {
            split: self._generate_examples(split, numbered)
            for split, numbered in files.items()
        }

    def _generate_examples(self, split, files):
        for user, path in files.items():
            # One file is some 200 MB of text: read when its turn comes.
            ((_, images, labels),) = _one_user(path)
            for place, (x, label) in enumerate(zip(images, labels)):
                if not 0 <= label < len(CLASS_NAMES):
                    raise manual_files.DataFileError(
                        f"'{path}' has the label {label}, which is not in "
                        f"0..{len(CLASS_NAMES) - 1}"
                    )
                identity = f"{user:03d}/{split}/{place:06d}"
                yield (
                    identity,
                    {
                        "id": identity,
                        "image": _grey(x, path),
                        "label": label,
                        "user": user,
                    },
                )


def _files(folder):
    """`{number: file}` of a split, by number; all from 0 on must be there."""
    found = {}
    for path in folder.iterdir() if folder.exists() else ():
        number = re.match(r"all_data_(\d+)_.*\.json$", path.name)
        if number:
            found[int(number[1])] = path
    if not found:
        raise FileNotFoundError(f"there is no all_data_0_*.json in '{folder}'")
    missing = set(range(max(found))) - set(found)
    if missing:
        raise FileNotFoundError(
            f"'{folder}' lacks all_data_{min(missing)}_*.json"
        )
    return dict(sorted(found.items()))


def _one_user(path):
    users = leaf.load(path)
    if len(users) != 1:
        raise manual_files.DataFileError(
            f"'{path}' has {len(users)} users where one is expected: make it "
            "with LEAF's options -s iid --iu 0.01"
        )
    return users


def _grey(x, path):
    try:
        pixels = np.asarray(x, np.float64)
    except (TypeError, ValueError):
        pixels = np.empty(0)
    if pixels.shape != (_SIDE * _SIDE,):
        raise manual_files.DataFileError(
            f"'{path}' has an image of {pixels.size} numbers where "
            f"{_SIDE * _SIDE} are expected"
        )
    if not (pixels.min() >= 0 and pixels.max() <= 1):
        raise manual_files.DataFileError(
            f"'{path}' has an image with values from {pixels.min():g} to "
            f"{pixels.max():g} where 0 to 1 are expected"
        )
    return (255 * pixels).astype(np.uint8).reshape(_SIDE, _SIDE, 1)
