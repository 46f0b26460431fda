"""The 53 tasks of CLR out of the SKILL collection, as a TFDS data set."""

import dataclasses
import sqlite3
import urllib.parse
from typing import ClassVar

import tensorflow_datasets as tfds

from tfcl.data_builders import image_files, manual_files
from tfcl.data_builders.image_builder import ImageBuilder
from tfcl.data_builders.skill import sampling
from tfcl.data_builders.skill.tasks import TASKS

_DATABASE = "rolling_releases/database_2.sqlite"
_SETS = {"train": 0, "validation": 1, "test": 2}
# The published numbers of this task are those of another one.
_UNCOUNTED = ("atari_shell",)


@dataclasses.dataclass
class TaskConfig(tfds.core.BuilderConfig):
    """One task of the collection.

    Args:
        task_id: Its `dataset_id` in the database.
        classes: Number of classes.
        sampled: Whether it holds CLR's sample, or everything.
    """

    task_id: int = 0
    classes: int = 0
    sampled: bool = True


def _configs():
    """In the order in which CLR learns the tasks; samples first."""
    return [
        TaskConfig(
            name=task.plain_name + ("" if sampled else "_full"),
            description=f"SKILL task {task.id}, {task.name}: "
            + ("the images that CLR samples." if sampled else "all of it."),
            task_id=task.id,
            classes=task.classes,
            sampled=sampled,
        )
        for sampled in (True, False)
        for task in TASKS
    ]


class Builder(ImageBuilder):
    """Tasks of many kinds; the user supplies the collection.

    Features:
        image: `(height, width, 3)`, uint8; JPEG and PNG files, unchanged.
        label: Class index, by first appearance among the training images in
            the order of the database.
        class_id: The database's number of the class.
        id: "<split>/<hash>".
    """

    BUILDER_CONFIGS: ClassVar[list] = _configs()
    COUNTS: ClassVar[dict] = {
        task.plain_name: {"train": task.train, "validation": task.validation}
        for task in TASKS
        if task.name not in _UNCOUNTED
    }
    HOMEPAGE = (
        "https://github.com/gyhandy/Channel-wise-Lightweight-Reprogramming"
    )
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Get the SKILL-102 archive (1.6 TB; the terms are those of its data "
        f"sets; see {HOMEPAGE}) and put it as skill/{_DATABASE} and "
        "skill/original_images/... (or skill/cropped_images/...) into the "
        "folder for manual downloads; a symbolic link serves."
    )

    def features(self):
        return image_files.features(
            count=self.builder_config.classes,
            class_id=tfds.features.Text(),
        )

    def images(self, dl_manager):
        root = manual_files.tree(
            dl_manager,
            *("skill", "SKILL-102", "DCT", ""),
            marker=_DATABASE,
        )
        config = self.builder_config
        rows = {
            split: _rows(root / _DATABASE, config.task_id, number)
            for split, number in _SETS.items()
            # CLR tests on the validation set and leaves the test set alone.
            if split != "test" or not config.sampled
        }
        labels = sampling.labels_of(row["class_id"] for row in rows["train"])
        if len(labels) > config.classes or not labels:
            raise manual_files.DataFileError(
                f"'{root / _DATABASE}' has {len(labels)} classes for task "
                f"{config.task_id} where {config.classes} are expected"
            )
        return {
            split: _images(root, split, each, labels, config.sampled)
            for split, each in rows.items()
        }


def _images(root, split, rows, labels, sampled):
    class_ids = [row["class_id"] for row in rows]
    if sampled:
        times = 10 if split == "train" else 1
        taken = sampling.sample(class_ids, labels, times)
    else:
        taken = [
            k for k, class_id in enumerate(class_ids) if class_id in labels
        ]
    return [
        image_files.Image(
            f"{split}/{rows[k]['hash']}",
            _path(root, rows[k]),
            labels[class_ids[k]],
            more={"class_id": str(class_ids[k])},
        )
        for k in taken
    ]


def _path(root, row):
    if (root / "original_images").exists():
        # Plain concatenation: `path` carries its slashes.
        name = row["dataset_name"] + row["path"] + row["filename"]
        return root / "original_images" / name
    code = row["hash"]
    return root / "cropped_images" / code[0] / code[1] / f"{code}.webp"


def _rows(path, task_id, number):
    """The images of a task's set in the order of the database."""
    query = """
        SELECT hash, path, filename, class_id, dataset_name
        FROM files JOIN datasets USING (dataset_id)
        WHERE dataset_id = ? AND problem = 0 AND "set" = ?
        ORDER BY files.rowid
    """
    place = f"file:{urllib.parse.quote(str(path))}?mode=ro"
    try:
        connection = sqlite3.connect(place, uri=True)
        connection.row_factory = sqlite3.Row
        try:
            return list(connection.execute(query, (task_id, number)))
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise manual_files.DataFileError(
            f"'{path}' cannot be read as the collection's database ({error})"
        ) from None
