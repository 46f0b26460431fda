"""What the methods that prompt a frozen transformer have in common."""

from __future__ import annotations

import abc
import typing

import keras
import numpy as np
import tensorflow as tf

from tfcl.arguments import NonNegativeFloat, checked
from tfcl.data.scenario import CLASS
from tfcl.methods.base import Update, mean_accuracy, values_of
from tfcl.methods.shared_backbone import SharedBackboneMethod
from tfcl.models.surgery.prompted import attention_layers
from tfcl.models.surgery.rewire import inlined
from tfcl.models.variables import owned_variables, statistic

if typing.TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.base import Batch
    from tfcl.methods.task_training import TaskTraining
    from tfcl.methods.work import Phases
    from tfcl.models.network import TaskNetwork
    from tfcl.models.variables import Owned
    from tfcl.types import Tensor, Values


class PromptMethod(SharedBackboneMethod):
    """A frozen vision transformer that is run twice for every image.

    The first run, plain, gives the query q(x); by the keys that are near to
    it the second gets its prompts. Prompts, keys and head are all that is
    trained; a transformer that comes without weights is trained along with
    them on the first task, then frozen. The loss is `CE + pull * sum
    (1 - cos(q(x), k))` over the keys k of the prompts that an image got; where
    classes come with the tasks, CE is over those of the task alone.

    Args:
        training: `TaskTraining`; its backbone must be a `vit`.
        pull: lambda, how much keys are drawn to the queries.
        heads: As of `SharedBackboneMethod`.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Raises:
        ValueError: If an argument breaks its rule or, at set-up, the backbone
            is no vision transformer.
    """

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        pull: NonNegativeFloat = 1.0,
        heads: str | None = None,
        **options: Any,
    ):
        super().__init__(training, heads, **options)
        self.pull = pull

    @abc.abstractmethod
    def prompted(self, model: keras.Model) -> tuple[Tensor, Tensor]:
        """Features of the second run, and cosines of queries and keys.

        Args:
            model: The transformer, without inner models; its output is the
                query.

        Returns:
            Symbolic `(batch, width)` and `(batch, keys)`.
        """

    @abc.abstractmethod
    def distances(self, cosines: Tensor) -> Tensor:
        """`sum (1 - cosine)` over the keys that images get in training, `(b,)`.

        Args:
            cosines: Of queries and all keys, `(b, keys)`.
        """

    def make_backbone(self, spec: StreamSpec) -> keras.Model:
        model = inlined(super().make_backbone(spec))
        attention_layers(model)  # Refuses others.
        # A pretrained one gets no gradients, and no optimizer state.
        model.trainable = not self.training.pretrained
        self._frozen = {id(variable) for variable in model.weights}
        features, cosines = self.prompted(model)
        self._both = keras.Model(model.input, [features, cosines])
        return keras.Model(model.input, features, name=model.name)

    def divide(self, network: TaskNetwork) -> None:
        # Whatever the transformer starts from, all else is drawn.
        drawn = {
            id(owned.variable): owned
            for owned in owned_variables(network.backbone)
            if id(owned.variable) not in self._frozen
        }
        network.backbone_variables = [
            drawn.get(id(owned.variable), owned)
            for owned in network.backbone_variables
        ]
        super().divide(network)

    def setup(self, spec: StreamSpec, seed: int) -> None:
        super().setup(spec, seed)
        self._own = statistic(np.ones(spec.max_classes), "own_classes")
        self.state = [*self.state, self._own]

    @property
    def task_state(self) -> list[keras.Variable]:
        return [self._own]

    def begin_task(self, task: Task) -> None:
        super().begin_task(task)
        self.prepare(task)

    def resume_task(self, task: Task, values: Values) -> None:
        super().resume_task(task, values)
        self.prepare(task)

    def prepare(self, task: Task) -> None:
        """Sets what the task is trained with, also if it is seen again."""
        places = np.arange(self.spec.max_classes)
        first, end = 0, len(places)
        if self.spec.scenario == CLASS:
            before = [t for t in task.earlier if t.index < task.index]
            first = self.classes_of(before)
            end = self.classes_of([*before, task])
        self._own.assign((first <= places) & (places < end))

    def phases(self, task: Task) -> Phases:
        phase = self.training.phase()
        # All that was learned, this task too, depends on the transformer.
        if task.earlier or self.seen_again or self.training.pretrained:
            phase.steps = (self.prompt_step,)
        yield phase

    def prompt_step(self, batch: Batch) -> Update:
        """Like `train_step`, but the transformer is frozen."""
        frozen = self._frozen
        owned = [v for v in self._trained if id(v.variable) not in frozen]
        return self.step_of(owned, batch)

    def step_of(
        self, owned: Sequence[Owned], batch: Batch, training: bool = True
    ) -> Update:
        variables = values_of(owned)
        with tf.GradientTape() as tape:
            images = self.training.augmented(batch)
            features, cosines = self._both(images, training=training)
            mask = batch.dropout_mask(self.training.dropout, features.shape[-1])
            logits = self.training_logits(batch, features, mask)
            loss = self.training.loss(
                batch, logits, self.head, features, self.optimizers
            )
            distances = tf.reduce_sum(self.distances(cosines))
            loss += self.pull * distances / tf.cast(batch.size, tf.float32)
        return Update(
            loss=loss,
            metrics={"accuracy": mean_accuracy(batch, logits)},
            gradients=[("main", tape.gradient(loss, variables), variables)],
            after_apply=self.noted(batch, cosines),
        )

    def training_logits(
        self, batch: Batch, features: Tensor, mask: Tensor | None
    ) -> Tensor:
        logits = super().training_logits(batch, features, mask)
        return tf.where(self._own > 0.0, logits, -1e9)

    def noted(self, batch: Batch, cosines: Tensor) -> Any:
        """What a step notes when it is applied, see `Update.after_apply`."""
        del batch, cosines
