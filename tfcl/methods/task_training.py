"""How a method with one network and one training phase trains a task."""

from __future__ import annotations

import difflib
import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import gin
import keras
import tensorflow as tf

from tfcl.arguments import (
    NonNegativeInt,
    PositiveInt,
    checked,
    one_of,
    require,
    within,
)
from tfcl.layers.fan_in_uniform import FanInUniform
from tfcl.layers.task_head import TaskHead
from tfcl.methods.base import cross_entropy
from tfcl.methods.training_options import TrainingOptions
from tfcl.methods.work import ACCURACY, AS_THE_RUN, Phase
from tfcl.models.backbones.given_model import backbone_function
from tfcl.models.empty_maps import refuse_empty_maps
from tfcl.models.layer_names import with_own_names
from tfcl.models.network import TaskNetwork
from tfcl.models.start_weights import starts_from_its_weights
from tfcl.optimizers.given_optimizer import OptimizerLike
from tfcl.optimizers.rmsprop import RMSPropTF1
from tfcl.optimizers.schedules import ScheduleLike

if typing.TYPE_CHECKING:
    from collections.abc import Mapping

    from tfcl.data.split import Split
    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.base import Batch
    from tfcl.models.variables import Owned
    from tfcl.types import Tensor


NORMAL = "normal"
FAN_IN_UNIFORM = "fan_in_uniform"


@gin.configurable
class TaskTraining(TrainingOptions):
    """Backbone, head and schedule shared by the LASEM line and references.

    Args:
        backbone: Function from `image_shape` to a functional Keras model
            that ends in features `(batch, features)`; or a functional or
            sequential `keras.Model`, of which copies are made, see
            `GivenModel`.
        hidden_units: Widths of the head's hidden layers.
        dropout: Share of features dropped in training, in [0, 1).
        epochs: Epochs per task, 20 unless told otherwise.
        schedule: Learning-rate schedule (`tfcl.optimizers.schedules`), or a
            number for a constant rate. None takes the rate that the optimizer
            is made with, constant: 0.001 for the default one.
        optimizer: Function without arguments to a Keras optimizer, a name of
            Keras such as "adam", or a `keras.optimizers.Optimizer`; see
            `TrainingOptions`.
        head_start: "normal" draws the head's start kernels and biases as the
            next three say; "fan_in_uniform" as PyTorch does
            (`tfcl.layers.fan_in_uniform`).
        head_stddev: Deviation of the head's normal start kernels.
        head_truncated: Whether they are truncated at two deviations.
        head_bias: Start value of the head's biases.
        pretrained: True starts from the backbone's weights, False draws new
            ones by its initializers. None starts from its weights if it
            comes with some: out of a file, a download, or a user's function.
            A line of the log says what was done.
        drop_remainder: Leave out the last, smaller batch of an epoch.
        validate_every: Epochs between validations.
        stop: Optional early-stopping rule.
        restore_best: Take the weights of the best epoch.
        shuffle: A new order of the examples every epoch, or the stored one.
        best_by: What is best, see `Phase`.
        validation_batch_size: Examples per batch of the validation, where
            schedules ask for "validation/batch_losses"; see `Phase`.
        on_nonfinite: "run" or "restore", see `Phase`.
        weight_decay: lambda of `g + lambda W`, the gradient of
            `lambda / 2 ||W||^2`, for the kernels of the backbone. Methods
            with updates of their own (LASEM, DARTS, DEN, ...) refuse it.
        augmentation: Random changes of training images, one after another
            (`tfcl.data.augmentation`).

    Raises:
        ValueError: If there is no backbone, or an argument breaks its rule.
    """

    own_losses = False
    """Whether some tasks have another loss than cross-entropy."""

    @checked
    def __init__(
        self,
        backbone: Callable[..., Any] | None = None,
        hidden_units: Sequence[int] = (64,),
        dropout: Annotated[float, within("[0, 1)")] = 0.5,
        epochs: PositiveInt = 20,
        schedule: ScheduleLike | None = None,
        optimizer: OptimizerLike = RMSPropTF1,
        head_start: Annotated[str, one_of(NORMAL, FAN_IN_UNIFORM)] = NORMAL,
        head_stddev: float = 0.05,
        head_truncated: bool = True,
        head_bias: float = 0.2,
        pretrained: bool | None = None,
        drop_remainder: bool = True,
        validate_every: NonNegativeInt = 1,
        stop: Callable[..., Any] | None = None,
        restore_best: bool = False,
        shuffle: bool = True,
        best_by: str = ACCURACY,
        validation_batch_size: int | None = None,
        on_nonfinite: str = AS_THE_RUN,
        weight_decay: float = 0.0,
        augmentation: list | tuple = (),
    ):
        super().__init__(optimizer, schedule, weight_decay, augmentation)
        self.make_backbone = backbone_function(backbone, "TaskTraining")
        self.hidden_units = tuple(hidden_units)
        self.dropout = dropout
        self.epochs = epochs
        self.head_start = head_start
        self.head_stddev = head_stddev
        self.head_truncated = head_truncated
        self.head_bias = head_bias
        # True or False as soon as there is a backbone.
        self.pretrained = self._asked_pretrained = pretrained
        self.drop_remainder = drop_remainder
        self.validate_every = validate_every
        self.stop = stop
        self.restore_best = restore_best
        self.shuffle = shuffle
        self.best_by = best_by
        self.validation_batch_size = validation_batch_size
        self.on_nonfinite = on_nonfinite
        self.phase()  # Raises what it cannot be.

    def backbone(self, spec: StreamSpec, **options) -> keras.Model:
        """A new backbone for a stream; options such as `width` go to it."""
        model = with_own_names(
            self.make_backbone, image_shape=spec.image_shape, **options
        )
        refuse_empty_maps(model)
        self.pretrained = starts_from_its_weights(
            model, self._asked_pretrained, "TaskTraining.pretrained"
        )
        return model

    def head(
        self, max_classes: int, num_outputs: int | None = None
    ) -> TaskHead:
        """A new head."""
        return TaskHead(
            max_classes,
            num_outputs,
            self.hidden_units,
            **self._head_initializers(),
            name="head",
        )

    def task_head(self, spec: StreamSpec) -> TaskHead:
        """A new head for the tasks of a stream."""
        return self.head(spec.max_classes)

    def begin_task(self, head: TaskHead, task: Task) -> None:
        """Prepares a head of `task_head` for a task."""
        head.use_columns(range(task.num_classes))

    def loss(
        self,
        batch: Batch,
        logits: Tensor,
        head: TaskHead,
        features: Tensor,
        optimizers: Mapping[str, keras.Optimizer],
    ) -> Tensor:
        """This replica's part of a batch's mean loss.

        Args:
            batch: `Batch`.
            logits: What the head gave.
            head: The head.
            features: What it got, `(b, features)`.
            optimizers: Those of the method; "main" counts the steps.
        """
        del head, features, optimizers
        losses = cross_entropy(batch.labels, logits)
        return tf.reduce_sum(losses) / tf.cast(batch.size, tf.float32)

    def head_and_hidden_layers(
        self, max_classes: int
    ) -> tuple[TaskHead, list[keras.layers.Dense]]:
        """The head as an output layer alone, and its hidden layers as such.

        Returns:
            A `TaskHead` without hidden layers, and a list of
            `keras.layers.Dense` with ReLU, not built.

        Raises:
            ValueError: If there are hidden layers and `head_start` is not
                "normal".
        """
        require(
            not self.hidden_units or self.head_start == NORMAL,
            "head_start",
            "must be 'normal' for a method that has the hidden layers apart",
            self.head_start,
        )
        hidden = [
            keras.layers.Dense(
                units,
                activation="relu",
                **self._head_initializers(),
                name=f"hidden_{depth}",
            )
            for depth, units in enumerate(self.hidden_units)
        ]
        head = TaskHead(max_classes, **self._head_initializers(), name="head")
        return head, hidden

    def _head_initializers(self):
        if self.head_start == FAN_IN_UNIFORM:
            return {
                "kernel_initializer": FanInUniform(),
                "bias_initializer": FanInUniform(),
            }
        normal = keras.initializers.RandomNormal
        if self.head_truncated:
            normal = keras.initializers.TruncatedNormal
        return {
            "kernel_initializer": normal(stddev=self.head_stddev),
            "bias_initializer": keras.initializers.Constant(self.head_bias),
        }

    def network(self, backbone: keras.Model, head: TaskHead) -> TaskNetwork:
        """Backbone and head as a `TaskNetwork`."""
        return TaskNetwork(backbone, head, bool(self.pretrained))

    def decayed(
        self, owned: Sequence[Owned], gradients: Sequence[Tensor], replicas: int
    ) -> Sequence[Tensor]:
        """Gradients with the weight decay of the backbone's kernels.

        Args:
            owned: List of `Owned`, trained.
            gradients: Of each.
            replicas: Number of replicas that add their gradients up.
        """
        if not self.weight_decay:
            return gradients
        return [
            self.with_decay(g, v.variable.value, replicas)
            if v.name.endswith("/kernel")
            else g
            for v, g in zip(owned, gradients)
        ]

    def phase(self, name: str = "train", data: Split | None = None) -> Phase:
        """The one training phase of a task."""
        return Phase(
            name=name,
            epochs=self.epochs,
            rates={"main": self.schedule},
            data=data,
            shuffle=self.shuffle,
            drop_remainder=self.drop_remainder,
            validate_every=self.validate_every,
            stop=self.stop,
            restore_best=self.restore_best,
            best_by=self.best_by,
            validation_batch_size=self.validation_batch_size,
            on_nonfinite=self.on_nonfinite,
        )


def training_of(
    training: TaskTraining | None, options: Mapping[str, Any], method: type
) -> TaskTraining:
    """The `TaskTraining` of a method, as given or made of its options.

    Args:
        training: As given.
        options: Arguments of `TaskTraining` that the method was given.
        method: Its class, for messages.

    Raises:
        TypeError: If an option is no argument of `TaskTraining`.
        ValueError: If there are both, or the options break a rule of
            `TaskTraining`.
    """
    _refuse_unknown(options, method)
    if training is None:
        return TaskTraining(**options)
    if not isinstance(training, TaskTraining):
        raise ValueError(
            f"Argument `training` of {method.__name__} must be a TaskTraining; "
            f"a backbone is given as {method.__name__}(backbone=...). "
            f"Received: training={training!r}"
        )
    if options:
        listed = ", ".join(f"{key}={options[key]!r}" for key in options)
        raise ValueError(
            "Arguments of TaskTraining belong into the one that is given as "
            f"`training`: {method.__name__}(TaskTraining(..., "
            f"{next(iter(options))}=...)). Received: `training`, and {listed}"
        )
    return training


def _refuse_unknown(options, method):
    known = list(inspect.signature(TaskTraining).parameters)
    unknown = [name for name in options if name not in known]
    if not unknown:
        return
    own = [
        each.name
        for each in inspect.signature(method).parameters.values()
        if each.kind is not each.VAR_KEYWORD
    ]
    close = difflib.get_close_matches(unknown[0], [*own, *known], n=1)
    advice = f" Did you mean {close[0]!r}?" if close else ""
    raise TypeError(
        f"{method.__name__} has no argument {unknown[0]!r}.{advice} "
        f"Arguments of {method.__name__}: {', '.join(own)}; and of "
        f"TaskTraining: {', '.join(known)}."
    )
