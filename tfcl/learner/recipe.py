"""A method made in Python as a gin text that makes it again.

So the commands open what a program has learned. `checked` constructors note
what they are given; the text names them, and what they are given, by gin.
"""

from __future__ import annotations

import collections
import functools
import inspect
import typing

import gin
import keras
import numpy as np

from tfcl import configuration
from tfcl.arguments import made_with
from tfcl.errors import UserError
from tfcl.models.backbones.given_model import GivenModel

if typing.TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tfcl.methods.base import Method


_PLAIN = (bool, int, float, str, type(None))
_OPTIONS = "options"
# The argument that holds what `options` are made into.
_MADE_OF_OPTIONS = "training"


class _Untold(Exception):
    """Gin has no name for a value."""


def gin_text(method: Method, bindings: Mapping[str, Any]) -> str:
    """The gin text of a run with a method.

    Args:
        method: `Method`, not set up.
        bindings: Further ones, `{"Experiment.seed": 0}`; values are literals,
            or texts that begin with "@".

    Returns:
        A text that `tfcl.configuration` loads. Of a method that gin cannot
        name (a lambda, a class of the program itself) it makes an error that
        says so.
    """
    try:
        teller, told = _told_of(method)
    except _Untold as error:
        stands_for = functools.partial(python_only, what=str(error))
        teller, told = _told_of(stands_for)
        told += "()"
    lines = {"Experiment.method": told, **teller.bindings}
    lines |= {
        name: value
        if isinstance(value, str) and value.startswith("@")
        else _literal(value)
        for name, value in bindings.items()
    }
    modules = {"tfcl.engine.experiment", "tfcl.learner.kept_stream"}
    return "\n".join(
        [
            "# What tfcl.Learner has learned with.",
            *(f"import {name}" for name in sorted(modules | teller.modules)),
            "",
            *(f"{name} = {value}" for name, value in lines.items()),
            "",
        ]
    )


@gin.configurable
def python_only(what: str) -> Method:
    """Stands for a method that only the program that made it can make.

    Args:
        what: What gin has no name for.

    Raises:
        UserError: Always.
    """
    raise UserError(
        f"The method of this run was made by a Python program, with {what}, "
        "for which gin has no name. Open the run there: tfcl.Learner(folder, "
        "method). Classes of an importable module under @gin.configurable "
        "have one."
    )


@gin.configurable
def keras_optimizer(config: dict) -> keras.Optimizer:
    """A new Keras optimizer.

    Args:
        config: What `keras.optimizers.serialize` returns for one.
    """
    return keras.optimizers.deserialize(dict(config))


def _told_of(value):
    """A `_Teller` that has told a value, and the value's text."""
    # Twice: first it learns which names have bindings more than once.
    first = _Teller({})
    first.told(value)
    teller = _Teller(first.used)
    return teller, teller.told(value)


class _Teller:
    """Writes values as gin does, and the bindings that they need.

    Args:
        uses: How often each name will be used; one that is used again has a
            scope in every use, so that no use takes bindings of another.

    Attributes:
        used: How often each name has been used so far.
        bindings: `{"scope/Name.parameter": text}`.
        modules: To be imported.
    """

    def __init__(self, uses: Mapping[str, int]):
        self.bindings: dict[str, str] = {}
        self.modules: set[str] = set()
        self.used: collections.Counter = collections.Counter()
        self._uses = uses
        # By identity; what is named is held, so that no other object gets it.
        self._scopes: dict[int, tuple[Any, str]] = {}

    def told(self, value: Any) -> str:
        """The text of a value."""
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, _PLAIN):
            return _literal(value)
        if isinstance(value, (list, tuple)):
            inside = [self.told(each) for each in value]
            comma = "," if isinstance(value, tuple) and len(value) == 1 else ""
            ends = "()" if isinstance(value, tuple) else "[]"
            return f"{ends[0]}{', '.join(inside)}{comma}{ends[1]}"
        if isinstance(value, dict):
            inside = [
                f"{self.told(k)}: {self.told(v)}" for k, v in value.items()
            ]
            return f"{{{', '.join(inside)}}}"
        if isinstance(value, keras.Optimizer):
            config = keras.optimizers.serialize(value)
            return self.told(functools.partial(keras_optimizer, config=config))
        if isinstance(value, keras.Model):
            value = GivenModel(value)
        if isinstance(value, GivenModel):
            self.modules.add(GivenModel.__module__)
            return self._call(value, "given_model", {"name": value.name})
        if isinstance(value, functools.partial):
            if value.args:
                raise _Untold(f"{_named(value.func)} with unnamed arguments")
            return self._call(value, self._name(value.func), value.keywords)
        if inspect.isroutine(value) or inspect.isclass(value):
            return f"@{self._name(value)}"
        given = _given(value)
        return f"{self._call(value, self._name(type(value)), given)}()"

    def _call(self, value, name, given):
        """`@Name`, with bindings of what it is given."""
        if id(value) not in self._scopes:
            shared = self._uses.get(name, 1) > 1
            scope = f"{name}_{self.used[name]}/" if shared else ""
            self._scopes[id(value)] = value, scope
            self.used[name] += 1
            for parameter, each in given.items():
                self.bindings[f"{scope}{name}.{parameter}"] = self.told(each)
        _, scope = self._scopes[id(value)]
        return f"@{scope}{name}"

    def _name(self, value):
        """Gin's name of a class or function."""
        found = configuration.name_of(value)
        if found is None or value.__module__ == "__main__":
            raise _Untold(_named(value))
        self.modules.add(value.__module__)
        return found


def _given(value):
    """`{parameter: value}` of an object's constructor."""
    given = made_with(value)
    if given is None:
        raise _Untold(f"an object of class {_named(type(value))}")
    for parameter in inspect.signature(type(value)).parameters.values():
        if parameter.name not in given:
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            raise _Untold(f"unnamed arguments of {_named(type(value))}")
        if parameter.kind is parameter.VAR_KEYWORD:
            more = given.pop(parameter.name)
            if parameter.name == _OPTIONS:
                more = {_MADE_OF_OPTIONS: getattr(value, _MADE_OF_OPTIONS)}
            given |= more
    return given


def _literal(value):
    if isinstance(value, float) and value - value != 0.0:
        raise _Untold(f"the number {value}")
    return repr(value)


def _named(value):
    return f"{getattr(value, '__qualname__', value)} of {value.__module__}"
