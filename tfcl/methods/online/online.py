"""Online learning: a network sees every example of a stream once."""

from __future__ import annotations

import functools
import typing

import gin
import numpy as np
import tensorflow as tf

from tfcl.arguments import checked
from tfcl.data.scenario import SCENARIOS
from tfcl.methods.base import (
    Method,
    Update,
    mean_accuracy,
)
from tfcl.methods.online.online_training import OnlineTraining
from tfcl.methods.protocols import PointMap, SupportsPointMaps
from tfcl.methods.work import Scan
from tfcl.metrics import continual_confusion
from tfcl.models.variables import restore, stored

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from tfcl.data.split import Split
    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.base import Batch
    from tfcl.methods.work import Phases
    from tfcl.models.online.online_network import OnlineNetwork
    from tfcl.types import Tensor, Values


_GRID = 203  # Points along a side of the plane: steps of 0.01.


def ends_of_distributions(split: Split, every: int = 1) -> tuple[int, ...]:
    """Example counts after which a distribution of a split has ended.

    Args:
        split: `Split` in the order of the stream; a distribution is a run of
            examples of one group.
        every: Take every k-th end, and the last.
    """
    assert split.groups is not None, "every `Split` has them"
    changes = np.flatnonzero(np.diff(split.groups)) + 1
    ends = [*changes.tolist(), len(split)]
    return tuple(sorted({*ends[every - 1 :: every], ends[-1]}))


def required_network(
    network: Callable[..., OnlineNetwork] | None, method: type
) -> Callable[..., OnlineNetwork]:
    """The network of an online method; raises ValueError if there is none."""
    if network is None:
        raise ValueError(
            "Argument `network` must be a function of image_shape and classes "
            "to an OnlineNetwork, such as functools.partial(mlp_network, "
            "hidden_units=100) with tfcl.models.mlp_network, or memory_network "
            f"for a MemoryDense. In a gin file: {method.__name__}.network = "
            "@mlp_network. Received: network=None"
        )
    return network


@gin.configurable
class OnlineLearning(Method, SupportsPointMaps):
    """A network that takes one gradient step per batch of the stream.

    The stream is one task; the groups of its splits are the distributions.
    The learner is not told when one ends: that is where it is measured. Of
    several tasks all train the same outputs.

    Args:
        network: Function of `image_shape` and `classes` to an
            `OnlineNetwork` (`tfcl.models.online.online_networks`).
        training: `OnlineTraining`; None makes one with its own defaults.

    Raises:
        ValueError: If there is no network. At set-up, if tasks differ in
            their number of classes.
    """

    scenarios = frozenset(SCENARIOS)
    _network: OnlineNetwork

    @checked
    def __init__(
        self,
        network: Callable[..., OnlineNetwork] | None = None,
        training: OnlineTraining | None = None,
    ):
        super().__init__()
        self.make_network = required_network(network, type(self))
        self.training = OnlineTraining() if training is None else training
        self._notes: dict[str, Any] = {}

    def setup(self, spec: StreamSpec, seed: int) -> None:
        if len(set(spec.class_counts)) > 1:
            raise ValueError(
                f"{type(self).__name__} has the same outputs for all tasks, so "
                "every task needs the same number of classes. Received: class "
                f"counts {spec.class_counts}. Make one stream of them: "
                "Experiment.stream = @online_stream."
            )
        self.spec, self.seed = spec, seed
        self._network = self.make_network(
            image_shape=spec.image_shape, classes=spec.max_classes
        )
        self.shared = self._network.owned
        self.redraw(self.shared, "shared")
        self.build_optimizer(
            "main", self.training.make_optimizer(), self._network.trained
        )
        # The optimizer, too, goes on from task to task.
        self.state = list(self.optimizers["main"].variables)

    def begin_task(self, task: Task) -> None:
        """Nothing: the learner does not know where tasks begin."""
        self._notes = {}

    def resume_task(self, task: Task, values: Values) -> None:
        del values
        self.begin_task(task)

    def phases(self, task: Task) -> Phases:
        ends = ends_of_distributions(task.train, self.training.measure_every)
        result = yield self.scan("stream", task, ends)
        self.note(result["validations"], task)

    def scan(
        self,
        name: str,
        task: Task,
        boundaries: tuple[int, ...],
        data: Split | None = None,
    ) -> Scan:
        """The `Scan` of a stream or a part of it."""
        return Scan(
            name,
            {"main": self.training.schedule},
            steps=(self.train_step,),
            data=data,
            batch_size=self.spec.batch_size,
            boundaries=boundaries,
            jit_compile=self.training.jit_compile,
            measured=self.measured(task),
        )

    def measured(self, task: Task) -> dict[str, Split]:
        """Splits whose distributions are measured, by name."""
        return {name: getattr(task, name) for name in self.training.measured}

    def note(self, records: Sequence[Mapping[str, Any]], task: Task) -> None:
        """Keeps what the measurements at all boundaries come to.

        Args:
            records: Dicts with `<split>/accuracies`, one per boundary.
            task: `Task`.
        """
        for name in self.training.measured:
            rows = np.array([r[f"{name}/accuracies"] for r in records])
            last = {f"distribution {k}": v for k, v in enumerate(rows[-1])}
            self._notes[f"{name}_accuracy_by_distribution"] = last
            metrics = self._metrics(rows)
            for metric, value in metrics.items():
                self._notes[f"{name}_{metric}"] = value

    def _metrics(self, rows):
        """Of the accuracies `(measurements, distributions)` of a split."""
        # A split may have fewer distributions than the stream.
        square = rows[: rows.shape[1]]
        whole = square.shape[0] == square.shape[1]
        every = self.training.measure_every == 1
        if every and whole and np.isfinite(square).all():
            return continual_confusion.summarise(square)
        known = rows[-1][np.isfinite(rows[-1])]
        return {
            "average_accuracy": float(known.mean()),
            "left_out": "forgetting and transfers: they need every "
            "distribution measured after each (measure_every = 1)",
        }

    def train_step(self, batch: Batch) -> Update:
        self.check_replicas(batch)
        network = self._network
        loss, logits, gradients, after = self.learn(batch, network.values())

        def own_update():
            values = network.values()
            network.assign(values, after(values))

        return self.update(batch, loss, logits, gradients, own_update)

    def learn(self, batch: Batch, values: Sequence[Tensor]) -> Any:
        """The network's `learn` of the batch itself."""
        return self._network.learn(
            values,
            batch.images,
            lambda logits: self.training.loss(batch.labels, logits),
            batch.seed,
        )

    def update(
        self,
        batch: Batch,
        loss: Tensor,
        logits: Tensor,
        gradients: Sequence[Tensor],
        before_apply: Callable[[], None],
        after_apply: Callable[..., None] | None = None,
    ) -> Update:
        """The `Update` of a step.

        Args:
            batch: `Batch`.
            loss, logits: Of the batch.
            gradients: Of the trained variables.
            before_apply, after_apply: See `Update`.
        """
        return Update(
            loss=tf.cast(loss, tf.float32),
            metrics={"accuracy": mean_accuracy(batch, logits)},
            gradients=[("main", gradients, self._network.variables)],
            before_apply=before_apply,
            transform_gradients=self.training.decayed,
            after_apply=after_apply,
        )

    def check_replicas(self, batch: Batch) -> None:
        """Raises ValueError on several replicas."""
        if batch.replicas > 1:
            raise ValueError(
                f"{type(self).__name__} learns example by example, each step "
                "from the last: run it on one replica (--distribution=none). "
                f"Received: {batch.replicas} replicas"
            )

    def predict(self, images: Tensor) -> Tensor:
        return tf.cast(self._network(images), tf.float32)

    def network(self) -> OnlineNetwork:
        return self._network

    def bank_notes(self) -> dict[str, Any]:
        return self._notes

    def point_maps(self, task: Task) -> list[PointMap]:
        """Of a stream of points: regions before and after training."""
        if tuple(self.spec.image_shape) != (1, 1, 2):
            return []
        images = task.train.images
        assert isinstance(images, np.ndarray), "points are in memory"
        points = images.reshape(-1, 2)
        draw = functools.partial(
            PointMap, points=points, labels=task.train.labels
        )
        after, keys = self._regions(), self.plane_keys()
        learned = stored(self.shared)
        self.redraw(self.shared, "shared")
        before, first_keys = self._regions(), self.plane_keys()
        restore(self.shared, learned)
        maps = [
            draw(
                "regions_before",
                "before training",
                regions=before,
                keys=first_keys,
            ),
            draw("regions_after", "after training", regions=after),
        ]
        if keys is not None:
            length = np.linalg.norm(points, axis=1, keepdims=True)
            unit = points / np.maximum(length, 1e-12)
            maps += [
                draw(
                    "regions_and_keys",
                    "after training, with keys",
                    regions=after,
                    keys=keys,
                ),
                draw(
                    "unit_length_and_keys",
                    "data of unit length, with keys",
                    keys=keys,
                )._replace(points=unit),
            ]
        return maps

    def plane_keys(self) -> np.ndarray | None:
        """Keys in the plane of the points, `(k, 2)`, or None without any."""
        heads = self._network.memory_heads
        keys = [h.keys.numpy() for h in heads if h.keys.shape[-1] == 2]
        return (
            np.concatenate([k.reshape(-1, 2) for k in keys]) if keys else None
        )

    def _regions(self):
        places = np.linspace(-1.01, 1.01, _GRID, dtype=np.float32)
        x, y = np.meshgrid(places, places)
        points = np.stack([x, y], axis=-1).reshape(-1, 1, 1, 2)
        found = np.argmax(self.predict(tf.constant(points)), axis=-1)
        return found.reshape(_GRID, _GRID)
