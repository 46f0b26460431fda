"""A user's own images as a TFDS data set: decoded and resized once."""

import dataclasses
import functools
import hashlib
import pathlib
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from tfcl.data_builders import regular_files
from tfcl.data_builders.image_folders import white_point
from tfcl.data_builders.image_folders.image_file import (
    DEFAULT_RULES,
    BadImage,
    Rules,
    decode,
    may_be_deep,
    open_image,
)
from tfcl.data_builders.image_folders.image_tree import (
    SPLITS,
    BadImages,
    find_images,
)
from tfcl.data_builders.own_folder import InOwnFolder


@dataclasses.dataclass(eq=False)
class FolderConfig(tfds.core.BuilderConfig):
    """How images are stored.

    Args:
        image_shape: `(height, width, 3)` of all images; None for any.
        fit: Function from an image, uint8 `(any, any, 3)`, to one of
            `image_shape`. None keeps images in their own size.
        bad: What to do with files that are no images.
        rules: How files are read. A white that is None is decided for each
            task.
        leave_root: Whether paths of lists may lead out of the folder.
    """

    image_shape: tuple = (None, None, 3)
    fit: Callable | None = None
    bad: BadImages = dataclasses.field(default_factory=BadImages)
    rules: Rules = DEFAULT_RULES
    leave_root: bool = False


class Builder(InOwnFolder, tfds.core.GeneratorBasedBuilder):
    """All tasks of a folder of tasks; the user supplies the images.

    Features:
        id: Path below `manual_dir`.
        number: Place among all images of the folder, in its order.
        task, class_name: Names of the folders.
        label: Place of the class among those of its task, from 0.
        content: SHA-256 of the file, hexadecimal; tells copies.
        image: Upright RGB, uint8.

    Metadata:
        white: Per task that has images of more than 8 bits, the number that
            is white in them.
        two_channels: See `Rules`.
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
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager):
        # All other paths of TFDS are its own; these are read with Pillow.
        config = self.builder_config
        root = pathlib.Path(dl_manager.manual_dir)
        listed = _listed(root, config.bad, config.leave_root)
        whites = _whites(listed, config.rules)
        self.info.metadata.update(
            white=whites, two_channels=config.rules.two_channels
        )
        return {
            split: self._generate_examples(
                [each for each in listed if each["split"] == split],
                root,
                whites,
            )
            for split in SPLITS
            if any(each["split"] == split for each in listed)
        }

    def _generate_examples(self, listed, root, whites):
        config = self.builder_config
        for each in listed:
            path = each["path"]
            rules = config.rules._replace(white=whites.get(each["task"]))
            try:
                content = regular_files.read(path, rules.largest_file)
                image = decode(
                    content, rules, functools.partial(_warn_of, path)
                )
            except OSError as error:
                config.bad(path, f"cannot be read: {error.strerror}")
                continue
            except BadImage as error:
                config.bad(path, str(error))
                continue
            yield (
                each["number"],
                {
                    "id": _name_of(path, root),
                    "number": each["number"],
                    "task": each["task"],
                    "class_name": each["class_name"],
                    "label": each["label"],
                    "content": hashlib.sha256(content).hexdigest(),
                    "image": config.fit(image) if config.fit else image,
                },
            )


def _warn_of(path, note):
    logging.warning("'%s' %s.", path, note)


def _name_of(path, root):
    """A path below `root` as text, the others whole."""
    if path.is_relative_to(root):
        path = path.relative_to(root)
    # Names of files may hold any bytes, texts of TFDS may not.
    content = str(path).encode("utf-8", "surrogateescape")
    return content.decode("utf-8", "backslashreplace")


def _whites(listed, rules):
    """`{task: white}` of the tasks with images of more than 8 bits."""
    whites = {}
    # White is what is looked for.
    look = functools.partial(_range, rules._replace(white=None))
    for task in dict.fromkeys(each["task"] for each in listed):
        paths = [each["path"] for each in listed if each["task"] == task]
        ranges = [found for found in map(look, paths) if found]
        if ranges:
            white = white_point.decide(
                f"Task '{task}'", ranges, len(paths), rules.white
            )
            logging.info("%s", white.told)
            if white.warning:
                logging.warning("%s", white.warning)
            whites[task] = white.value
    return whites


def _range(rules, path):
    """Of an image of more than 8 bits; else None."""
    try:
        if not may_be_deep(regular_files.head(path, 32)):
            return None
        content = regular_files.read(path, rules.largest_file)
        opened = open_image(content, rules)
    except (OSError, BadImage):
        return None  # What is wrong is told when it is to be stored.
    return white_point.Range.of(opened.values) if opened.is_deep else None


def _listed(root, bad, leave_root):
    """A dictionary per image, in the order of the folder."""
    listed = []
    for task, splits in find_images(root, bad, leave_root=leave_root).items():
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
