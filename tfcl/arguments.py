"""What an argument may be, said once: in its annotation.

    @checked
    def __init__(
        self, strength: Annotated[float, at_least(0)] = 0.75, name: str = ""
    ):

`checked` holds against it what a call is given; who reads gin files asks
`fits` and `describe` before anything is called.
"""

import dataclasses
import functools
import inspect
import numbers
import re
import types
import typing
from collections import abc
from typing import Any

_SEQUENCES = (abc.Sequence, abc.Collection, abc.Iterable)
_MAPPINGS = (dict, abc.Mapping, abc.MutableMapping)
# Annotation -> what a value must be an instance of. All others say nothing.
_ACCEPTED: dict[Any, Any] = {
    types.NoneType: types.NoneType,
    bool: bool,
    int: numbers.Integral,  # NumPy's, too.
    float: numbers.Real,
    str: str,
    tuple: tuple,
    list: list,
    abc.Callable: abc.Callable,
    **dict.fromkeys(_SEQUENCES, (list, tuple)),
    **dict.fromkeys(_MAPPINGS, dict),
}


# Annotation of an argument that names a file with which a network begins. It is
# read when the network is built, which is after the data have been prepared:
# who starts a run asks for it before.
StartFile = typing.Annotated[str, "a start file"]


def require(condition: bool, argument: str, rule: str, value: Any) -> None:
    """Raises the usual ValueError unless `condition` holds.

    For rules that take several arguments together; those of one argument
    stand in its annotation, see `checked`.
    """
    if not condition:
        raise ValueError(
            f"Argument `{argument}` {rule}. Received: {argument}={value!r}"
        )


@dataclasses.dataclass(frozen=True, repr=False)
class Range:
    """A rule that `typing.Annotated` adds to a type.

    Attributes:
        words: The rule, as it goes on after the type: "of at least 1".
        holds: Function from a value of the type to whether it keeps the rule.
    """

    words: str
    holds: abc.Callable[[Any], bool]

    def __repr__(self):  # In `help` and in the signature.
        return self.words


def at_least(low: float) -> Range:
    """The numbers from `low` on."""
    return Range(f"of at least {low}", lambda value: value >= low)


def above(low: float) -> Range:
    """The numbers greater than `low`."""
    return Range(f"above {low}", lambda value: value > low)


def checked(function: abc.Callable) -> abc.Callable:
    """Decorator: refuses arguments that do not fit their annotations.

    Defaults are taken as they are. Under `@gin.configurable` it goes onto
    `__init__`; the checked values are those that gin supplies, too.

    Raises:
        ValueError: From the call, with argument, rule and value.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args, **kwargs):
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError:  # Python's own words are better.
            return function(*args, **kwargs)
        for name, value in given.items():
            kind = kind_of(signature.parameters[name], function)
            if not fits(value, kind):
                raise ValueError(
                    f"Argument `{name}` must be {describe(kind)}. "
                    f"Received: {name}={value!r}"
                )
        return function(*args, **kwargs)

    # Gin reads defaults and positions off the function that it decorates, by
    # `inspect.getfullargspec`, which does not look behind decorators.
    described: Any = call
    described.__signature__ = signature
    return described


def kind_of(parameter: inspect.Parameter, function: abc.Callable) -> Any:
    """Returns what a parameter is annotated with, `Any` if with nothing.

    Args:
        parameter: One with the default None may be None.
        function: Whose it is. An annotation that is a text uses its names.
    """
    kind = parameter.annotation
    is_many = parameter.kind in (
        parameter.VAR_KEYWORD,
        parameter.VAR_POSITIONAL,
    )
    if kind is parameter.empty or is_many:
        return Any
    try:
        if isinstance(kind, str):
            kind = eval(kind, function.__globals__)
        return typing.Optional[kind] if parameter.default is None else kind
    except Exception:  # Names that only a type checker knows.
        return Any


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a type and in its ranges.

    A bool is no number, an int is a float, a text no sequence, a list no
    tuple. True for a type that says nothing of plain values, as classes do.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, each) for each in arguments)
    if origin is typing.Literal:
        return any(type(value) is type(e) and value == e for e in arguments)
    if origin is typing.Annotated:
        ranges = [each for each in arguments if isinstance(each, Range)]
        return fits(value, arguments[0]) and all(r.holds(value) for r in ranges)
    origin = types.NoneType if kind is None else origin or kind
    if not isinstance(origin, type) or origin not in _ACCEPTED:
        return True
    if isinstance(value, bool) and origin is not bool:
        return False
    if not isinstance(value, _ACCEPTED[origin]):
        return False
    if not arguments or origin is abc.Callable:
        return True
    if origin is tuple and arguments[-1] is not Ellipsis:
        same_length = len(value) == len(arguments)
        return same_length and all(map(fits, value, arguments))
    parts = zip(*value.items()) if origin in _MAPPINGS else (value,)
    return all(
        fits(item, each)
        for part, each in zip(parts, arguments)
        for item in part
    )


def describe(kind: Any) -> str:
    """Returns a type as a user would write it, with the words of its ranges."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(describe, arguments))
    if origin is typing.Annotated:
        ranges = [each.words for each in arguments if isinstance(each, Range)]
        return " ".join([describe(arguments[0]), *ranges])
    if origin is None and isinstance(kind, type):
        return "None" if kind is types.NoneType else kind.__name__
    return re.sub(r"typing\.|collections\.abc\.", "", str(kind))
