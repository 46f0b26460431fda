"""Draws the dummy data of the builder's test: python <this file>.

Five images and the owners' two lists, shortened.
"""

import pathlib

import numpy as np
import tensorflow_datasets as tfds

from tfcl.data_builders import dummy_pictures

_LABELS = (77, 1, 102, 1, 50)
_PARTS = {"trnid": (5, 2), "valid": (3,), "tstid": (1, 4)}


def main():
    """Writes the files into the folder dummy_data beside this program."""
    root = pathlib.Path(__file__).parent / "dummy_data"
    for number in range(1, len(_LABELS) + 1):
        dummy_pictures.write(root / f"jpg/image_{number:05d}.jpg")
    scipy = tfds.core.lazy_imports.scipy
    with open(root / "imagelabels.mat", "wb") as file:
        scipy.io.savemat(file, {"labels": np.array([_LABELS], np.uint8)})
    with open(root / "setid.mat", "wb") as file:
        parts = {k: np.array([v], np.uint16) for k, v in _PARTS.items()}
        scipy.io.savemat(file, parts)


if __name__ == "__main__":
    main()
