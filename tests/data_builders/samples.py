"""Real samples of data sets, which are not part of the project."""

import os
import pathlib

import pytest

_DEFAULT = pathlib.Path(__file__).parents[2] / "../shared"


def folder(name):
    """A folder or file of the samples, e.g. "raw/tiny_imagenet".

    They lie in the folder that the environment variable TFCL_SAMPLES_DIR
    names, or beside the project; without them the test is skipped.
    """
    path = pathlib.Path(os.environ.get("TFCL_SAMPLES_DIR", _DEFAULT), name)
    if not path.exists():
        pytest.skip(
            f"no sample '{name}': set TFCL_SAMPLES_DIR to the samples' folder"
        )
    return path
