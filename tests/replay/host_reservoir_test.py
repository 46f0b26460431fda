"""The reservoir that follows from its keys."""

import numpy as np
import pytest

from tfcl.replay.host_reservoir import HostReservoir
from tfcl.replay.table import Column

_COLUMNS = {"numbers": Column((), "int64"), "points": Column((2,))}


def _offered(parts):
    reservoir = HostReservoir(3, _COLUMNS)
    begin = 0
    for keys in parts:
        numbers = np.arange(begin, begin + len(keys))
        points = np.stack([numbers, -numbers], axis=-1)
        reservoir.insert(keys, {"numbers": numbers, "points": points})
        begin += len(keys)
    return reservoir


def test_it_keeps_the_largest_keys_however_they_come():
    keys = np.array([0.3, 0.9, 0.1, 0.8, 0.2, 0.85])
    for cuts in ([], [1], [2, 5]):
        found = _offered(np.split(keys, cuts))
        assert found["numbers"].tolist() == [1, 5, 3]
        assert found["points"].tolist() == [[1, -1], [5, -5], [3, -3]]
        assert len(found) == 3


def test_of_equal_keys_the_first_is_kept():
    assert _offered([[0.5, 0.5], [0.5, 0.5]])["numbers"].tolist() == [0, 1, 2]


def test_it_begins_empty_and_with_the_columns_dtypes():
    found = HostReservoir(3, _COLUMNS)
    assert len(found) == 0
    assert found["numbers"].dtype == np.int64
    assert found["points"].shape == (0, 2)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="`capacity`.*Received"):
        HostReservoir(0, _COLUMNS)
    with pytest.raises(ValueError, match="`examples`.*Received"):
        HostReservoir(2, _COLUMNS).insert([0.1], {"numbers": [1]})
