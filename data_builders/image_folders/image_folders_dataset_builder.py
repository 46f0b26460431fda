"""A user's own images as a TFDS data set: decoded and resized once."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from data_builders.image_folders.image_file import BadImage, decode
from data_builders.image_folders.image_tree import (
    SPLITS,
    BadImages,
    find_images,
)


@dataclasses.dataclass(eq=False)
class FolderConfig(tfds.core.BuilderConfig):
    """How images are stored.

    Args:
        image_shape: `(height, width, 3)` of all images; None for any.
        fit: Function from an image, uint8 `(any, any, 3)`, to one of
            `image_shape`. None keeps images in their own size.
        bad: What to do with files that are no images.
    """

    image_shape: tuple = (None, None, 3)
    fit: Callable | None = None
    bad: BadImages = dataclasses.field(default_factory=BadImages)


class Builder(tfds.core.GeneratorBasedBuilder):
    """All tasks of a folder of tasks; the user supplies the images.

    Features:
        id: Path below `manual_dir`.
        number: Place among all images of the folder, in its order.
        task, class_name: Names of the folders.
        label: Place of the class among those of its task, from 0.
        content: SHA-256 of the file, hexadecimal; tells copies.
        image: Upright RGB, uint8.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict] = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar[list] = [
        FolderConfig(name="full", description="Images in their own size.")
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Put the images into one folder per task: "
        "<task>/{train,validation,test}/<class>/*.jpg, <task>/<class>/*.jpg, "
        "or <task>/train.txt with lines 'path label'."
    )

    def _info(self):
        text = tfds.features.Text()
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "id": text,
                    "number": tfds.features.Scalar(np.int64),
                    "task": text,
                    "class_name": text,
                    "label": tfds.features.Scalar(np.int64),
                    "content": text,
                    "image": tfds.features.Image(
                        shape=self.builder_config.image_shape,
                        dtype=np.uint8,
                        encoding_format="png",
                    ),
                }
            ),
        )

    def _split_generators(self, dl_manager):
        # All other paths of TFDS are its own; these are read with Pillow.
        root = pathlib.Path(dl_manager.manual_dir)
        listed = _listed(root, self.builder_config.bad)
        return {
            split: self._generate_examples(
                [each for each in listed if each["split"] == split], root
            )
            for split in SPLITS
            if any(each["split"] == split for each in listed)
        }

    def _generate_examples(self, listed, root):
        config = self.builder_config
        for each in listed:
            path = each["path"]
            try:
                content = path.read_bytes()
                image = decode(content)
            except OSError as error:
                config.bad(path, f"cannot be read: {error.strerror}")
                continue
            except BadImage as error:
                config.bad(path, str(error))
                continue
            yield (
                each["number"],
                {
                    "id": str(path.relative_to(root)),
                    "number": each["number"],
                    "task": each["task"],
                    "class_name": each["class_name"],
                    "label": each["label"],
                    "content": hashlib.sha256(content).hexdigest(),
                    "image": config.fit(image) if config.fit else image,
                },
            )


def _listed(root, bad):
    """A dictionary per image, in the order of the folder."""
    listed = []
    for task, splits in find_images(root, bad).items():
        labels = {name: k for k, name in enumerate(splits["train"])}
        for split, classes in splits.items():
            for class_name, paths in classes.items():
                for path in paths:
                    listed.append(
                        {
                            "number": len(listed),
                            "task": task,
                            "split": split,
                            "class_name": class_name,
                            "label": labels[class_name],
                            "path": path,
                        }
                    )
    return listed
