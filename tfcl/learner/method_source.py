"""Where a `Learner` has its method from: the program, or the run's folder."""

from __future__ import annotations

import abc
import contextlib
import copy
import typing

from tfcl import configuration
from tfcl.errors import UserError
from tfcl.learner.kept_stream import kept_stream
from tfcl.learner.kept_tasks import KeptTasks
from tfcl.learner.readings import Reading
from tfcl.learner.recipe import gin_text
from tfcl.learner.runs import explained, load_run, refuse_other
from tfcl.methods.base import Method

if typing.TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator, Sequence
    from typing import Any

    from tfcl.engine.storage.journal import Journal


class MethodSource(abc.ABC):
    """Makes a method anew for each time that a run is opened."""

    @contextlib.contextmanager
    def configured(self) -> Iterator[None]:
        """Methods are made, and work, while this is open."""
        yield

    def refuse_unused(self) -> None:
        """Refuses bindings of its own that have had no effect by now.

        Call it when the run is opened and before it starts.

        Raises:
            UserError: With the bindings.
        """

    @abc.abstractmethod
    def new(self) -> Method:
        """A `Method`, not set up."""

    @abc.abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Arguments of `Experiment` that are the method's and the seed's."""

    @abc.abstractmethod
    def text(self, batch_size: int) -> str:
        """The gin text of the run.

        Args:
            batch_size: Of the stream.
        """


class OfProgram(MethodSource):
    """A method that the program has made.

    Args:
        method: `Method`, never set up.
        seed: Of the run.
    """

    def __init__(self, method: Method, seed: int):
        if not isinstance(method, Method):
            raise UserError(
                "Argument `method` must be one of tfcl.methods, made with its "
                "arguments: CLR(backbone=...). Received: method="
                f"{getattr(method, '__name__', repr(method))}"
            )
        self._method = method
        self._seed = seed

    def new(self) -> Method:
        return copy.deepcopy(self._method)

    def arguments(self) -> dict[str, Any]:
        return {"method": self.new(), "seed": self._seed}

    def text(self, batch_size: int) -> str:
        return gin_text(
            self._method,
            {
                "Experiment.seed": self._seed,
                "Experiment.stream": f"@{kept_stream.__name__}",
                f"{kept_stream.__name__}.batch_size": batch_size,
            },
        )


class OfFolder(MethodSource):
    """The method that a run's `config.gin` tells.

    Args:
        model_dir: Folder of the run.
        bindings: gin bindings that come after those of the folder.
    """

    def __init__(self, model_dir: pathlib.Path, bindings: Sequence[str] = ()):
        self._model_dir = model_dir
        self._bindings = bindings
        with self.configured():  # It is there, and can be read.
            pass

    @contextlib.contextmanager
    def configured(self) -> Iterator[None]:
        with configuration.apart():
            load_run(self._model_dir, self._bindings)
            yield

    def refuse_unused(self) -> None:
        configuration.check_all_used(files=False)

    def new(self) -> Method:
        with explained():
            return configuration.build("Experiment.method")

    def arguments(self) -> dict[str, Any]:
        return {}  # Gin gives them.

    def text(self, batch_size: int) -> str:
        del batch_size  # The same as when the run was begun.
        return configuration.asked()


def refuse_other_method(
    source: MethodSource, model_dir: pathlib.Path, journal: Journal
) -> None:
    """Refuses a method that is not the run's, before their variables meet.

    Args:
        source: Of the method.
        model_dir: Folder of the run.
        journal: Of the run.

    Raises:
        UserError: With the differing bindings.
    """
    if not journal.bindings or isinstance(source, OfFolder):
        return
    kept = KeptTasks(model_dir).settings
    size = Reading.from_json(kept).batch_size if kept else 1
    now = configuration.parse_bindings(source.text(size))
    refuse_other(model_dir, journal.bindings, now)
