"""What the tests of the builders share."""

import contextlib
import io
import pathlib
import shutil
import tempfile
import types
from typing import ClassVar
from unittest import mock

import tensorflow as tf
import tensorflow_datasets as tfds

from tests.testing.contexts import entered
from tfcl.data.sources import tfds_source
from tfcl.errors import UserError


class BuilderTest(tfds.testing.DatasetBuilderTestCase):
    """TFDS's own checks of a builder on its dummy data.

    Attributes:
        PATCHES: Attributes of the builder that tell the size of the release,
            by name, with the values that fit the dummy data.
    """

    PATCHES: ClassVar[dict] = {}

    def setUp(self):
        for name, value in self.PATCHES.items():
            # Not `enter_context`, which is not ready before `super().setUp()`.
            entered(
                mock.patch.object(self.DATASET_CLASS, name, value),
                self.addCleanup,
            )
        super().setUp()

    def prepared(self, config=None):
        """`{id: example}` of every split, of the dummy data."""
        return built(
            self.DATASET_CLASS, self.dummy_data, self.tmp_dir, config=config
        )


def built(builder_class, manual_dir, data_dir, config=None):
    """Builds a data set: `{split: {id: example}}`, ids as text."""
    builder = builder_class(data_dir=str(data_dir), config=config)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(
            manual_dir=str(manual_dir),
            compute_stats=tfds.download.ComputeStatsMode.SKIP,
        )
    )
    found = {}
    for split in builder.info.splits:
        examples = tfds.as_numpy(builder.as_dataset(split=split))
        found[split] = {e["id"].decode(): e for e in examples}
        assert len(found[split]) == builder.info.splits[split].num_examples
    return found


def manual_folder(path):
    """What a builder asks of TFDS's download manager, for a folder."""
    return types.SimpleNamespace(manual_dir=tfds.core.Path(path))


class OpenedTest(tf.test.TestCase):
    """Builders through `open_split`, as streams use them, faults included."""

    def setUp(self):
        super().setUp()
        self.folder = self.enter_context(tempfile.TemporaryDirectory())
        self.manual = pathlib.Path(self.folder, "downloads/manual")
        self.enter_context(contextlib.redirect_stderr(io.StringIO()))

    def patch(self, builder_class, **values):
        for name, value in values.items():
            self.enter_context(mock.patch.object(builder_class, name, value))

    def fill(self, builder_class):
        """Copies a builder's dummy data into the folder for downloads."""
        shutil.copytree(
            builder_class.code_path.parent / "dummy_data",
            self.manual,
            dirs_exist_ok=True,
        )

    def open(self, name, split="train"):
        return tfds_source.open_split(
            name, split, self.folder, image_shape=(4, 4, 3)
        )

    def fault(self, name, split="train"):
        """The one line that a user sees."""
        with self.assertRaises(UserError) as caught:
            self.open(name, split)
        message = str(caught.exception)
        self.assertNotIn("\n", message)
        self.assertStartsWith(message, f"Data set '{name}', split '{split}'")
        self.assertIn(f"'{self.manual}': fill it and run again", message)
        return message
