"""Some examples of a task: as many, each once, the same for a key."""

import numpy as np
import pytest

from tfcl.methods.regularization.drawn_examples import drawn_examples
from tfcl.testing import tiny_stream


@pytest.fixture(scope="module")
def split():
    return tiny_stream()().tasks[0].train


def test_as_many_as_asked_for_each_once(split):
    found = drawn_examples(split, 9, 0, "x", 1)
    rows = found.images.reshape(9, -1)
    assert len(found) == 9 and len(np.unique(rows, axis=0)) == 9


def test_a_key_draws_the_same_again(split):
    def drawn(*key):
        return drawn_examples(split, 9, *key).images

    np.testing.assert_array_equal(drawn(0, "x"), drawn(0, "x"))
    assert (drawn(0, "x") != drawn(1, "x")).any()


@pytest.mark.parametrize("count", [None, 64, 1000])
def test_all_are_taken_as_they_are(split, count):
    assert drawn_examples(split, count, 0) is split
