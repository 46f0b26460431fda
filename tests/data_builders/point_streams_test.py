"""MODES and MOONS against TFDS's checks and the published streams."""

import zlib
from typing import ClassVar

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.data_builders import samples
from tfcl.data_builders import point_streams
from tfcl.data_builders.modes import modes_dataset_builder
from tfcl.data_builders.moons import moons_dataset_builder

_MODULES = {"modes": modes_dataset_builder, "moons": moons_dataset_builder}
_PUBLISHED = {"modes": "bi-modals", "moons": "bi-moons"}
_SIZES = {"train": 1000, "validation": 250, "test": 500}


class ModesTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = modes_dataset_builder.Builder
    EXAMPLE_DIR = modes_dataset_builder.Builder.code_path.parent
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar[list] = ["cdi"]
    SPLITS: ClassVar[dict] = _SIZES

    def test_ids_in_order_give_the_stream(self):
        self.builder.download_and_prepare()
        examples = list(tfds.as_numpy(self.builder.as_dataset(split="test")))
        examples.sort(key=lambda example: example["id"])
        expected = _stream("modes", "iid", "test")
        np.testing.assert_array_equal(
            [example["point"] for example in examples], expected.points
        )
        self.assertEqual(examples[7]["id"], b"test_0007")
        self.assertEqual(examples[0]["point"].dtype, np.float64)


class MoonsTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = moons_dataset_builder.Builder
    EXAMPLE_DIR = moons_dataset_builder.Builder.code_path.parent
    BUILDER_CONFIG_NAMES_TO_TEST: ClassVar[list] = ["ci"]
    SPLITS: ClassVar[dict] = _SIZES


def _stream(name, order, split):
    builder = _MODULES[name].Builder
    drawn = builder.drawn(None)
    return point_streams.stream(*drawn, order, split)


@pytest.mark.parametrize("name", _MODULES)
@pytest.mark.parametrize("order", point_streams.ORDERS)
def test_streams_equal_the_published_ones(name, order):
    file = f"golden/memory_head/streams/{_PUBLISHED[name]}_{order.upper()}.npz"
    published = np.load(samples.folder(file), allow_pickle=False)
    for split, key in (
        ("train", "train"),
        ("validation", "val"),
        ("test",) * 2,
    ):
        mine = _stream(name, order, split)
        # Cosines differ in the last bit from machine to machine.
        np.testing.assert_allclose(
            mine.points, published[f"X_{key}"], rtol=0, atol=1e-15
        )
        np.testing.assert_array_equal(mine.labels, published[f"y_{key}"])
        np.testing.assert_array_equal(mine.domains, published[f"domain_{key}"])
        np.testing.assert_array_equal(
            mine.distributions, published[f"distributions_{key}"]
        )


# Checksums of the points of a whole stream in order, rounded to 6 digits: so
# a NumPy that sorts otherwise is noticed without the published arrays.
_ORDERED = {
    ("modes", "iid"): 3533399427,
    ("modes", "ci"): 3724533905,
    ("modes", "cdi"): 1677940677,
    ("modes", "cdid"): 420917155,
    ("moons", "iid"): 3233105545,
    ("moons", "ci"): 218533073,
    ("moons", "cdi"): 4229102439,
    ("moons", "cdid"): 921997323,
}


@pytest.mark.parametrize("name,order", _ORDERED)
def test_order_inside_a_distribution_is_that_of_the_published(name, order):
    points = _stream(name, order, "train").points
    rounded = np.rint(points * 1e6).astype("<i8")
    assert zlib.crc32(rounded.tobytes()) == _ORDERED[name, order]


@pytest.mark.parametrize(
    "name,order,train,validation",
    [
        ("modes", "iid", [1000], [250]),
        ("modes", "ci", [200, 400, 100, 300], [100, 200]),
        ("modes", "cdid", [100, 200, 50, 150] * 2, [50, 100, 25, 75]),
        ("moons", "iid", [1000], [250]),
        ("moons", "ci", [400, 100, 300, 200], [200, 50]),
        ("moons", "cdi", [200, 50, 150, 100] * 2, [100, 25, 75, 50]),
    ],
)
def test_distributions_have_the_stated_sizes(name, order, train, validation):
    def sizes(split):
        return np.bincount(_stream(name, order, split).distributions).tolist()

    assert sizes("train") == train
    assert sizes("validation") == validation
    assert sizes("test") == [size // 2 for size in train]


def test_drift_goes_along_the_first_coordinate():
    drifting = _stream("modes", "cdid", "train")
    for number in range(8):
        first = drifting.points[drifting.distributions == number, 0]
        assert (np.diff(first) >= 0).all()
    assert np.abs(drifting.points).max() == 1


if __name__ == "__main__":
    tfds.testing.test_main()
