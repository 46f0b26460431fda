"""mini-ImageNet from its pickles, with noise, as a TFDS data set."""

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfcl.data_builders import image_files, manual_files, safe_pickle
from tfcl.data_builders.image_builder import LabelledBuilder

# 64 + 16 + 20 classes of the few-shot parts, which are stacked.
CLASS_NAMES = manual_files.names(__file__)
_PARTS = ("train", "val", "test")
_SIDE = 84
# Ends of the splits inside a class, as shares of its images.
_ENDS = {"train": 0.7, "validation": 0.8, "test": 1.0}
_SEED = 1234


@dataclasses.dataclass
class NoiseConfig(tfds.core.BuilderConfig):
    """A version of the images: x + factor * N(0, deviation), clipped.

    Args:
        factor: Noise factor; 0 leaves the images as they are.
        deviation: Standard deviation of the noise before the factor, in units
            of the range 0-1.
        version_number: 0, 1, 2: place of the version in the stream.
    """

    factor: float = 0.0
    deviation: float = 0.0
    version_number: int = 0


class Builder(LabelledBuilder):
    """100 classes x 600 images; the user supplies the pickles.

    Features:
        image: `(84, 84, 3)`, uint8; of noisy versions the whole part of 255
            times the clipped value, which the published program trains on.
        label: Class index 0..99: 64 training, 16 validation, 20 test classes
            of Ravi and Larochelle. Pickles with other classes count as a part
            of a release: their classes are labelled in their order.
        distribution: label + 100 * version, 0..299: the stream's order.
        id: "<class>/<image>", as "007/0599": ids in order give the stream.
    """

    CLASS_NAMES = CLASS_NAMES
    HOMEPAGE = "https://github.com/renmengye/few-shot-ssl-public"
    COUNTS: ClassVar[dict] = {
        "train": 42_000,
        "validation": 6_000,
        "test": 12_000,
    }
    PER_CLASS = 600
    BUILDER_CONFIGS: ClassVar[list] = [
        NoiseConfig(name="original", description="The images as they are."),
        NoiseConfig(
            name="noise_1",
            description="x + 0.25 N(0, 0.1), clipped to 0-1.",
            factor=0.25,
            deviation=0.1,
            version_number=1,
        ),
        NoiseConfig(
            name="noise_2",
            description="x + 0.5 N(0, 0.2), clipped to 0-1.",
            factor=0.5,
            deviation=0.2,
            version_number=2,
        ),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Get mini-imagenet-cache-train.pkl, mini-imagenet-cache-val.pkl and "
        "mini-imagenet-cache-test.pkl (kaggle.com, whitemoon/miniimagenet; "
        "ImageNet's terms: non-commercial research and education only) and put "
        "them, or a folder mini_imagenet with them, into the folder for manual "
        "downloads."
    )

    def features(self):
        return image_files.features(
            None,  # Set when the pickles are known.
            image=image_files.png(_SIDE, _SIDE, 3),
            distribution=tfds.features.Scalar(dtype=np.int64),
        )

    def _split_generators(self, dl_manager):
        paths = [
            manual_files.find(
                dl_manager.manual_dir,
                f"mini-imagenet-cache-{part}.pkl",
                f"mini_imagenet/mini-imagenet-cache-{part}.pkl",
                f"miniimagenet/mini-imagenet-cache-{part}.pkl",
            )
            for part in _PARTS
        ]
        names = self._class_names(paths)
        self.info.features["label"].names = names
        labels = {name: label for label, name in enumerate(names)}
        return {
            split: self._generate_examples(split, paths, labels)
            for split in _ENDS
        }

    def _class_names(self, paths):
        """The classes of mini-ImageNet, or those of the pickles."""
        found = {}
        for path in paths:
            found.update(dict.fromkeys(_content(path)[1], path))
        for name in sorted(set(found) - set(CLASS_NAMES)):
            manual_files.lacking(
                manual_files.DataFileError(
                    f"'{found[name]}' has the class '{name}', none of "
                    "mini-ImageNet's"
                )
            )
        known = set(found) <= set(CLASS_NAMES)
        return CLASS_NAMES if known else tuple(found)

    def _generate_examples(self, split, paths, labels):
        seen = 0
        for path in paths:
            images, rows_of = _content(path)
            for name, rows in rows_of.items():
                manual_files.check_whole(
                    len(rows), self.PER_CLASS, f"images of '{name}'", path
                )
                seen += 1
                yield from self._of_class(
                    labels[name], images, rows[_range(split, len(rows))], rows
                )
        manual_files.check_whole(
            seen, len(CLASS_NAMES), "classes", paths[0].parent
        )

    def _of_class(self, label, images, chosen, rows):
        config = self.builder_config
        place = {row: index for index, row in enumerate(rows)}
        for row in chosen:
            identity = f"{label:03d}/{place[row]:04d}"
            yield (
                identity,
                {
                    "id": identity,
                    "image": noisy(images[row], config, (label, place[row])),
                    "label": label,
                    "distribution": label + 100 * config.version_number,
                },
            )


def noisy(image, config, key):
    """An image with the noise of a version.

    Args:
        image: uint8, any shape.
        config: `NoiseConfig`.
        key: Integers that number the image: the noise depends on them and
            the version alone, not on the order in which images are made.

    Returns:
        uint8, the image's shape.
    """
    if not config.factor:
        return image
    generator = np.random.default_rng((_SEED, config.version_number, *key))
    noise = generator.normal(0, config.deviation, image.shape)
    values = image / 255 + config.factor * noise
    return (255 * np.clip(values, 0, 1)).astype(np.uint8)


def _range(split, count):
    """The places of a split among the `count` images of a class."""
    names = list(_ENDS)
    before = names.index(split) - 1
    start = 0 if before < 0 else round(_ENDS[names[before]] * count)
    return slice(start, round(_ENDS[split] * count))


def _content(path):
    """`(images, {class: rows})` of a pickle."""
    content = safe_pickle.load(path)
    images = safe_pickle.field(content, "image_data", path)
    rows_of = safe_pickle.field(content, "class_dict", path)
    fits = isinstance(images, np.ndarray) and images.dtype == np.uint8
    if not fits or images.shape[1:] != (_SIDE, _SIDE, 3):
        raise manual_files.DataFileError(
            f"'{path}': 'image_data' must be uint8 of shape "
            f"(n, {_SIDE}, {_SIDE}, 3)"
        )
    try:
        rows_of = {
            name: [int(row) for row in rows] for name, rows in rows_of.items()
        }
    except (AttributeError, TypeError, ValueError):
        raise manual_files.DataFileError(
            f"'{path}': 'class_dict' must give a list of rows for each class"
        ) from None
    for name, rows in rows_of.items():
        if not rows or max(rows) >= len(images) or min(rows) < 0:
            raise manual_files.DataFileError(
                f"'{path}' has no images for all rows of '{name}'"
            )
    return images, rows_of
