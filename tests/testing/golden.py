"""Values computed by the published programs."""

import os
import pathlib

import numpy as np

_SHIPPED = pathlib.Path(__file__).parents[1] / "golden"


def load(name):
    """The arrays of a golden file, e.g. "lasem/rmsprop.npz".

    The folder comes from the environment variable TFCL_GOLDEN_DIR; without
    it, from the files that the project ships.
    """
    folder = pathlib.Path(os.environ.get("TFCL_GOLDEN_DIR", _SHIPPED))
    with np.load(folder / name, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}
