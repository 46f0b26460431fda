"""Pickles whose table of objects would fill the memory."""

import io
import pickle

import pytest

from tfcl.data_builders.pickle_memo import refuse_large_memo

_LARGE = pickle.LONG_BINPUT + (2**31 - 1).to_bytes(4, "little")


def test_a_pickle_as_it_was_written_is_read_from_its_begin():
    words = [f"word {k}" for k in range(300)]  # Two kinds of number.
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        content = pickle.dumps([words, words, {"a": words}], protocol)
        file = io.BytesIO(b"before" + content + b"after")
        file.seek(6)
        refuse_large_memo(file)
        assert file.tell() == 6
        assert pickle.load(file)[2] == {"a": words}


@pytest.mark.parametrize("large", [_LARGE, b"p2147483647\n"])
def test_a_number_without_an_object_is_refused(large):
    content = b"]" + large + b"."
    with pytest.raises(ValueError, match="no object 2147483647"):
        refuse_large_memo(io.BytesIO(content))


def test_a_pickle_that_ends_too_early_is_refused():
    with pytest.raises(ValueError):
        refuse_large_memo(io.BytesIO(pickle.dumps([1, 2])[:-1]))
