"""Methods that train one network by plain gradient steps."""

from __future__ import annotations

import abc
import typing

import tensorflow as tf

from tfcl.arguments import require
from tfcl.methods.base import (
    Method,
    Update,
    mean_accuracy,
    trainable,
    values_of,
)
from tfcl.methods.feature_check import warn_of_blind_backbone
from tfcl.methods.frozen_layers import require_still
from tfcl.methods.protocols import SupportsEmbedding
from tfcl.methods.shared_weights import say_shared
from tfcl.methods.task_training import TaskTraining, training_of
from tfcl.methods.tensor_norms import trained_weights
from tfcl.models.variables import stored

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from typing import Any

    import keras

    from tfcl.data.task import StreamSpec, Task, TaskStream
    from tfcl.layers.task_head import TaskHead
    from tfcl.methods.base import Batch
    from tfcl.methods.tensor_norms import TensorNorms
    from tfcl.methods.work import Phases
    from tfcl.models.network import TaskNetwork
    from tfcl.models.variables import Owned
    from tfcl.types import Tensor, Values


def added(terms: Sequence[Tensor | None]) -> Tensor | None:
    """The sum of those terms that are not None; None without any."""
    found: list[Tensor] = [term for term in terms if term is not None]
    return sum(found) if found else None


class NetworkMethod(Method, SupportsEmbedding):
    """One network, one phase per task, one optimizer named "main".

    A subclass says which variables are shared and which belong to the slot.

    Args:
        training: `TaskTraining`; None makes one of `options`.
        **options: Arguments of `TaskTraining`.

    Raises:
        TypeError: If an option is no argument of `TaskTraining`.
        ValueError: If there is a `training` as well as options, or the method
            cannot learn by it.

    Attributes:
        seen_again: Whether the task in hand goes on from what it has learned
            at an earlier visit.
    """

    per_task = TaskTraining.per_task

    decays_weights = False
    """Whether the method knows `TaskTraining.weight_decay`."""

    begins_plain = False
    """Whether the backbone, set up, gives the features of its weights."""

    takes_losses = False
    """Whether every task may have a loss and head columns of its own."""

    keeps_shared = False
    """Whether finished tasks rely on `shared` variables never to change."""

    shared_in_training = True
    """Whether later tasks' steps call the backbone in training mode."""

    tensor_norms: TensorNorms | None = None
    """Optional `TensorNorms`: a penalty on `normed_weights()`."""

    _network: TaskNetwork

    def __init__(self, training: TaskTraining | None = None, **options: Any):
        super().__init__()
        training = training_of(training, options, type(self))
        require(
            self.decays_weights or not training.weight_decay,
            "TaskTraining.weight_decay",
            f"must be 0 for {type(self).__name__}, whose update has no decay",
            training.weight_decay,
        )
        require(
            self.takes_losses or not training.own_losses,
            "training",
            f"must be a plain TaskTraining for {type(self).__name__}, which "
            "knows cross-entropy alone",
            type(training).__name__,
        )
        self.training = training
        self.seen_again = False
        self._trained: list[Owned] = []

    def setup(self, spec: StreamSpec, seed: int) -> None:
        self.spec, self.seed = spec, seed
        backbone = self.make_backbone(spec)
        head = self.make_head(spec)
        self._network = self.training.network(backbone, head)
        self.divide(self._network)
        say_shared(self.name, backbone, self.slot)
        if self.keeps_shared:
            kept = [owned.variable for owned in self.shared]
            self.require_still(backbone, kept)
        self.state = self.random_state
        self.redraw(self.shared, "shared")
        self._trained = trainable(self.shared) + trainable(self.slot)
        self.build_optimizer(
            "main", self.training.make_optimizer(), self._trained
        )

    def require_still(
        self, backbone: keras.Model, kept: Sequence[keras.Variable]
    ) -> None:
        """Refuses layers that change `kept`; see `frozen_layers`."""
        shape, training = self.spec.image_shape, self.shared_in_training
        require_still(backbone, shape, kept, training, type(self).__name__)

    def check_stream(self, stream: TaskStream) -> None:
        if self.begins_plain and self.training.pretrained:
            warn_of_blind_backbone(self._network.backbone, stream)

    def make_backbone(self, spec: StreamSpec) -> keras.Model:
        """The backbone; a lifted backbone where a method has own layers."""
        return self.training.backbone(spec)

    def make_head(self, spec: StreamSpec) -> TaskHead:
        """The head."""
        return self.training.task_head(spec)

    @abc.abstractmethod
    def divide(self, network: TaskNetwork) -> None:
        """Sets `shared` and `slot` from the network's variables."""

    def begin_task(self, task: Task) -> None:
        self.seen_again = False
        self.redraw(self.slot, "slot", task.index)
        self.training.begin_task(self.head, task)
        self.reset_optimizers()

    def resume_task(self, task: Task, values: Values) -> None:
        self.seen_again = True
        super().resume_task(task, values)

    def phases(self, task: Task) -> Phases:
        yield self.training.phase()

    def train_step(self, batch: Batch) -> Update:
        return self.step_of(self._trained, batch)

    def step_of(
        self, owned: Sequence[Owned], batch: Batch, training: bool = True
    ) -> Update:
        """A gradient step of the variables `owned`.

        Args:
            owned: List of `Owned`.
            batch: `Batch`.
            training: Mode of the backbone's own layers.
        """
        variables = values_of(owned)
        with self.tape(batch) as tape:
            loss, logits = self.objective(batch, training)
        gradients = self.training.decayed(
            owned, tape.gradient(loss, variables), batch.replicas
        )
        return Update(
            loss=loss,
            metrics={"accuracy": mean_accuracy(batch, logits)},
            gradients=[("main", gradients, variables)],
        )

    def tape(self, batch: Batch) -> Any:
        """The `tf.GradientTape` of a step."""
        del batch
        return tf.GradientTape()

    def objective(
        self,
        batch: Batch,
        training: bool = True,
        features: Callable[..., Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """`loss_of` with this replica's part of the penalty."""
        loss, logits = self.loss_of(batch, training, features)
        penalty = self.penalty()
        if penalty is not None:
            loss += penalty / batch.replicas
        return loss, logits

    def loss_of(
        self,
        batch: Batch,
        training: bool = True,
        features: Callable[..., Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """This replica's part of the mean loss, and the logits.

        Args:
            batch: `Batch`.
            training: Mode of the backbone's own layers.
            features: Optional function to use in place of `features`, such as
                another forward function of the same layers.
        """
        _, hidden, mask = self.forward(batch, training, features)
        logits = self.training_logits(batch, hidden, mask)
        loss = self.training.loss(
            batch, logits, self.head, hidden, self.optimizers
        )
        return loss, logits

    def forward(
        self,
        batch: Batch,
        training: bool,
        features: Callable[..., Tensor] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Augmented images, their features, and the mask that drops some.

        Args: As of `loss_of`.
        """
        images = self.training.augmented(batch)
        hidden = (features or self.features)(images, training=training)
        mask = batch.dropout_mask(self.training.dropout, hidden.shape[-1])
        return images, hidden, mask

    def features(self, images: Tensor, training: bool) -> Tensor:
        """What the head sees in a training step."""
        return self._network.backbone(images, training=training)

    def training_logits(
        self, batch: Batch, features: Tensor, mask: Tensor | None
    ) -> Tensor:
        """Logits whose columns the labels of the batch count."""
        del batch
        return self.head(features, mask)

    def penalty(self) -> Tensor | None:
        """What training adds to the loss; a scalar or None."""
        norms = None
        if self.tensor_norms is not None:
            norms = self.tensor_norms(self.normed_weights())
        return added([self.backbone_penalty(), norms])

    def normed_weights(self) -> list[Tensor]:
        """The tensors that `tensor_norms` counts: what a task trains."""
        return trained_weights(self.slot, self.head)

    def backbone_penalty(self) -> Tensor | None:
        """The regularisers of the backbone's layers; a scalar or None."""
        return added(self._network.backbone.losses)

    def predict(self, images: Tensor) -> Tensor:
        return self._network(images, training=False)

    def embed(self, images: Tensor) -> Tensor:
        return self.network().embedding(images)

    def network(self) -> TaskNetwork:
        return self._network

    @property
    def random_state(self) -> list[keras.Variable]:
        return self._network.random_state

    @property
    def head(self) -> TaskHead:
        """The network's `TaskHead`."""
        return self._network.head

    def bank_values(self) -> Values:
        return self.head.trimmed(stored(self.slot))

    def left_out(self, values: Values) -> Collection[str]:
        return self.head.left_out(values)

    def activate(self, values: Values, task_index: int) -> None:
        super().activate(values, task_index)
        # A head may be wider today than when the task was learned.
        self.head.use_columns(values[f"{self.head.name}/columns"])
