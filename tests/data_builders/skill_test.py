"""The SKILL collection: its tasks, CLR's sample, its database."""

import collections
import csv
import sqlite3
from typing import ClassVar

import pytest
import tensorflow_datasets as tfds

from tests.data_builders import harness, samples
from tests.testing import golden
from tfcl.data_builders import dummy_images
from tfcl.data_builders.skill import sampling, skill_dataset_builder, tasks

_NAME = "hurricane_damage_dataset"
_SAMPLES = golden.load("clr/sampling.npz")
_COUNTS = {_NAME: {"train": 2, "validation": 1}}


class SkillTest(harness.BuilderTest):
    DATASET_CLASS = skill_dataset_builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar[list] = [_NAME]
    PATCHES: ClassVar[dict] = {"COUNTS": _COUNTS}
    SPLITS: ClassVar[dict] = {"train": 2, "validation": 1}

    def test_labels_follow_the_database_and_problems_are_left_out(self):
        found = self.prepared(_NAME)
        examples = {
            name: (int(e["label"]), e["class_id"])
            for split in found.values()
            for name, e in split.items()
        }
        self.assertEqual(
            examples,
            {
                "train/aa01": (0, b"31"),
                "train/ab02": (1, b"30"),
                "validation/ad04": (1, b"30"),
            },
        )

    def test_everything_has_a_test_split_too(self):
        found = self.prepared(f"{_NAME}_full")
        self.assertEqual(set(found["test"]), {"test/ae05"})
        self.assertLen(found["train"], 2)


class SkillOpenedTest(harness.OpenedTest):
    def setUp(self):
        super().setUp()
        self.patch(skill_dataset_builder.Builder, COUNTS=_COUNTS)
        self.fill(skill_dataset_builder.Builder)
        self.database = self.manual / "skill/rolling_releases/database_2.sqlite"

    def _execute(self, command):
        connection = sqlite3.connect(self.database)
        connection.execute(command)
        connection.commit()
        connection.close()

    def test_crops_are_read_where_there_are_no_originals(self):
        root = self.manual / "skill"
        (root / "original_images").rename(root / "elsewhere")
        for code in ("aa01", "ab02", "ad04"):
            # The ending says WebP; the content decides.
            dummy_images.write(root / f"cropped_images/a/{code[1]}/{code}.webp")
        opened = self.open(f"skill_{_NAME}")
        self.assertEqual(opened.ids, ("train/aa01", "train/ab02"))

    def test_damaged_database_is_named(self):
        self.database.write_bytes(b"SQLite format 3\x00 and no more")
        message = self.fault(f"skill_{_NAME}")
        self.assertIn("cannot be read as the collection's database", message)

    def test_another_database_is_refused(self):
        self._execute("DROP TABLE datasets")
        self.assertIn("no such table: datasets", self.fault(f"skill_{_NAME}"))

    def test_task_that_is_not_in_the_database_is_named(self):
        message = self.fault("skill_food_101")
        self.assertIn("has 0 classes for task 24 where 101 are", message)

    def test_other_images_than_published_are_counted(self):
        self._execute("DELETE FROM files WHERE hash = 'ab02'")
        self.assertIn(
            "holds 1 images for 'train'", self.fault(f"skill_{_NAME}")
        )


def test_tasks_are_the_53_published_ones():
    path = samples.folder("methods/clr_tasks.csv")
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(tasks.TASKS) == 53
    for row, task in zip(rows, tasks.TASKS):
        assert (int(row["task_id"]), row["name"]) == (task.id, task.name)
        assert int(row["num_classes"]) == task.classes
        assert int(row["train_images"]) == task.train
        assert int(row["eval_images"]) == task.validation
    assert len({task.plain_name for task in tasks.TASKS}) == 53


def test_published_sizes_respect_the_caps():
    # The budget of a class as the paper's table of tasks has it.
    for task in tasks.TASKS:
        plenty = 5120 // task.classes + 9
        ids = [c for c in range(task.classes) for _ in range(plenty)]
        labels = sampling.labels_of(ids)
        for times, published in ((10, task.train), (1, task.validation)):
            drawn = sampling.sample(ids, labels, times)
            # Classes may have too few images, never too many.
            assert published <= len(drawn), task.name


@pytest.mark.parametrize("name", sorted({k.split("/")[0] for k in _SAMPLES}))
def test_samples_equal_those_of_the_published_program(name):
    """Each one with the labels that it names; `*_val` has a tenth."""
    case = golden.under(_SAMPLES, name)
    rows, labels = case["catalogue"], dict(case["label_map"].tolist())
    taken = sampling.sample(
        rows[:, 0].tolist(),
        labels,
        1 if name.endswith("_val") else 10,
        *case["limits"].tolist(),
    )
    mine = [(*rows[k].tolist(), labels[int(rows[k, 0])]) for k in taken]
    assert mine == [tuple(row) for row in case["selected"].tolist()]
    assert (len(mine), len(labels)) == (case["n"], case["num_classes"])
    if not name.endswith("_val"):  # Validation has the labels of training.
        assert labels == sampling.labels_of(rows[:, 0].tolist())


def test_samples_are_the_same_everywhere():
    # As drawn by the sampling that equals the published program's.
    ids = [7] * 40 + [3] * 40 + [9] * 5
    labels = sampling.labels_of(ids)
    assert labels == {7: 0, 3: 1, 9: 2}
    taken = sampling.sample(ids, labels, threshold=2, large=12, small=3)
    assert taken == [39, 9, 6, 38, 59, 72, 76, 46, 83, 82, 81, 80]


def test_of_more_than_300_classes_the_first_are_taken():
    ids = [c for c in range(310, 0, -1) for _ in range(30)]
    labels = sampling.labels_of(ids)
    assert labels[310] == 0 and labels[11] == 299 and 10 not in labels
    taken = sampling.sample(ids, labels, times=10)
    counts = collections.Counter(ids[k] for k in taken)
    assert set(counts.values()) == {round(5120 / 300)}
    assert len(counts) == 300
    assert sampling.sample([5, 7], {310: 0}) == []


if __name__ == "__main__":
    tfds.testing.test_main()
