"""CelebA cut into users by LEAF, as a TFDS data set."""

import numpy as np
import tensorflow_datasets as tfds

from tfcl.data_builders import image_files, leaf, manual_files
from tfcl.data_builders.image_builder import ImageBuilder

_FOLDER = "img_align_celeba"
_ARCHIVE = f"{_FOLDER}.zip"


class Builder(ImageBuilder):
    """Faces that smile or do not, 93 users; the user supplies the images.

    Features:
        image: `(height, width, 3)`, uint8; 218 x 178 JPEG files, unchanged.
        label: Class index: 0 "not_smiling", 1 "smiling".
        user: Place of the user in the file, from 0; task t learns user t.
        id: "<user>/<split>/<place in the file>/<image>", the first two
            numbers padded with zeros.
    """

    CLASS_NAMES = ("not_smiling", "smiling")
    HOMEPAGE = "https://leaf.cmu.edu/"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Get {_ARCHIVE} from "
        "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (non-commercial "
        "research only), make the lists with LEAF "
        "(https://github.com/TalwalkarLab/leaf, data/celeba: ./preprocess.sh "
        "-s iid --iu 0.01 --sf 1.0 -k 5 -t sample) and put the archive or its "
        "folder, and the lists as fceleba/{train,test}/all_data_*.json, into "
        "the folder for manual downloads."
    )

    def features(self):
        return image_files.features(
            self.CLASS_NAMES, user=tfds.features.Scalar(dtype=np.int64)
        )

    def images(self, dl_manager):
        lists = manual_files.tree(
            dl_manager,
            *("fceleba", "fceleba/raw", "fceleba/iid", "celeba/leaf/iid"),
            *("celeba/data", "celeba", "leaf/iid", "iid"),
            marker="train",
        )
        faces = manual_files.tree(
            dl_manager,
            *(_FOLDER, f"Img/{_FOLDER}", f"celeba/Img/{_FOLDER}"),
            *(f"celeba/{_FOLDER}", f"celeba/data/raw/{_FOLDER}"),
            *(f"fceleba/{_FOLDER}", f"fceleba/raw/{_FOLDER}"),
            archives=[(_ARCHIVE, None)],
        )
        return {
            split: _listed(_only_list(lists / split), split, faces)
            for split in ("train", "test")
        }


def _only_list(folder):
    found = sorted(folder.glob("all_data*.json")) if folder.exists() else []
    if len(found) != 1:
        raise FileNotFoundError(
            f"'{folder}' has {len(found)} files all_data*.json where one is "
            "expected"
        )
    return found[0]


def _listed(path, split, faces):
    images = []
    for user, (_, names, labels) in enumerate(leaf.load(path)):
        for place, (name, label) in enumerate(zip(names, labels)):
            identity = f"{user:03d}/{split}/{place:05d}/{name}"
            images.append(
                image_files.Image(
                    identity, faces / name, label, more={"user": user}
                )
            )
    return images
