"""What every kind of training has: optimizer, rate, decay, augmentation."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from tfcl.arguments import NonNegativeFloat, checked
from tfcl.data.augmentation import Compose, Draws
from tfcl.methods.base import Batch
from tfcl.optimizers.given_optimizer import OptimizerLike, maker_of, rate_of
from tfcl.optimizers.schedules import Constant, ScheduleLike, schedule_of


class TrainingOptions:
    """Base of `TaskTraining`, `HeadTraining` and `OnlineTraining`.

    Each of them names these arguments in its own constructor, with defaults of
    its own: that is where gin, and who reads a gin file, looks for them.

    Args:
        optimizer: Function without arguments to a Keras optimizer, a name of
            Keras such as "adam", or a `keras.optimizers.Optimizer`: a new one
            is made of its configuration wherever one is needed.
        schedule: Learning-rate schedule (`tfcl.optimizers.schedules`), or a
            number for a constant rate. None takes the rate that the optimizer
            is made with, constant.
        weight_decay: lambda of `g + lambda W`, the gradient of
            `lambda / 2 ||W||^2`. Which variables feel it, a subclass says.
        augmentation: Random changes of training images, one after another
            (`tfcl.data.augmentation`).

    Raises:
        ValueError: If the decay is negative, the optimizer has no name that
            Keras knows, or it has a schedule of Keras as its learning rate.

    Attributes:
        make_optimizer: Function without arguments to a new optimizer.
        schedule: Function from `Clock` to rate.
    """

    per_task: frozenset[str] = frozenset(
        ("optimizer", "schedule", "weight_decay", "augmentation")
    )
    """Arguments that may differ from task to task: no variable that lasts, and
    nothing learned, depends on them."""

    @checked
    def __init__(
        self,
        optimizer: OptimizerLike,
        schedule: ScheduleLike | None = None,
        weight_decay: NonNegativeFloat = 0.0,
        augmentation: Sequence[Callable] = (),
    ):
        self.make_optimizer = maker_of(optimizer)
        if schedule is None:
            schedule = Constant(rate_of(self.make_optimizer))
        self.schedule = schedule_of(schedule)
        self.weight_decay = weight_decay
        self.augmentation = tuple(augmentation)
        self._augment = Compose(self.augmentation)

    def augmented(self, batch: Batch) -> tf.Tensor:
        """The images of a `Batch`, changed at random.

        The same batch gives the same images.
        """
        if not self.augmentation:
            return batch.images
        draws = Draws(batch.seed, batch.positions, batch.size)
        return self._augment(batch.images, draws, batch.black, batch.white)

    def with_decay(
        self,
        gradient: tf.Tensor | tf.IndexedSlices,
        value: tf.Tensor | tf.Variable,
        replicas: int = 1,
    ) -> tf.Tensor:
        """`g + lambda W`, dense.

        Args:
            gradient: g; one of rows becomes dense, since all of W decays.
            value: W.
            replicas: Number of replicas that add their gradients up.
        """
        decay = self.weight_decay / replicas
        return tf.convert_to_tensor(gradient) + decay * value
