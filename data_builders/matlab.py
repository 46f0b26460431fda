"""MATLAB files, in which some owners publish labels and boxes."""

import io

import tensorflow_datasets as tfds

from tfcl.data_builders import manual_files
from tfcl.data_builders.manual_files import DataFileError


def load(path, *names):
    """The variables of a MATLAB file, with axes of length 1 left out.

    Args:
        path: The file, `epath.Path`.
        *names: Variables that must be there.

    Returns:
        `{name: array}`.

    Raises:
        DataFileError: If the file is damaged or lacks a variable.
    """
    file = io.BytesIO(manual_files.content(path))
    try:
        content = tfds.core.lazy_imports.scipy.io.loadmat(file, squeeze_me=True)
    except MemoryError:
        raise
    except Exception as error:
        # Damaged files fail in any way, by kind of damage.
        raise DataFileError(
            f"'{path}' is no whole MATLAB file ({type(error).__name__})"
        ) from None
    missing = [name for name in names if name not in content]
    if missing:
        raise DataFileError(f"'{path}' has no '{missing[0]}'")
    return content
