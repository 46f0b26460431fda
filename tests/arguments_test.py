"""Annotations say what an argument may be."""

import collections.abc
import dataclasses
import inspect
import os
import typing
from typing import Annotated, Literal, Sequence

import gin
import numpy as np
import pytest

from tfcl.arguments import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    above,
    at_least,
    checked,
    describe,
    fits,
    kind_of,
    one_of,
    within,
)


class _Rule:
    @checked
    def __init__(
        self,
        size: Annotated[int, at_least(1)],
        rate: Annotated[float, above(0)] | None = 0.5,
        *others: int,
        shape: tuple[int, ...] = (),
        start: int = None,
        mode: "Literal['a', 'b']" = "a",
        seen: "NotImportedAnywhere" = None,  # noqa: F821
        anything=None,
        **more: str,
    ):
        self.given = (size, rate, shape, start, mode, seen, anything)
        self.rest = (others, more)


@gin.configurable("ProbeRule", module="probe")
class _Configured(_Rule):
    pass


@pytest.fixture(autouse=True)
def _gin():
    yield
    gin.clear_config()


@pytest.mark.parametrize(
    "value, kind, expected",
    [
        ((1, "a"), tuple[int, str], True),
        ((1, 2), tuple[int, str], False),
        ((1,), tuple[int, str], False),
        ((1, "a"), tuple, True),
        ([1], tuple, False),
        ([1.0, 2], list[float], True),
        ((1.0,), list[float], False),
        ([1], typing.List, True),
        ((1, "a"), typing.Sequence, True),
        ("ab", collections.abc.Iterable, False),
        ([(1, 2)], Sequence[tuple[int, int]], True),
        ({"a": 1}, collections.abc.Mapping[str, float], True),
        ({1: 1}, typing.Dict[str, float], False),
        ({}, dict, True),
        (1, Literal[True], False),
        (None, Literal["a", None], True),
        (None, None, True),
        (1, typing.Annotated[int, "unit"], True),
        ("a", typing.Annotated[int, "unit"], False),
        (1, typing.Callable[[int], int], False),
        (1, typing.TypeVar("T"), True),
        ("a", _Rule, True),
        ("a", os.PathLike, True),
        ("a", int | Sequence[str], False),
        (["a"], int | Sequence[str], True),
        (np.float32(1), float, True),
        (np.int64(1), int, True),
        (np.bool_(True), int, False),
        ([1, True], list[int], False),
        (0, Annotated[int, at_least(1)], False),
        (1, Annotated[int, at_least(1)], True),
        (True, Annotated[int, at_least(1)], False),
        (float("nan"), Annotated[float, above(0)], False),
        ((1, 0), tuple[Annotated[int, at_least(1)], ...], False),
        (print, typing.Callable[[int], int], True),
        (0, PositiveInt, False),
        (1, PositiveInt, True),
        (1.0, PositiveInt, False),
        (-1, NonNegativeInt, False),
        (0, NonNegativeInt, True),
        (0, PositiveFloat, False),
        (1e-9, PositiveFloat, True),
        (-1e-9, NonNegativeFloat, False),
        (0, NonNegativeFloat, True),
        (float("nan"), NonNegativeFloat, False),
        (0, Annotated[float, within("[0, 1)")], True),
        (1, Annotated[float, within("[0, 1)")], False),
        (0, Annotated[float, within("(0, 1]")], False),
        (1, Annotated[float, within("(0, 1]")], True),
        (1.01, Annotated[float, within("(0, 1]")], False),
        (-0.01, Annotated[float, within("[0, 1]")], False),
        (float("nan"), Annotated[float, within("[0, 1]")], False),
        ("0.5", Annotated[float, within("[0, 1]")], False),
        ("b", Annotated[str, one_of("a", "b")], True),
        ("c", Annotated[str, one_of("a", "b")], False),
        (None, Annotated[str, one_of("a", "b")] | None, True),
        (True, Annotated[int, one_of(1, 2)], False),
        (["a", "c"], Sequence[Annotated[str, one_of("a", "b")]], False),
        ({"a": -1}, dict[str, NonNegativeFloat], False),
    ],
)
def test_types_fit_as_python_means_them(value, kind, expected):
    assert fits(value, kind) is expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"size": 0}, "`size` must be int of at least 1. Received: size=0"),
        ({"size": "1"}, "`size` must be int of at least 1. Received: size='1'"),
        ({"size": None}, "`size` must be int of at least 1. Received: size="),
        ({"rate": 0}, "`rate` must be float above 0 or None. Received: rate=0"),
        ({"shape": [1]}, "`shape` must be tuple[int, ...]. Received: shape="),
        ({"mode": "c"}, "`mode` must be 'a' or 'b'. Received: mode='c'"),
    ],
)
def test_a_call_with_a_wrong_argument_is_refused(given, said):
    with pytest.raises(ValueError) as caught:
        _Rule(**{"size": 1, **given})
    assert f"Argument {said}" in str(caught.value)


def test_a_call_with_right_arguments_is_as_without_checks():
    found = _Rule(2, None, "x", shape=(1,), mode="b", seen=3, other=4)
    assert found.given == (2, None, (1,), None, "b", 3, None)
    assert found.rest == (("x",), {"other": 4})
    assert _Rule(1).given == (1, 0.5, (), None, "a", None, None)
    _Rule(1, start=None)


def test_arguments_that_do_not_go_with_the_signature_are_left_to_python():
    with pytest.raises(TypeError, match="missing 1 required positional"):
        _Rule()


def test_values_from_gin_are_checked_in_the_call_too():
    # `load` sees no value that a reference gives.
    gin.bind_parameter("ProbeRule.size", 0)
    with pytest.raises(ValueError, match="`size` must be int of at least 1"):
        _Configured()


def test_gin_sees_defaults_positions_and_what_is_required():
    gin.bind_parameter("ProbeRule.rate", 2.0)
    assert _Configured(3, 0.25).given[:2] == (3, 0.25)
    assert _Configured(3).given[:2] == (3, 2.0)
    assert "ProbeRule.mode = 'a'" in gin.operative_config_str()
    with pytest.raises(RuntimeError, match="Required bindings.*'size'"):
        _Configured(gin.REQUIRED)


def test_ranges_are_read_in_the_signature():
    parameter = inspect.signature(_Rule).parameters["rate"]
    assert "Annotated[float, above 0]" in str(parameter)
    assert describe(kind_of(parameter, _Rule)) == "float above 0 or None"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Annotated[float, within("(0, 1]")] | None, "float in (0, 1] or None"),
        (Annotated[str, one_of("a", "b")] | None, "'a' or 'b' or None"),
        (Annotated[int, one_of(1)], "1"),
        (Annotated[int, one_of(1, 2, 3, remedy="; or X")], "1, 2 or 3; or X"),
        (Sequence[PositiveInt], "Sequence[int of at least 1]"),
        (dict[str, NonNegativeFloat], "dict[str, float of at least 0]"),
        (tuple[int, ...] | None, "tuple[int, ...] or None"),
    ],
)
def test_a_rule_is_said_in_the_words_of_its_kind(kind, words):
    assert describe(kind) == words


@checked
@dataclasses.dataclass(frozen=True)
class _Options:
    size: PositiveInt = 1
    mode: "Annotated[str, one_of('a', 'b')]" = "a"


@pytest.mark.parametrize("wrong", [{"size": 0}, {"mode": "c"}])
def test_a_dataclass_is_checked_when_it_is_made_and_replaced(wrong):
    assert dataclasses.replace(_Options(2), mode="b") == _Options(2, "b")
    (name,) = wrong
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        _Options(**wrong)
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        dataclasses.replace(_Options(), **wrong)
