"""Draws the dummy data of the builder's test: python <this file>.

Two training images and one test image as the owners' archives unpack.
"""

import pathlib

import numpy as np
import tensorflow_datasets as tfds

from tfcl.data_builders import dummy_pictures

_FIELDS = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class")
# (left, top, right, bottom, class)
_TRAIN = ((1, 2, 7, 5, 14), (0, 0, 8, 6, 196))
_TEST = ((3, 1, 5, 5, 1),)


def main():
    """Writes the files into the folder dummy_data beside this program."""
    root = pathlib.Path(__file__).parent / "dummy_data"
    _write(root, "cars_train", "devkit/cars_train_annos.mat", _TRAIN)
    _write(root, "cars_test", "cars_test_annos_withlabels.mat", _TEST)


def _write(root, folder, annotations, rows):
    kinds = [*((field, "O") for field in _FIELDS), ("fname", "O")]
    table = np.empty((1, len(rows)), kinds)
    for number, row in enumerate(rows):
        name = f"{number + 1:05d}.jpg"
        table[0, number] = (*(float(value) for value in row), name)
        dummy_pictures.write(root / folder / name, size=(6, 8))
    (root / annotations).parent.mkdir(exist_ok=True)
    with open(root / annotations, "wb") as file:
        tfds.core.lazy_imports.scipy.io.savemat(file, {"annotations": table})


if __name__ == "__main__":
    main()
