"""The catalog of data sets."""

import tensorflow as tf
import tensorflow_datasets as tfds
from absl.testing import parameterized

from tfcl.data import catalog
from tfcl.errors import UserError


class CatalogTest(tf.test.TestCase, parameterized.TestCase):
    def test_every_entry_states_its_terms(self):
        for name, source in catalog.CATALOG.items():
            self.assertNotEmpty(source.terms, msg=name)

    def test_stock_entries_exist_in_tfds(self):
        for name, source in catalog.CATALOG.items():
            if source.module is None:
                self.assertIsNotNone(tfds.builder_cls(source.builder), msg=name)

    @parameterized.parameters(
        ("cifar-100", "cifar100"),
        ("Digit", "digits"),
        ("fashionmnist", "fashion_mnist"),
    )
    def test_unknown_name_is_answered_with_the_nearest(self, name, nearest):
        with self.assertRaisesRegex(
            UserError, f"'{name}'. Did you mean '{nearest}'.*one of: cifar10,"
        ):
            catalog.find(name)

    def test_unknown_name_near_to_none_lists_all(self):
        with self.assertRaises(UserError) as caught:
            catalog.find("x")
        self.assertNotIn("Did you mean", str(caught.exception))
        for name in catalog.CATALOG:
            self.assertIn(name, str(caught.exception))


if __name__ == "__main__":
    tf.test.main()
