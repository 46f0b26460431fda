"""Streams made on the spot: for tests, smoke runs and benchmarks."""

import gin
import numpy as np

from tfcl import randomness
from tfcl.data.preprocessing import Preprocessing
from tfcl.data.split import channel_statistics, standardised
from tfcl.data.task import Task, TaskStream
from tfcl.types import Folder


@gin.configurable(denylist=["data_dir"])
def synthetic_stream(
    class_counts: tuple = (2, 3, 2),
    image_shape: tuple = (8, 8, 3),
    train_size: int = 64,
    test_size: int = 64,
    batch_size: int = 16,
    noise: float = 20.0,
    data_seed: int = 0,
    data_dir: Folder | None = None,
) -> TaskStream:
    """Tasks of random patterns with pixel noise; easy to learn, tiny.

    Each class of each task is one random uint8 image; its examples are
    that image plus Gaussian noise.

    Args:
        class_counts: Classes of each task.
        image_shape: `(height, width, channels)`.
        train_size: Training examples per task; a quarter of it, at least one
            per class, is made for validation.
        test_size: Test examples per task.
        batch_size: Examples per training step over all replicas.
        noise: Standard deviation of the pixel noise, in grey levels.
        data_seed: Seed of patterns and noise.
        data_dir: Accepted like every stream's, not needed.
    """
    del data_dir
    tasks = []
    for index, count in enumerate(class_counts):
        generator = randomness.generator(data_seed, "synthetic", index)
        patterns = generator.integers(0, 256, (count, *image_shape))
        sizes = (train_size, max(train_size // 4, count), test_size)
        drawn = [_examples(generator, patterns, size, noise) for size in sizes]
        reference, _ = drawn[0]
        train, validation, test = (
            standardised(images, labels, reference) for images, labels in drawn
        )
        mean, std = channel_statistics(reference)
        tasks.append(
            Task(
                index=index,
                name=f"task_{index:02d}",
                class_names=tuple(f"pattern_{c}" for c in range(count)),
                train=train,
                validation=validation,
                test=test,
                preprocessing=Preprocessing(
                    tuple(image_shape),
                    tuple(float(v) for v in mean),
                    tuple(float(v) for v in std),
                ),
                earlier=tuple(tasks),
            )
        )
    return TaskStream("synthetic", tasks, batch_size)


def _examples(generator, patterns, size, noise):
    labels = np.arange(size, dtype=np.int32) % len(patterns)
    images = patterns[labels] + generator.normal(
        0.0, noise, (size, *patterns.shape[1:])
    )
    return np.clip(np.rint(images), 0, 255).astype(np.uint8), labels
