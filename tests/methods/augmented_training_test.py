"""Augmentation in training: per example, the same on any replicas."""

import numpy as np
import pytest
import tensorflow as tf

from tfcl import testing
from tfcl.data.augmentation import (
    BrightnessJitter,
    Compose,
    Draws,
    PadAndCrop,
    RandomFlip,
)
from tfcl.engine.resident import ResidentSplit
from tfcl.methods.base import Batch
from tfcl.methods.baselines.individual import Individual
from tfcl.methods.baselines.joint import Joint
from tfcl.methods.lasem.lasem import LASEM

_AUGMENTATION = (RandomFlip(), PadAndCrop(1))


def training(**kwargs):
    return testing.tiny_training(augmentation=_AUGMENTATION, **kwargs)


def test_individual_networks_learn_augmented_images(tmp_path):
    testing.run_method_test(
        lambda: Individual(training(epochs=20)), tmp_path, forgets=False
    )


@pytest.mark.parametrize("method", [Joint, LASEM])
def test_two_replicas_equal_one(method):
    testing.agrees_with_two_replicas(lambda: method(training()), (2, 2))


def begun(method, task=0):
    """The method at the beginning of a task, and the task."""
    stream = testing.tiny_stream((2, 2))()
    method.setup(stream.spec(), seed=0)
    method.begin_task(stream.tasks[task])
    return stream.tasks[task]


def batch_of(split, rows, seed=(1, 2)):
    resident = ResidentSplit(split.image_shape, split.images.dtype)
    resident.load(split)
    rows = tf.constant(list(rows))
    images, labels, groups, black, white = resident.gather(rows)
    return Batch(
        images=images,
        labels=labels,
        tasks=groups,
        black=black,
        positions=tf.range(len(rows)),
        size=tf.size(rows),
        step=tf.constant(0),
        seed=tf.constant(seed),
        replicas=1,
        sum_over_replicas=lambda value: value,
        white=white,
    )


def test_borders_are_black_in_the_unit_of_each_task():
    method = Joint(testing.tiny_training(augmentation=(PadAndCrop(8),)))
    task = begun(method, task=1)
    (phase,) = method.phases(task)
    rows = np.arange(0, len(phase.data), 8)
    groups = phase.data.groups[rows]
    assert set(groups) == {0, 1}
    batch = batch_of(phase.data, rows)
    found = method.training.augmented(batch).numpy()
    # Images of 8 x 8: a shift by 8 leaves the border alone.
    black = -phase.data.mean / phase.data.std
    assert not np.allclose(black[0], black[1])
    for group, image in zip(groups, found):
        corners = image[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert (np.abs(corners - black[group]).max(-1) < 1e-5).any()


def test_brightness_changes_in_the_unit_of_each_task():
    jitter = BrightnessJitter(0.9)
    method = Joint(testing.tiny_training(augmentation=(jitter,)))
    task = begun(method, task=1)
    (phase,) = method.phases(task)
    rows = np.arange(0, len(phase.data), 8)
    batch = batch_of(phase.data, rows)
    groups = phase.data.groups[rows]
    mean, std = (
        value[groups][:, None, None]
        for value in (phase.data.mean, phase.data.std)
    )
    before = batch.images.numpy() * std + mean
    after = method.training.augmented(batch).numpy() * std + mean
    # The draws of that step; pixels go from 0 to 1.
    draws = Draws(batch.seed, batch.positions, batch.size)
    factor = 0.1 + 1.8 * draws.uniform(1).numpy()[:, :, None, None]
    wanted = np.clip(before * factor, 0.0, 1.0)
    np.testing.assert_allclose(after, wanted, atol=1e-5)
    assert (wanted == 1.0).any() and set(groups) == {0, 1}


def test_changed_brightness_is_the_same_on_two_replicas():
    changes = (BrightnessJitter(), RandomFlip())
    testing.agrees_with_two_replicas(
        lambda: Joint(testing.tiny_training(augmentation=changes)), (2, 2)
    )


def test_a_second_look_at_a_batch_sees_the_same_images():
    method = Individual(training())
    task = begun(method)
    batch = batch_of(task.train, range(6))
    one, again = (method.training.augmented(batch) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, batch.images)
    later = batch_of(task.train, range(6), seed=(1, 3))
    other = method.training.augmented(later)
    assert not np.array_equal(one, other)


def test_predictions_see_images_as_they_are():
    plain = Individual(testing.tiny_training())
    changed = Individual(training())
    task = begun(plain)
    begun(changed)
    images = batch_of(task.test, range(5)).images
    np.testing.assert_array_equal(
        plain.predict(images), changed.predict(images)
    )
    losses = [
        method.loss_of(batch_of(task.train, range(5)))[0].numpy()
        for method in (plain, changed)
    ]
    assert losses[0] != losses[1]


def test_no_augmentation_leaves_images_untouched():
    method = Individual(testing.tiny_training())
    task = begun(method)
    batch = batch_of(task.train, range(5))
    assert method.training.augmented(batch) is batch.images


def test_only_functions_are_taken():
    with pytest.raises(ValueError, match="`augmentation` must be .*Callable"):
        testing.tiny_training(augmentation=("flip",))
    with pytest.raises(ValueError, match="`augmentations`.*RandomFlip"):
        Compose(["flip"])
