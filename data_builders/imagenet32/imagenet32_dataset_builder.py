"""Down-sampled ImageNet, 32 x 32, from its pickles, as a TFDS data set."""

from typing import ClassVar

import numpy as np

from tfcl.data_builders import image_files, manual_files, safe_pickle
from tfcl.data_builders.image_builder import LabelledBuilder, configurations

CLASS_NAMES = manual_files.names(__file__)
_SIDE = 32
_CONFIGS = {
    "planar": "Images as they are: three planes of 32 x 32 per row.",
    "scrambled": "Rows read as 32 x 32 x 3, which scrambles every image: "
    "the reading of the published SPG program.",
}


class Builder(LabelledBuilder):
    """1,281,167 training and 50,000 validation images of 1,000 classes.

    Features:
        image: `(32, 32, 3)`, uint8.
        label: Class index 0..999, the owners' 1..1000 less 1; in the order of
            map_clsloc.txt, not of the WordNet ids.
        id: "<file>/<row>", rows padded with zeros.
    """

    CLASS_NAMES = CLASS_NAMES
    HOMEPAGE = "https://patrykchrabaszcz.github.io/Imagenet32/"
    COUNTS: ClassVar[dict] = {"train": 1_281_167, "validation": 50_000}
    BATCHES = 10
    BUILDER_CONFIGS: ClassVar[list] = configurations(_CONFIGS)
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Get Imagenet32_train.zip and Imagenet32_val.zip, the pickles, from "
        "https://image-net.org/download-images (login; non-commercial research "
        "and education only), unpack them and put the files as "
        "imagenet/train/train_data_batch_1..10 and imagenet/test/val_data "
        "into the folder for manual downloads; the folders may also be called "
        "Imagenet32_train and Imagenet32_val, or be left out."
    )

    def features(self):
        return image_files.features(
            self.CLASS_NAMES,
            image=image_files.png(_SIDE, _SIDE, 3),
        )

    def _split_generators(self, dl_manager):
        root = dl_manager.manual_dir
        train = []
        for number in range(1, self.BATCHES + 1):
            try:
                train.append(
                    _found(
                        root,
                        ("train", "Imagenet32_train"),
                        f"train_data_batch_{number}",
                    )
                )
            except FileNotFoundError as error:
                manual_files.lacking(error)
        if not train:
            raise FileNotFoundError(f"there is no train_data_batch in '{root}'")
        test = [_found(root, ("test", "val", "Imagenet32_val"), "val_data")]
        return {
            "train": self._generate_examples("train", train),
            "validation": self._generate_examples("validation", test),
        }

    def _generate_examples(self, split, paths):
        found = 0
        for path in paths:
            rows, labels = _rows(path)
            found += len(rows)
            for place, (row, label) in enumerate(zip(rows, labels)):
                identity = f"{path.name}/{place:06d}"
                image = {
                    "id": identity,
                    "image": self._image(row),
                    "label": int(label) - 1,
                }
                yield identity, image
        manual_files.check_whole(
            found,
            self.COUNTS[split],
            f"images for '{split}'",
            paths[0].parent,
        )

    def _image(self, row):
        if self.builder_config.name == "scrambled":
            return row.reshape(_SIDE, _SIDE, 3)
        return row.reshape(3, _SIDE, _SIDE).transpose(1, 2, 0)


def _found(root, folders, file):
    tops = ("", "imagenet", "imagenet32")
    places = [f"{top}/{folder}" for top in tops for folder in (*folders, "")]
    return manual_files.find(root, *(f"{p}/{file}".lstrip("/") for p in places))


def _rows(path):
    """`(rows, labels)` of a pickle: `(n, 3072)` uint8 and n of 1..1000."""
    content = safe_pickle.load(path)
    rows = safe_pickle.field(content, "data", path)
    labels = np.asarray(safe_pickle.field(content, "labels", path))
    width = 3 * _SIDE * _SIDE
    fits = isinstance(rows, np.ndarray) and rows.dtype == np.uint8
    if not fits or rows.shape != (len(labels), width) or not len(rows):
        raise manual_files.DataFileError(
            f"'{path}': 'data' must be uint8, {width} numbers per label"
        )
    if (
        labels.dtype.kind not in "iu"
        or labels.min() < 1
        or labels.max() > len(CLASS_NAMES)
    ):
        raise manual_files.DataFileError(
            f"'{path}': labels must be integers from 1 to {len(CLASS_NAMES)}"
        )
    return rows, labels
