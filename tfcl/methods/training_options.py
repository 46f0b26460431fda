"""What every kind of training has: optimizer, rate, decay, augmentation."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tfcl.arguments import NonNegativeFloat, checked
from tfcl.data.augmentation import Compose, Draws
from tfcl.methods.base import Batch
from tfcl.optimizers.schedules import Clock


class TrainingOptions:
    """Base of `TaskTraining`, `HeadTraining` and `OnlineTraining`.

    Each of them names these arguments in its own constructor, with defaults of
    its own: that is where gin, and who reads a gin file, looks for them.

    Args:
        optimizer: Function without arguments to a Keras optimizer.
        schedule: Learning-rate schedule (`tfcl.optimizers.schedules`).
        weight_decay: lambda of `g + lambda W`, the gradient of
            `lambda / 2 ||W||^2`. Which variables feel it, a subclass says.
        augmentation: Random changes of training images, one after another
            (`tfcl.data.augmentation`).

    Raises:
        ValueError: If the decay is negative.
    """

    @checked
    def __init__(
        self,
        optimizer: Callable[[], keras.optimizers.Optimizer],
        schedule: Callable[[Clock], float],
        weight_decay: NonNegativeFloat = 0.0,
        augmentation: Sequence[Callable] = (),
    ):
        self.make_optimizer = optimizer
        self.schedule = schedule
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
