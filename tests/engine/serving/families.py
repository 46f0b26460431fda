"""A learned task of each family of networks, for the files of other programs.

`HAT` and `ProgNN` are not among them: their networks have layers that Keras
alone cannot load.
"""

import functools
import pathlib
import tempfile
import typing

import keras
import numpy as np

from tests.engine.serving import bundle_test, task_by_task_test
from tfcl.engine.serving.formats import pixels_to_probabilities
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.engine.serving.quantization import Examples, Measured
from tfcl.engine.storage.bank import BankedTask
from tfcl.testing import learned, undrawn_figures

_NAMES = (
    *("lasem", "darts", "shared", "tucker", "deconv"),
    *("spg", "cpg", "supsup", "den", "gating", "parallel", "norms"),
)
_METHODS: dict[str, typing.Callable] = {
    **{name: task_by_task_test._METHODS[name] for name in _NAMES},
    **{f"clr, {k}": make for k, make in bundle_test._METHODS.items()},
}
FAMILIES = tuple(_METHODS)
# Of layer and group norms and an exact GELU.
UNUSUAL = "clr, other layers"


class Family(typing.NamedTuple):
    """A task that a run has learned.

    Attributes:
        tasks: `LearnedTasks`.
        entry: `BankedTask` of one of them.
        model: Its network, from pixels to probabilities.
        images: Its test images, uint8 `(n, 8, 8, 3)`.
        examples: `Examples` of it.
    """

    tasks: LearnedTasks
    entry: BankedTask
    model: keras.Model
    images: np.ndarray
    examples: Examples


@functools.cache
def family(name: str) -> Family:
    """The one called `name`; learned once in a process."""
    make = _METHODS[name]
    with tempfile.TemporaryDirectory() as folder, undrawn_figures():
        place = pathlib.Path(folder) / "run"
        run = learned(place, make(), class_counts=(2, 3))
        # What is learned is in memory from here on.
        tasks, task = LearnedTasks(place, make()), run.stream.tasks[1]
        entry = tasks.find(task.name)
    return Family(
        tasks,
        entry,
        pixels_to_probabilities(tasks.method, entry),
        task.test.images,
        Examples(
            Measured(task.test.images, task.test.labels), task.train.images
        ),
    )
