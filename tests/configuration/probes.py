"""Things that a gin file may configure, and how to ask what is said of it."""

import collections.abc
import pathlib
import re
from typing import Annotated, Any, Literal, Optional, Sequence

import gin

from tfcl.arguments import (
    PositiveFloat,
    PositiveInt,
    checked,
    one_of,
    within,
)
from tfcl.configuration.binding import winning
from tfcl.errors import UserError


@gin.configurable
class ProbeMethod:
    def __init__(self, learning_rate: float = 0.1, epochs: int = 1, tag=""):
        if learning_rate <= 0:
            raise ValueError(
                "Argument `learning_rate` must be positive. Received: "
                f"learning_rate={learning_rate}"
            )
        if epochs < 1:
            raise ValueError("Too few passes over the data.")
        self.values = (learning_rate, epochs, tag)


@gin.configurable
class ProbeOptions:
    def __init__(self, training: ProbeMethod | None = None, size=1, **options):
        self.training = training or ProbeMethod(**options)


@gin.configurable
class ProbeHeir(ProbeOptions):
    def __init__(self, training=None, **options):  # Its base says the type.
        super().__init__(training, **options)


@gin.configurable
class ProbeAnything:
    def __init__(self, first=None, **others):
        self.values = (first, others)


@gin.configurable(denylist=["seed"])
def probe_stream(
    seed: int = 0,
    shape: tuple[int, ...] = (1,),
    names: Sequence[str] = (),
    mode: Literal["a", "b"] = "a",
    limit: int | None = 3,
    shuffle: bool = True,
    sizes: Optional[dict[str, int]] = None,
    transform: collections.abc.Callable | None = None,
    anything=None,
):
    return seed, shape, names, mode, limit, shuffle, sizes, transform, anything


@gin.configurable
def probe_experiment(method=gin.REQUIRED, stream: Any = None):
    return method, stream


@gin.configurable
def probe_needs(value, *, other: "NotImportedAnywhere" = 1, size: int = 2):  # noqa: F821
    return value, other, size


@gin.configurable(allowlist=["a"])
def probe_open(a: int = 1, **others):
    return a, others


@gin.configurable
class ProbeStrict:
    def __init__(self, rate: float = 0.5, *, scale: float = 1.0):
        raise TypeError(f"`scale` does not go with `rate`: {scale}, {rate}")


@gin.configurable
class ProbeChecked:
    @checked
    def __init__(
        self,
        rate: PositiveFloat | None = 0.5,
        share: Annotated[float, within("[0, 1)")] = 0.0,
        start: Annotated[str, one_of("low", "high")] = "low",
        sizes: Sequence[PositiveInt] = (),
    ):
        self.values = (rate, share, start, sizes)


@gin.configurable
def probe_number(value: float = 0.5):
    return value


@gin.configurable
def probe_fails(size: int = 1):
    raise UserError("The data set is missing.")


for _module in ("one", "two"):
    gin.configurable("ProbeTwice", module=f"probe.{_module}")(lambda a=1: a)


def write(path, text):
    """Writes a gin file into the working folder; returns its path."""
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_text(text, encoding="utf-8")
    return path


def places():
    """The `file:line` of every binding that won, by its key."""
    return {key: binding.place for key, binding in winning.items()}


def says(message, wanted):
    """Whether a message is one line and what is wanted.

    `...` stands for any text.
    """
    parts = map(re.escape, wanted.split("..."))
    assert re.fullmatch(".*".join(parts), message), message
    return True
