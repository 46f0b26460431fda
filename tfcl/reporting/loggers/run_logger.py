"""What a service that draws the points of runs is told of them."""

from __future__ import annotations

import dataclasses
import pathlib
import typing

if typing.TYPE_CHECKING:
    from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class LoggedRun:
    """A run, as loggers are told of it.

    Attributes:
        id: 32 hexadecimal digits: the same whenever the run goes on, and no
            other run's.
        name: Of its folder.
        folder: The absolute path.
        settings: Method, stream, seed and gin bindings, by name.
    """

    id: str
    name: str
    folder: pathlib.Path
    settings: Mapping[str, str | bool | int | float]


@typing.runtime_checkable
class RunLogger(typing.Protocol):
    """Shows the points of a run elsewhere, as TensorBoard's files do here.

    A run calls `load`, `begin`, then `scalars` and `image`, and `close`; and
    again, perhaps of the same object, when it goes on. What a killed run had
    told after its last checkpoint it tells again, with the steps and values
    that it had.

    All but `load` may raise anything: the run then goes on without the logger.
    A class of your own may have this one as its base; the functions here do
    nothing.
    """

    def load(self) -> None:
        """Imports what is needed, before the run writes anything.

        Raises:
            UserError: If a package is missing.
        """

    def begin(self, told: LoggedRun) -> None:
        """A run begins, or goes on."""

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Numbers by tag, none of them NaN, after so many steps of the run."""

    def image(self, tag: str, png: bytes, step: int) -> None:
        """A figure, as the content of a PNG file."""

    def close(self, finished: bool) -> None:
        """The run has learned all its tasks, or ends before that."""
