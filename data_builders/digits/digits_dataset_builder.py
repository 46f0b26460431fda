"""The 8 x 8 handwritten digits that scikit-learn ships, as a TFDS data set."""

from typing import ClassVar

import numpy as np

from tfcl.data_builders import image_files
from tfcl.data_builders.image_builder import LabelledBuilder

_NAMES = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
)
# Inside each class, every 5th image in shipped order is a test image.
_TEST_EVERY = 5
# A pixel counts the dark cells of a 4 x 4 block: 0 (empty) .. 16 (full).
_FULL = 16


class Builder(LabelledBuilder):
    """1,797 grey digits; builds offline, nothing is downloaded.

    Features:
        image: `(8, 8, 1)`, uint8; `round(count * 255 / 16)` of the shipped
            counts 0..16, half to even, so 8 becomes 128.
        label: Class index 0..9; the names are "zero" to "nine".
        id: "digit_0000" to "digit_1796", the place in shipped order.
    """

    HOMEPAGE = "https://archive.ics.uci.edu/dataset/80"
    RELEASE_NOTES: ClassVar[dict] = {
        "1.0.0": "First release: 1,442 training and 355 test images."
    }

    def features(self):
        return image_files.features(_NAMES, image=image_files.png(8, 8, 1))

    def _split_generators(self, dl_manager):
        del dl_manager
        # scikit-learn takes seconds to import and is needed only here.
        from sklearn import datasets

        digits = datasets.load_digits()
        pixels = np.rint(digits.images * (255 / _FULL)).astype(np.uint8)
        labels = digits.target
        is_test = np.zeros(len(labels), bool)
        for label in range(len(_NAMES)):
            mine = np.flatnonzero(labels == label)
            is_test[mine[_TEST_EVERY - 1 :: _TEST_EVERY]] = True
        return {
            "train": self._generate_examples(pixels, labels, ~is_test),
            "test": self._generate_examples(pixels, labels, is_test),
        }

    def _generate_examples(self, pixels, labels, chosen):
        for index in np.flatnonzero(chosen):
            identity = f"digit_{index:04d}"
            yield (
                identity,
                {
                    "id": identity,
                    "image": pixels[index, :, :, np.newaxis],
                    "label": int(labels[index]),
                },
            )
