"""Tasks taken from a checkpoint of the published CPG program.

The way in is a binding of CPG. A run takes the file's tasks one after another
as if it had learned them: each claims its weights, is measured, banked and
noted in the journal, and gets its row of R. So `evaluate`, `predict`, `export`
and the report know nothing of where a task came from, a kill loses nothing,
and the stream may go on with tasks that the run then learns on top. A program
that wrote a run's folder by itself would have to repeat all of that, and a
start value of the backbone (as torchvision's) could not hold what tasks own.
"""

from __future__ import annotations

import typing

import gin
import keras
import numpy as np

from tfcl.arguments import PositiveFloat, checked
from tfcl.errors import UserError
from tfcl.files import local_path
from tfcl.layers.faces.verification_head import VerificationHead
from tfcl.methods.cpg.published_file import (
    Names,
    PublishedFile,
    in_keras_order,
)
from tfcl.methods.work import Decision
from tfcl.models.surgery.leading_block import block_of
from tfcl.models.width import Width
from tfcl.types import StartFile

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tfcl.data.task import Task
    from tfcl.methods.cpg.masked_network import MaskedNetwork


@gin.configurable
class PublishedCheckpoint:
    """A file of the published program, for `CPG.published`.

    For `cpg_vgg`, `cpg_resnet` and `spherenet`. PyTorch is not needed and
    nothing in the file is run. Kernels are turned from (out, in, height,
    width) to (height, width, in, out), rows over a flattened map from
    (channels, positions) to (positions, channels). Once its tasks are in the
    run, the file is not needed any more.

    Args:
        file: Path of the `.pth` file that holds all tasks: that of the last.
        tasks: The stream's first tasks, which are in the file, in the order in
            which they were learned there: the first is owner 1.
        names: `{task of the stream: its name in the file}` where they differ.
        widths: `{task of the stream: q}` of tasks whose width the file does
            not state.
        layers: `{layer of the file: layer of the backbone}`, for names that
            are not known.
        classifier: Name of a task's classifier; "{index}" stands for its place
            in `tasks`, from 0.
        masks, task_layers: Keys of the owners and of what tasks have for
            themselves; `picks`, `width`: in the latter, of scores and multiple
            of the channels.
        ignored: Names, or their beginnings, of what is no part of the network.

    Reference:
        Hung et al., NeurIPS 2019, and its program.
    """

    @checked
    def __init__(
        self,
        file: StartFile,
        tasks: Sequence[str],
        names: dict[str, str] | None = None,
        widths: dict[str, PositiveFloat] | None = None,
        layers: dict[str, str] | None = None,
        classifier: str = "classifiers.{index}",
        masks: str = "masks",
        task_layers: str = "shared_layer_info",
        picks: str = "piggymask",
        width: str = "network_width_multiplier",
        ignored: Sequence[str] = (),
    ):
        self.path = str(local_path(file, "PublishedCheckpoint.file"))
        self.tasks = tuple(tasks)
        self._in_file = {**dict(zip(tasks, tasks)), **(names or {})}
        self._widths = dict(widths or {})
        self._names = Names(
            masks,
            task_layers,
            picks,
            width,
            classifier,
            dict(layers or {}),
            tuple(ignored),
        )
        self._file: PublishedFile | None = None

    def check(self, task_names: Sequence[str]) -> None:
        """Raises UserError unless a stream begins with the file's tasks."""
        first = tuple(task_names[: len(self.tasks)])
        if first != self.tasks:
            raise UserError(
                "PublishedCheckpoint.tasks: the stream must begin with these "
                f"tasks, {', '.join(self.tasks)}, but it begins with "
                f"{', '.join(first)}. Order the stream's tasks as they were "
                "learned in the file, or correct `tasks`."
            )

    def phases(self, task: Task, method: MaskedNetwork, largest: float) -> Any:
        """Takes a task; a generator of work, as `Method.phases`.

        Args:
            task: `Task` of `tasks`, which the method has begun.
            method: The method.
            largest: See `width`.

        Returns:
            Notes for the bank: what the task is called in the file.
        """
        # Both look at the variables, which a resumed run restores only then.
        width = yield Decision(
            "published_width", lambda: self.width(task, method, largest)
        )
        if width["value"] != method.width:
            method.grow(width["value"], task)
        name = yield Decision("published", lambda: self.give(task, method))
        return {"published": name["value"]}

    def width(self, task: Task, method: MaskedNetwork, largest: float) -> float:
        """q of a task, with which its vectors have the lengths of the file.

        Args:
            task: `Task` of `tasks`.
            method: The method, set up.
            largest: The q up to which the network may grow.

        Raises:
            UserError: If there is no such q, or it is below that of the task
                before, or above `largest`.
        """
        file = self._opened(method)
        found = self._task(file, task, method)
        base = {
            owned.name: owned.variable.shape[-1]
            for owned in method.served.network(1.0).backbone_variables
        }
        lengths = [
            (base[name], array.size) for name, array in found.own.items()
        ]
        if task.name in self._widths:
            tried = [self._widths[task.name]]
        elif found.multiple is not None:
            # The paper counts parameters (q), its program channels (m).
            tried = [found.multiple**2, found.multiple]
        else:
            raise file.error(
                f"does not state the width of task '{task.name}' under "
                f"'{self._names.width}'. Say it by `widths`, as a multiple of "
                "the parameters"
            )
        for q in (round(q, 6) for q in tried):
            if all(Width(q)(units) == size for units, size in lengths):
                if method.width <= q <= largest:
                    return q
                raise file.error(
                    f"has task '{task.name}' at width {q:g}, which must be "
                    f"{method.width:g}, that of the task before, to "
                    f"{largest:g}, CPG.max_width. Set a larger one, or "
                    "correct the order of `tasks`"
                )
        raise file.error(
            f"has other sizes for task '{task.name}' than the backbone: with "
            f"the width {' or '.join(f'{q:g}' for q in tried)} it has "
            f"{_sizes(Width(round(tried[0], 6))(n) for n, _ in lengths)} "
            f"units, the file {_sizes(size for _, size in lengths)}. Choose "
            "the network that the file is of, or say the width by `widths`"
        )

    def give(self, task: Task, method: MaskedNetwork) -> str:
        """Gives a method that has begun a task the task's weights.

        Args:
            task: `Task` of `tasks`; those before it were given before.
            method: The method, at the width of the task.

        Returns:
            The task's name in the file, for the journal.

        Raises:
            UserError: If something does not fit, or earlier tasks came from
                another file.
        """
        file = self._opened(method)
        found = self._task(file, task, method)
        number = task.index + 1
        for layer in method.masked:
            self._give_kernel(file, found, layer, number, method)
        head = method.head
        own = {
            owned.name: owned.variable
            for owned in method.slot
            if not owned.name.endswith("/scores")
            and not owned.name.startswith(f"{head.name}/")
        }
        if set(own) != set(found.own):
            missing = sorted(set(own) ^ set(found.own))
            raise file.error(
                f"and the backbone differ in what task '{task.name}' has for "
                f"itself: {', '.join(missing[:4])} is in one of them alone. "
                "Choose the network that the file is of"
            )
        for name, variable in own.items():
            variable.assign(found.own[name].reshape(variable.shape))
        self._give_classifier(file, found, task, method)
        if task.name == self.tasks[-1]:
            self._file = None  # Gigabytes.
        return self._in_file[task.name]

    def _opened(self, method):
        if self._file is None:
            network = method.served.network(1.0)
            self._file = PublishedFile(
                self.path,
                self._names,
                network.backbone,
                method.served.positions,
                method.masked[0].threshold,
            )
            stated = self._file.task_names
            wanted = [self._in_file[name] for name in self.tasks]
            if stated is not None and stated[: len(wanted)] != wanted:
                raise self._file.error(
                    f"learned its tasks in the order {', '.join(stated)}, "
                    f"not {', '.join(wanted)}. Correct `tasks` or `names`"
                )
        return self._file

    def _task(self, file, task, method):
        found = file.task(self._in_file[task.name], task.index)
        if method.picks and task.index and found.picks is None:
            raise file.error(
                f"has no '{self._names.picks}' for task '{task.name}', so what "
                "it picks is unknown. Say by `picks` what the scores are "
                "called, or set CPG.picks = False for a network without them"
            )
        return found

    def _give_kernel(self, file, found, layer, number, method):
        """Weights and owners up to a task, and what it picks of them."""
        shape = tuple(layer.kernel.shape)
        positions = method.served.positions.get(f"{layer.name}/kernel", 1)

        def block(arrays, kind):
            array = arrays.get(layer.name)
            if array is None or not _holds(array.shape, shape, positions):
                has = "nothing" if array is None else f"shape {array.shape}"
                raise file.error(
                    f"has {has} as {kind} of layer '{layer.name}', which has "
                    f"{shape}. Choose the network that the file is of"
                )
            return block_of(array, shape, positions)

        whole = file.owners.get(layer.name, np.zeros(0))
        kernel, owner = (
            block(file.kernels, "kernel"),
            block(file.owners, "owners"),
        )
        outside = np.count_nonzero((whole > 0) & (whole <= number))
        if outside != np.count_nonzero((owner > 0) & (owner <= number)):
            raise file.error(
                f"has weights of task {number} or earlier ones in layer "
                f"'{layer.name}' beyond the width {method.width:g} of task "
                f"{number}. Correct `widths`, or the order of `tasks`"
            )
        owner = np.where((owner > 0) & (owner <= number), owner, 0)
        kernel = np.where(owner > 0, kernel, 0)
        self._compare_earlier(file, layer, number, kernel, owner)
        layer.kernel.assign(kernel)
        layer.owner.assign(owner)
        if layer.scores is not None:
            picks = np.ones(shape, bool)
            if number > 1:
                picks = block(found.picks, "picks")
            if not picks[owner == number].all():
                raise file.error(
                    f"has weights in layer '{layer.name}' that task {number} "
                    "owns and does not pick, which the program never leaves. "
                    "Correct the order of `tasks`, or CPG.threshold"
                )
            layer.scores.assign(np.where(picks, layer.initial_score, 0.0))

    def _compare_earlier(self, file, layer, number, kernel, owner):
        now = layer.owner.numpy()
        earlier = (now > 0) & (now < number)
        same = np.array_equal(earlier, (owner > 0) & (owner < number))
        if not same or not (
            np.array_equal(now[earlier], owner[earlier])
            and np.array_equal(layer.kernel.numpy()[earlier], kernel[earlier])
        ):
            raise file.error(
                f"differs in layer '{layer.name}' from what the run has of the "
                "tasks before. Put back the file that they came from"
            )

    def _give_classifier(self, file, found, task, method):
        head = method.head
        positions = _positions_below(method.network().backbone)
        angular = isinstance(head, VerificationHead) and head.verifies
        arrays = list(found.classifier)
        rows = head.kernels[0].shape[0]
        classes = task.num_classes
        if angular:
            units = head.embedding_units
            wanted = [(units, rows), (units,), (units, classes)]
            if arrays[-1].shape == (classes, units):
                arrays[-1] = arrays[-1].T
            variables = [
                head.embedding_kernel,
                head.embedding_bias,
                head.angular.kernel,
            ]
        else:
            wanted = [(classes, rows), (classes,)]
            variables = [head.kernels[0], head.biases[0]]
        shapes = [array.shape for array in arrays]
        if shapes != wanted or method.training.hidden_units:
            raise file.error(
                f"has a classifier of shapes {shapes} for task '{task.name}', "
                f"the run needs {wanted}, classes and features. Take the data "
                "set with the file's classes, and no "
                "`TaskTraining.hidden_units`"
            )
        kernel, *others = arrays
        for variable, array in zip(
            variables, [in_keras_order(kernel, positions), *others]
        ):
            value = variable.numpy()
            value[..., : array.shape[-1]] = array
            variable.assign(value)


def _holds(shape, block, positions):
    """Whether an array may have a leading block."""
    if len(shape) != len(block):
        return False
    if len(shape) == 2 and shape[0] % positions:
        return False
    sizes = [*shape[:-2], shape[-2] // positions, shape[-1]]
    wanted = [*block[:-2], block[-2] // positions, block[-1]]
    return sizes[:-2] == wanted[:-2] and all(
        n >= k for n, k in zip(sizes[-2:], wanted[-2:])
    )


def _positions_below(backbone):
    """Positions of the map that a classifier's rows are of; 1 if pooled."""
    last = backbone.layers[-1]
    if not isinstance(last, keras.layers.Flatten):
        return 1
    return int(np.prod(last.input.shape[1:-1], dtype=int))


def _sizes(sizes):
    found = [str(size) for size in sizes]
    return ", ".join(found[:4]) + (", ..." if len(found) > 4 else "")
