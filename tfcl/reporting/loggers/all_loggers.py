"""All loggers of a run, none of which can end it."""

from __future__ import annotations

import ast
import contextlib
import pathlib
import re
import typing
import uuid

from absl import logging

from tfcl.errors import UserError, printable
from tfcl.files import cannot, read_json, write_json
from tfcl.reporting.loggers.run_logger import LoggedRun, RunLogger

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any


_NAME, _RUN, _ENDED = "loggers.json", "run", "ended"
_ID = re.compile(r"[0-9a-f]{32}")


class Loggers:
    """Tells loggers of a run. One that fails is told no more.

    Args:
        loggers: `RunLogger` objects; there may be none.

    Raises:
        UserError: If one is no `RunLogger`, or lacks its package.
    """

    def __init__(self, loggers: Iterable[RunLogger]):
        self._loggers = tuple(loggers)
        self._file: tuple[pathlib.Path, str] | None = None
        for logger in self._loggers:
            if isinstance(logger, type) or not isinstance(logger, RunLogger):
                raise UserError(
                    "Argument `loggers` must hold objects such as WandbLogger"
                    "(); gin files write (@WandbLogger(),), with parentheses "
                    f"behind the name. Received: loggers={self._loggers!r}"
                )
            logger.load()

    def begin(
        self, folder: str | pathlib.Path, settings: Mapping[str, Any]
    ) -> bool:
        """A run begins or goes on.

        Args:
            folder: Of the run. `loggers.json` there keeps by what id loggers
                know it; a copy of a folder without it is another run.
            settings: See `LoggedRun`; gin's texts of numbers become numbers.

        Returns:
            Whether the run was killed while loggers were told of it: what
            they were told last they may have sent to no one.

        Raises:
            RunError: If the file cannot be written.
        """
        if not self._loggers:
            return False
        place = pathlib.Path(folder).absolute()
        path = place / _NAME
        known, killed = _kept(path)
        self._file = path, known or uuid.uuid4().hex
        try:
            # Before anyone is told: a kill must not make a second run of this.
            self._note(ended=False)
        except OSError as error:
            raise cannot(f"write {path}", error) from error
        run = LoggedRun(
            id=self._file[1],
            name=place.name,
            folder=place,
            settings={name: _plain(v) for name, v in settings.items()},
        )
        self._tell(lambda logger: logger.begin(run))
        return killed

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Tells numbers by tag."""
        if values:
            self._tell(lambda logger: logger.scalars(values, step))

    def image(self, tag: str, png: bytes, step: int) -> None:
        """Tells the content of a PNG file."""
        self._tell(lambda logger: logger.image(tag, png, step))

    def close(self, finished: bool) -> None:
        """Ends all of them; closing twice does nothing."""
        self._tell(lambda logger: logger.close(finished))
        self._loggers = ()
        if self._file is not None:
            with contextlib.suppress(OSError):  # It then counts as killed.
                self._note(ended=True)
            self._file = None

    def _note(self, ended):
        path, run = self._file
        write_json(path, {_RUN: run, _ENDED: ended})

    def _tell(self, tell: Callable[[RunLogger], None]):
        going = []
        for logger in self._loggers:
            try:
                tell(logger)
                going.append(logger)
            except Exception as error:  # Of packages and networks: any.
                reason = str(error).strip().partition("\n")[0]
                logging.warning(
                    "%s has failed (%s: %s). It is told no more by this start "
                    "of the run, which goes on.",
                    type(logger).__name__,
                    type(error).__name__,
                    printable(reason),
                )
        self._loggers = tuple(going)


def _kept(path):
    """The id in a file, None without one; and whether its run was killed."""
    try:
        found = read_json(path)
        if _ID.fullmatch(found[_RUN]):
            return found[_RUN], found[_ENDED] is not True
    except FileNotFoundError:
        return None, False
    except (OSError, ValueError, LookupError, TypeError):
        pass
    logging.warning("%s is damaged: loggers begin a new run.", path)
    return None, False


def _plain(value):
    """A value that services can sort by: the number in a text, or the text."""
    try:
        found = ast.literal_eval(value) if isinstance(value, str) else value
    except (ValueError, SyntaxError):
        return value
    return found if isinstance(found, str | bool | int | float) else str(value)
