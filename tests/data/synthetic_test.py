"""The streams that tests and smoke runs live on."""

import numpy as np
import pytest

from tfcl.data.split import channel_statistics
from tfcl.data.synthetic import synthetic_stream


def _pixels(split):
    return split.images.astype(np.float64).reshape(len(split), -1)


def test_has_the_tasks_classes_and_sizes_asked_for():
    stream = synthetic_stream(
        class_counts=(2, 5),
        image_shape=(6, 7, 1),
        train_size=40,
        test_size=30,
        batch_size=10,
    )
    spec = stream.spec()
    assert spec.class_counts == (2, 5)
    assert spec.image_shape == (6, 7, 1)
    assert spec.task_names == ("task_00", "task_01")
    assert spec.batch_size == 10
    for task in stream:
        sizes = [len(s) for s in (task.train, task.validation, task.test)]
        assert sizes == [40, 10, 30]
        assert task.train.images.dtype == np.uint8


def test_every_class_is_in_every_split():
    (task,) = synthetic_stream(
        class_counts=(7,), train_size=8, test_size=7, batch_size=1
    )
    for split in (task.train, task.validation, task.test):
        assert set(split.labels) == set(range(7))


def test_one_seed_gives_the_same_bits_and_another_others():
    def prints(**kwargs):
        return [t.fingerprint() for t in synthetic_stream(**kwargs)]

    assert prints(data_seed=1) == prints(data_seed=1)
    assert not set(prints(data_seed=1)) & set(prints(data_seed=2))


def test_a_task_does_not_depend_on_those_after_it():
    short = synthetic_stream(class_counts=(2, 3))
    long = synthetic_stream(class_counts=(2, 3, 4))
    for one, other in zip(short, long):
        assert one.fingerprint() == other.fingerprint()


def test_examples_are_their_class_s_pattern_with_the_noise_asked_for():
    (task,) = synthetic_stream(
        class_counts=(3,), train_size=600, noise=5.0, image_shape=(8, 8, 3)
    )
    pixels = _pixels(task.train)
    for label in range(3):
        mine = pixels[task.train.labels == label]
        # Where no example is cut off at black or white.
        inside = (mine.min(0) > 0) & (mine.max(0) < 255)
        np.testing.assert_allclose(mine[:, inside].std(0).mean(), 5.0, rtol=0.1)


def test_without_noise_a_class_is_one_image():
    (task,) = synthetic_stream(class_counts=(2,), noise=0.0)
    for split in (task.train, task.validation, task.test):
        assert len(np.unique(_pixels(split), axis=0)) == 2


def test_is_easy_the_nearest_mean_tells_the_classes_apart():
    for task in synthetic_stream():
        train, test = _pixels(task.train), _pixels(task.test)
        means = np.stack(
            [
                train[task.train.labels == c].mean(0)
                for c in range(task.num_classes)
            ]
        )
        distances = ((test[:, None] - means) ** 2).sum(-1)
        assert (distances.argmin(1) == task.test.labels).all()


def test_splits_are_different_images():
    for task in synthetic_stream():
        rows = [
            image.tobytes()
            for split in (task.train, task.validation, task.test)
            for image in split.images
        ]
        assert len(set(rows)) == len(rows)


def test_all_splits_are_standardised_by_the_training_images():
    for task in synthetic_stream():
        mean, std = channel_statistics(task.train.images)
        for split in (task.train, task.validation, task.test):
            np.testing.assert_array_equal(split.mean[0], mean)
            np.testing.assert_array_equal(split.std[0], std)
        assert np.float32(task.preprocessing.mean).tolist() == mean.tolist()
        assert task.preprocessing.image_shape == task.train.image_shape


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class_counts": (2, 1)}, "'task_01': a task needs at least two"),
        ({"class_counts": ()}, "no task"),
    ],
)
def test_what_could_not_be_learned_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        synthetic_stream(**change)
