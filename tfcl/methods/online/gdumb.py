"""GDumb: keeps a balanced sample and learns from that alone."""

from __future__ import annotations

import typing

import gin
import numpy as np
import tensorflow as tf

from tfcl.arguments import PositiveInt, checked
from tfcl.data.split import taken_from
from tfcl.errors import UserError
from tfcl.methods.base import Update
from tfcl.methods.online.online import OnlineLearning, ends_of_distributions
from tfcl.methods.work import Decision, Phase, Validate
from tfcl.replay.balanced import Balanced
from tfcl.replay.buffer import ReplayBuffer, check_replay

if typing.TYPE_CHECKING:
    from collections.abc import Callable

    from tfcl.data.split import Split
    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.base import Batch
    from tfcl.methods.online.online_training import OnlineTraining
    from tfcl.methods.work import Phases, Scan
    from tfcl.models.online.online_network import OnlineNetwork
    from tfcl.types import Values


@gin.configurable
class GDumb(OnlineLearning):
    """Greedy sampler and dumb learner.

    The stream only fills a buffer, by the policy `Balanced`. Whenever the
    network is measured it is drawn anew, with a fresh optimizer, and trained
    on the buffer.

    Args:
        network, training: See `OnlineLearning`.
        capacity: B, examples.
        batch_size: Examples per step of the training on the buffer.
        epochs: Of that training.

    Raises:
        ValueError: If the buffer is smaller than a batch.
        UserError: If a task comes again.

    Reference:
        Prabhu, Torr, Dokania, "GDumb: A Simple Approach that Questions Our
        Progress in Continual Learning", ECCV 2020.
    """

    needs_earlier_data = True

    @checked
    def __init__(
        self,
        network: Callable[..., OnlineNetwork] | None = None,
        training: OnlineTraining | None = None,
        capacity: PositiveInt = 200,
        batch_size: int = 20,
        epochs: PositiveInt = 10,
    ):
        super().__init__(network, training)
        check_replay(capacity, "batch_size", batch_size)
        self.capacity = capacity
        self.batch_size = batch_size
        self.epochs = epochs

    def setup(self, spec: StreamSpec, seed: int) -> None:
        super().setup(spec, seed)
        # It keeps numbers alone: a task's data stay at hand.
        self.sampler = Balanced()
        self.buffer = ReplayBuffer(self.capacity, self.sampler)
        self.buffer.build({}, spec.max_classes)
        self.state = [*self.state, *self.buffer.variables]

    def resume_task(self, task: Task, values: Values) -> None:
        raise UserError(
            f"GDumb learns every task once, but '{task.name}' comes again. "
            "Give a stream without repeats."
        )

    def phases(self, task: Task) -> Phases:
        ends = ends_of_distributions(task.train, self.training.measure_every)
        records, begin = [], 0
        # The buffer numbers the examples of all tasks one after another.
        seen = [t.train for t in (*task.earlier, task)]
        for end in ends:
            part = task.train.taken(np.arange(begin, end))
            yield self.filling(task, part, f"fill_{len(records)}")
            kept = yield Decision("buffer", self.sampler.kept)
            self.redraw(self.shared, "again", task.index, len(records))
            self.reset_optimizers()
            yield Phase(
                f"fit_{len(records)}",
                self.epochs,
                {"main": self.training.schedule},
                steps=(self.train_step,),
                data=taken_from(seen, kept["value"]),
                batch_size=self.batch_size,
                validate_every=0,
            )
            records.append((yield Validate("measure", self.measured(task))))
            begin = end
        self.note(records, task)

    def filling(self, task: Task, part: Split, name: str) -> Scan:
        """The `Scan` of a part of the stream that fills the buffer."""
        scan = self.scan(name, task, (len(part),), part)
        scan.steps, scan.measured = (self.fill_step,), {}
        return scan

    def fill_step(self, batch: Batch) -> Update:
        """Offers the batch to the buffer; trains nothing."""
        self.check_replicas(batch)
        draws = self.buffer.draws(tf.shape(batch.labels)[0], batch.seed)
        return Update(
            # NaN for an example that is not finite: it is refused when it
            # arrives, as by other methods.
            loss=0.0 * tf.reduce_sum(batch.images),
            metrics={"accuracy": tf.zeros(())},
            gradients=[],
            after_apply=self.buffer.insertion({"labels": batch.labels}, draws),
        )
