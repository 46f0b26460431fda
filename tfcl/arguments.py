"""What an argument may be, said once: in its annotation.

    @checked
    def __init__(
        self,
        strength: NonNegativeFloat = 0.75,
        dropout: Annotated[float, within("[0, 1)")] = 0.5,
        start: Annotated[str, one_of("afresh", "first")] = "afresh",
    ):

`checked` holds against it what a call is given; who reads gin files asks
`fits` and `describe` before anything is called.
"""

import dataclasses
import functools
import inspect
import numbers
import operator
import re
import types
import typing
from collections import abc
from typing import Annotated, Any

_Checked = typing.TypeVar("_Checked", bound=abc.Callable)

_MADE_WITH, _NOTES = "_made_with", "_notes_what_is_made"
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
        says_all: The words stand without the type: "'min' or 'max'".
    """

    words: str
    holds: abc.Callable[[Any], bool]
    says_all: bool = False

    def __repr__(self):  # In `help` and in the signature.
        return self.words


def at_least(low: float) -> Range:
    """The numbers from `low` on."""
    return Range(f"of at least {low}", lambda value: value >= low)


def above(low: float) -> Range:
    """The numbers greater than `low`."""
    return Range(f"above {low}", lambda value: value > low)


def within(interval: str) -> Range:
    """The numbers of an interval: "(0, 1]" is without 0 and with 1."""
    low, high = map(float, interval[1:-1].split(","))
    begins = operator.ge if interval[0] == "[" else operator.gt
    ends = operator.le if interval[-1] == "]" else operator.lt
    return Range(
        f"in {interval}",
        lambda value: begins(value, low) and ends(value, high),
    )


def one_of(*choices: Any, remedy: str = "") -> Range:
    """These values alone; `remedy` goes on after them."""
    *most, last = map(repr, choices)
    words = f"{', '.join(most)} or {last}" if most else last
    return Range(words + remedy, lambda value: value in choices, says_all=True)


PositiveInt = Annotated[int, at_least(1)]
NonNegativeInt = Annotated[int, at_least(0)]
PositiveFloat = Annotated[float, above(0)]
NonNegativeFloat = Annotated[float, at_least(0)]


@dataclasses.dataclass(frozen=True)
class _Made:
    """How an object was made.

    Attributes:
        function: Its constructor.
        given: Arguments by name.
    """

    function: Any
    given: dict[str, Any]

    def __deepcopy__(self, memo):
        return self  # What was given may be large, or one of its kind.


def checked(function: _Checked) -> _Checked:
    """Decorator: refuses arguments that do not fit their annotations.

    Defaults are taken as they are. It goes under `@gin.configurable`, onto a
    function, an `__init__` or a dataclass; the checked values are those that
    gin supplies, too.

    Raises:
        ValueError: From the call, with argument, rule and value.
    """
    if inspect.isclass(function):
        made: Any = function
        made.__init__ = checked(made.__init__)
        return function
    signature = inspect.signature(function)
    makes = function.__name__ == "__init__"

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
        if makes:
            made, own = args[0], next(iter(given))
            kept = {name: v for name, v in given.items() if name != own}
            # Not what a subclass hands on.
            vars(made).setdefault(_MADE_WITH, _Made(function, kept))
        return function(*args, **kwargs)

    # Gin reads defaults and positions off the function that it decorates, by
    # `inspect.getfullargspec`, which does not look behind decorators.
    described: Any = call
    described.__signature__ = signature
    setattr(described, _NOTES, makes)
    return described


def notes_what_is_made(kind: type) -> bool:
    """Whether `made_with` knows of the objects of a class."""
    made: Any = kind
    constructor = made.__init__
    takes_nothing = inspect.unwrap(constructor) is object.__init__
    return takes_nothing or getattr(constructor, _NOTES, False)


def made_with(value: Any) -> dict[str, Any] | None:
    """Returns the arguments that an object was made with, by their names.

    Args:
        value: Any object.

    Returns:
        Those that were given, without defaults; None if the constructor of its
        class is not `checked`.
    """
    constructor = inspect.unwrap(type(value).__init__)
    if constructor is object.__init__:
        return {}
    made = getattr(value, _MADE_WITH, None)
    if made is None or constructor != made.function:
        return None
    return dict(made.given)


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
        ranges = [each for each in arguments if isinstance(each, Range)]
        words = [each.words for each in ranges]
        if not any(each.says_all for each in ranges):
            words.insert(0, describe(arguments[0]))
        return " ".join(words)
    if origin is typing.Literal:
        return " or ".join(map(repr, arguments))
    if kind is Ellipsis:
        return "..."
    if origin in _ACCEPTED and origin is not abc.Callable:
        return f"{origin.__name__}[{', '.join(map(describe, arguments))}]"
    if origin is None and isinstance(kind, type):
        return "None" if kind is types.NoneType else kind.__name__
    return re.sub(r"typing\.|collections\.abc\.", "", str(kind))
