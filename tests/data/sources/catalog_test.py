"""The catalog of data sets."""

import importlib
import pathlib
import re

import tensorflow as tf
import tensorflow_datasets as tfds
from absl.testing import parameterized

from tfcl.data.sources import catalog
from tfcl.errors import UserError


class CatalogTest(tf.test.TestCase, parameterized.TestCase):
    def test_every_entry_states_its_terms(self):
        for name, source in catalog.CATALOG.items():
            self.assertNotEmpty(source.terms, msg=name)

    def test_every_entry_is_described(self):
        path = pathlib.Path(catalog.__file__).parents[3] / "docs/datasets.md"
        described = {
            name
            for text in re.findall("`([^`]+)`", path.read_text())
            for name in _expanded(text)
        }
        for name in catalog.CATALOG:
            if name.startswith("skill_"):
                name = "skill_<task>"
            elif name.startswith("adience_age"):
                name = "adience_age0"
            self.assertIn(name, described)

    def test_stock_entries_exist_in_tfds(self):
        for name, source in catalog.CATALOG.items():
            if source.module is None:
                self.assertIsNotNone(
                    tfds.builder_cls(source.builder.partition("/")[0]), msg=name
                )

    def test_entries_name_features_that_hold_what_they_say(self):
        folder = self.get_temp_dir()
        for name, source in catalog.CATALOG.items():
            if name.startswith("skill_") and name != "skill_scenes":
                continue  # Alike, and there are 106.
            features = _builder(source, folder).info.features
            label = features[source.label_key]
            self.assertIsInstance(label, tfds.features.ClassLabel, msg=name)
            kind = tfds.features.Image
            if source.image_key == "point":
                kind = tfds.features.Tensor
            self.assertIsInstance(features[source.image_key], kind, msg=name)

    def test_own_entries_name_configurations_that_exist(self):
        for name, source in catalog.CATALOG.items():
            if source.module is None:
                continue
            builder = importlib.import_module(source.module).Builder
            builder_name, _, config = source.builder.partition("/")
            self.assertEqual(builder.name, builder_name, msg=name)
            if config:
                self.assertIn(config, builder.builder_configs, msg=name)
            else:
                self.assertEmpty(builder.builder_configs, msg=name)

    @parameterized.parameters(
        ("cifar-100", "cifar100"),
        ("Digit", "digits"),
        ("fashionmnist", "fashion_mnist"),
    )
    def test_unknown_name_is_answered_with_the_nearest(self, name, nearest):
        with self.assertRaisesRegex(
            UserError,
            f"'{name}'. Did you mean '{nearest}'.*one of: adience_age0,",
        ):
            catalog.find(name)

    def test_unknown_name_near_to_none_lists_all(self):
        with self.assertRaises(UserError) as caught:
            catalog.find("x")
        self.assertNotIn("Did you mean", str(caught.exception))
        for name in catalog.CATALOG:
            # Of the many tasks of one collection the form of the name.
            shown = "skill_<task>" if name.startswith("skill_") else name
            self.assertIn(shown, str(caught.exception))


def _expanded(text):
    """The names that "a_{b,c}" stands for."""
    start, brace, rest = text.partition("{")
    if not brace:
        return [text]
    choices, _, end = rest.partition("}")
    return [start + choice + end for choice in choices.split(",")]


def _builder(source, folder):
    name, _, config = source.builder.partition("/")
    if source.module is None:
        cls = tfds.builder_cls(name)
    else:
        cls = importlib.import_module(source.module).Builder
    return cls(data_dir=folder, config=config or None)


if __name__ == "__main__":
    tf.test.main()
