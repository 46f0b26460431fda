"""Dataclasses as JSON objects."""

import dataclasses
import json

import pytest

from tfcl.engine.storage.json_record import JsonRecord, from_optional


@dataclasses.dataclass
class _Inner(JsonRecord):
    number: int
    later: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class _Outer(JsonRecord):
    inner: _Inner | None = None


def test_records_inside_records_become_objects():
    record = _Outer(_Inner(2, [1.5, None]))
    wanted = {"inner": {"number": 2, "later": [1.5, None]}}
    assert json.loads(json.dumps(record.to_json())) == wanted
    assert _Outer().to_json() == {"inner": None}


def test_lists_are_not_copied():
    """A journal is written often and its histories are long."""
    record = _Inner(2, [1])
    assert record.to_json()["later"] is record.later


def test_missing_keys_get_defaults_where_there_are_any():
    assert _Inner.from_json({"number": 3}) == _Inner(3, [])
    with pytest.raises(TypeError, match="number"):
        _Inner.from_json({})


def test_none_stays_none():
    assert from_optional(_Inner, None) is None
    assert from_optional(_Inner, {"number": 3}) == _Inner(3)
