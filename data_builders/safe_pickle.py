"""Reads pickles of published data sets without running what is in them.

A pickle may name any function and have it called while it is read. Only what
arrays and plain containers need can be named here; everything else is refused
before it is imported.
"""

import pickle

from tfcl.data_builders import manual_files
from tfcl.data_builders.manual_files import DataFileError
from tfcl.data_builders.pickle_memo import refuse_large_memo

# Modules under which NumPy's releases name the functions of their pickles.
_CORES = ("numpy.core", "numpy._core")
_ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),  # Python-2 bytes in protocol 2.
    *((f"{core}.multiarray", "_reconstruct") for core in _CORES),
    *((f"{core}.multiarray", "scalar") for core in _CORES),
    *((f"{core}.numeric", "_frombuffer") for core in _CORES),
}


def load(path):
    """What a pickle of arrays, numbers, texts, lists and dicts holds.

    Keys of Python-2 pickles become `str` (Latin-1); their other texts stay
    bytes. An array of n bytes takes n while it is read, one of Python 2 twice
    as much.

    Args:
        path: The file, `epath.Path`.

    Raises:
        DataFileError: If the file names anything but these, or is damaged.
    """
    try:
        with manual_files.opened(path) as file:
            refuse_large_memo(file)
            # As texts the bytes of old arrays would be copied once more.
            return _with_texts_as_keys(
                _Unpickler(file, encoding="bytes").load()
            )
    except _Refused as error:
        raise DataFileError(
            f"'{path}' names '{error}', which could run a program: only "
            "arrays and plain containers are read from pickles"
        ) from None
    except (MemoryError, FileNotFoundError, DataFileError):
        raise
    except Exception as error:
        # Damaged pickles fail in any way, by kind of damage.
        raise DataFileError(
            f"'{path}' is no whole pickle ({type(error).__name__})"
        ) from None


def field(content, key, path):
    """`content[key]`, or a `DataFileError` that names file and key."""
    if not isinstance(content, dict) or key not in content:
        raise DataFileError(f"'{path}' holds no '{key}'")
    return content[key]


def _with_texts_as_keys(content):
    if isinstance(content, dict):
        return {
            key.decode("latin1")
            if isinstance(key, bytes)
            else key: _with_texts_as_keys(value)
            for key, value in content.items()
        }
    return content


class _Refused(Exception):
    """Carries the name that a pickle must not use."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in _ALLOWED:
            raise _Refused(f"{module}.{name}")
        return super().find_class(module, name)

    def persistent_load(self, pid):
        raise _Refused(f"persistent id {pid!r}")
