"""What holds for every builder of this repository."""

import importlib
import pathlib
import re

import pytest
from tensorflow_datasets.core import dataset_metadata

from tests.data_builders import harness
from tfcl import data_builders
from tfcl.data.sources import catalog

_ROOT = pathlib.Path(data_builders.__file__).parent
_FOLDERS = sorted(
    path.parent.name for path in _ROOT.glob("*/*_dataset_builder.py")
)
_OWN = {
    name: source
    for name, source in catalog.CATALOG.items()
    if source.module is not None
}


def _builder(folder):
    module = f"tfcl.data_builders.{folder}.{folder}_dataset_builder"
    return importlib.import_module(module).Builder


# A user's own images: nobody has published them.
_PUBLISHED = [folder for folder in _FOLDERS if folder != "image_folders"]


@pytest.mark.parametrize("folder", _PUBLISHED)
def test_folders_have_the_shape_of_tfds(folder, tmp_path):
    builder = _builder(folder)(data_dir=str(tmp_path))
    assert builder.name == folder
    assert len(builder.info.description) > 200
    assert "@" in builder.info.citation
    assert (_ROOT / folder / "checksums.tsv").exists()
    tags = dataset_metadata.load(_ROOT / folder).tags
    assert tags and set(tags) <= set(dataset_metadata.valid_tags())


@pytest.mark.parametrize("folder", _PUBLISHED)
def test_every_configuration_is_in_the_catalog(folder):
    builder = _builder(folder)
    known = {source.builder for source in _OWN.values()}
    configs = [f"{folder}/{config}" for config in builder.builder_configs]
    assert set(configs or [folder]) <= known


@pytest.mark.parametrize("folder", _PUBLISHED)
def test_readmes_that_refuse_a_part_name_the_command_that_takes_it(folder):
    text = (_ROOT / folder / "README.md").read_text(encoding="utf-8")
    text = " ".join(text.split())
    assert "another number" not in text and "other numbers are" not in text
    counted = "fewer is taken by" in text
    assert not counted or _builder(folder).COUNTS
    for name in re.findall(r"`python -m tfcl.build (\w+)`", text):
        assert name in catalog.CATALOG, name
    if counted:
        assert "`--whole` refuses it" in text
        assert "`tfcl.train` names that command" in text


@pytest.mark.parametrize("folder", _FOLDERS)
def test_examples_have_ids(folder, tmp_path):
    assert "id" in _builder(folder)(data_dir=str(tmp_path)).info.features


class EmptyFolderTest(harness.OpenedTest):
    def test_missing_files_are_answered_with_how_to_get_them(self):
        tried = 0
        for name, source in _OWN.items():
            builder = importlib.import_module(source.module).Builder
            instructions = builder.MANUAL_DOWNLOAD_INSTRUCTIONS
            if not instructions or name.startswith("skill_"):
                continue
            split = "train" if source.train_split else "test"
            with self.subTest(name):
                message = self.fault(name, split)
                # The first words of the remedy, and where the files go.
                self.assertIn(instructions[:40], message)
                self.assertLess(len(message), 1500)
                # Parts are taken by this command alone.
                command = f"`python -m tfcl.build {name} --data_dir="
                takes_parts = bool(getattr(builder, "COUNTS", None))
                self.assertEqual(command in message, takes_parts)
            tried += 1
        self.assertGreater(tried, 25)
