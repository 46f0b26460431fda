"""Where a builder's own files are: beside its module."""

import sys

import tensorflow_datasets as tfds


class InOwnFolder:
    """A TFDS builder whose README, tags, citation and lists are beside it.

    TFDS would look below the folder of the top-level package, where a checkout
    has no builders (`tfcl.data_builders`). Goes before TFDS's base class.
    """

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        file = sys.modules[cls.__module__].__file__
        assert file is not None, "a builder is in a file"
        # Both are public; TFDS guesses them by the module's name otherwise.
        cls.code_path = tfds.core.Path(file)
        cls.pkg_dir_path = cls.code_path.parent
