"""How a method with one network and one training phase trains a task."""

import gin
import keras

from tfcl.data.augmentation import Compose, Draws
from tfcl.layers.fan_in_uniform import FanInUniform
from tfcl.layers.task_head import TaskHead
from tfcl.methods.base import require
from tfcl.methods.work import Phase
from tfcl.models.network import TaskNetwork
from tfcl.optimizers.rmsprop import RMSPropTF1

NORMAL, FAN_IN = "normal", "fan_in"


@gin.configurable
class TaskTraining:
    """Backbone, head and schedule shared by the LASEM line and references.

    Args:
        backbone: Function from `image_shape` to a functional Keras model
            that ends in features `(batch, features)`.
        hidden_units: Widths of the head's hidden layers.
        dropout: Share of features dropped in training, in [0, 1).
        epochs: Epochs per task.
        schedule: Learning-rate schedule (`tfcl.optimizers.schedules`).
        optimizer: Function without arguments to a Keras optimizer.
        head_stddev: Deviation of the head's normal start kernels.
        head_truncated: Whether they are truncated at two deviations.
        head_bias: Start value of the head's biases.
        head_start: "normal" is ruled by the three above; "fan_in" draws
            kernels and biases uniformly within `1 / sqrt(fan-in)`, as
            PyTorch's linear layers do, and the three do not count.
        pretrained: True starts from the backbone's weights, False draws new
            ones by its initializers.
        drop_remainder: Leave out the last, smaller batch of an epoch.
        validate_every: Epochs between validations.
        stop: Optional early-stopping rule.
        restore_best: Take the weights of the best validation accuracy.
        weight_decay: lambda of `g + lambda W`, the gradient of
            `lambda / 2 ||W||^2`, for the kernels of the backbone. Methods
            with updates of their own (LASEM, DARTS, DEN, ...) refuse it.
        augmentation: Random changes of training pictures, one after another
            (`tfcl.data.augmentation`).
    """

    def __init__(
        self,
        backbone=gin.REQUIRED,
        hidden_units: tuple = (64,),
        dropout: float = 0.5,
        epochs: int = gin.REQUIRED,
        schedule=gin.REQUIRED,
        optimizer=RMSPropTF1,
        head_stddev: float = 0.05,
        head_truncated: bool = True,
        head_bias: float = 0.2,
        head_start: str = NORMAL,
        pretrained: bool = False,
        drop_remainder: bool = True,
        validate_every: int = 1,
        stop=None,
        restore_best: bool = False,
        weight_decay: float = 0.0,
        augmentation: list | tuple = (),
    ):
        require(epochs >= 1, "epochs", "must be at least 1", epochs)
        require(
            0.0 <= dropout < 1.0, "dropout", "must lie in [0, 1)", dropout
        )
        require(
            validate_every >= 0,
            "validate_every",
            "must not be negative",
            validate_every,
        )
        require(
            weight_decay >= 0,
            "weight_decay",
            "must not be negative",
            weight_decay,
        )
        require(
            head_start in (NORMAL, FAN_IN),
            "head_start",
            "must be 'normal' or 'fan_in'",
            head_start,
        )
        self.make_backbone = backbone
        self.hidden_units = tuple(hidden_units)
        self.dropout = dropout
        self.epochs = epochs
        self.schedule = schedule
        self.make_optimizer = optimizer
        self.head_stddev = head_stddev
        self.head_truncated = head_truncated
        self.head_bias = head_bias
        self.head_start = head_start
        self.pretrained = pretrained
        self.drop_remainder = drop_remainder
        self.validate_every = validate_every
        self.stop = stop
        self.restore_best = restore_best
        self.weight_decay = weight_decay
        self.augmentation = tuple(augmentation)
        self._augment = Compose(self.augmentation)

    def backbone(self, spec, **options):
        """A new backbone for a stream; options such as `width` go to it."""
        return self.make_backbone(image_shape=spec.image_shape, **options)

    def head(self, max_classes, num_outputs=None):
        """A new head."""
        return TaskHead(
            max_classes,
            num_outputs,
            self.hidden_units,
            **self._head_initializers(),
            name="head",
        )

    def head_and_hidden_layers(self, max_classes):
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
        if self.head_start == FAN_IN:
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

    def network(self, trunk, head):
        """Trunk and head as a `TaskNetwork`."""
        return TaskNetwork(trunk, head, self.pretrained)

    def augmented(self, batch):
        """The pictures of a `Batch`, changed at random.

        The same batch gives the same pictures.
        """
        if not self.augmentation:
            return batch.images
        draws = Draws(batch.seed, batch.positions, batch.size)
        return self._augment(batch.images, draws, batch.black)

    def decayed(self, owned, gradients, replicas):
        """Gradients with the weight decay of the backbone's kernels.

        Args:
            owned: List of `Owned`, trained.
            gradients: Of each.
            replicas: Number of replicas that add their gradients up.
        """
        if not self.weight_decay:
            return gradients
        decay = self.weight_decay / replicas
        return [
            g + decay * v.variable.value if v.name.endswith("/kernel") else g
            for v, g in zip(owned, gradients)
        ]

    def phase(self, name="train", data=None):
        """The one training phase of a task."""
        return Phase(
            name=name,
            epochs=self.epochs,
            rates={"main": self.schedule},
            data=data,
            drop_remainder=self.drop_remainder,
            validate_every=self.validate_every,
            stop=self.stop,
            restore_best=self.restore_best,
        )
