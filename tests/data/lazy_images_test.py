"""Images that are decoded when asked for, alone and joined."""

import numpy as np
import pytest

from tests.engine.streaming_test import Source
from tfcl.data import lazy_images
from tfcl.data.split import Split, channel_statistics, joined


def _images(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 4, 5, 3), np.uint8)


def _lazy(images):
    return lazy_images.LazyImages(Source(images), np.arange(len(images)))


@pytest.mark.parametrize(
    "rows", [slice(None), slice(1, 3), np.array([4, 0, 4]), np.array([], int)]
)
def test_they_stand_for_an_array(rows):
    images = _images(6)
    lazy = _lazy(images)
    assert (lazy.shape, lazy.dtype, lazy.ndim) == (images.shape, np.uint8, 4)
    assert lazy.nbytes == images.nbytes
    np.testing.assert_array_equal(lazy[rows], images[rows])
    np.testing.assert_array_equal(lazy.taken(rows)[:], images[rows])


@pytest.mark.parametrize("rows", [slice(None), np.array([8, 0, 5, 3, 5])])
def test_several_are_joined(rows):
    parts = [_images(4, 1), _lazy(_images(2, 2)), _lazy(_images(3, 3))]
    whole = np.concatenate([part[:] for part in parts])
    together = lazy_images.concatenated(parts)
    assert together.shape == whole.shape
    np.testing.assert_array_equal(together[rows], whole[rows])
    splits = [
        Split(part, np.zeros(len(part), np.int32), np.zeros(3), np.ones(3))
        for part in parts
    ]
    all_of_them = joined(splits, [0, 1, 2])
    np.testing.assert_array_equal(all_of_them.images[:], whole)
    assert all_of_them.labels.tolist() == [0] * 4 + [1] * 2 + [2] * 3


def test_statistics_are_those_of_the_pixels(monkeypatch):
    monkeypatch.setattr(lazy_images, "_PART", 4)
    images = _images(10)
    for found, wanted in zip(
        channel_statistics(_lazy(images)), channel_statistics(images)
    ):
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_allclose(
        channel_statistics(images)[0],
        images.reshape(-1, 3).mean(0) / 255,
        rtol=1e-6,
    )


def test_digests_tell_images_apart():
    images = _images(3)
    other = images.copy()
    other[1, 0, 0, 0] ^= 1
    digests = {
        lazy_images.image_digest(p)
        for p in (images, other, _lazy(images), _lazy(other))
    }
    assert len(digests) == 4
    both = lazy_images.concatenated([images, _lazy(other)])
    assert lazy_images.image_digest(both) not in digests


def test_a_source_of_joined_images_has_a_digest():
    images = _images(4)
    joined = lazy_images.concatenated([images[:2], _lazy(images[2:])])
    source = lazy_images.ImagesSource(joined)
    other = lazy_images.ImagesSource(_lazy(images))
    assert source.digest([0, 3]) == source.digest([0, 3])
    assert source.digest([0, 3]) not in (
        source.digest([0, 2]),
        other.digest([0, 3]),
    )


def test_only_large_sources_stay_encoded(monkeypatch):
    source = Source(_images(6))
    monkeypatch.setattr(lazy_images, "LARGEST_IN_MEMORY", 6 * 60)
    assert isinstance(lazy_images.images_of(source, [1, 2]), np.ndarray)
    monkeypatch.setattr(lazy_images, "LARGEST_IN_MEMORY", 6 * 60 - 1)
    lazy = lazy_images.images_of(source, [1, 2, 3])
    assert type(lazy) is lazy_images.LazyImages and len(lazy) == 3
    # A task's few images of it are kept once they are decoded.
    kept = lazy_images.images_of(source, [1, 2])
    assert type(kept) is lazy_images.CachedImages and len(kept) == 2


def test_a_task_of_a_large_source_is_decoded_once(monkeypatch):
    monkeypatch.setattr(lazy_images, "LARGEST_IN_MEMORY", 8 * 60)
    images = _images(100)
    source = _Counting(images)
    train = lazy_images.images_of(source, np.arange(10, 14))
    validation = lazy_images.images_of(source, np.arange(20, 23))
    for epoch in range(3):
        rows = np.random.default_rng(epoch).permutation(4)
        np.testing.assert_array_equal(train[rows], images[10:14][rows])
        np.testing.assert_array_equal(validation[:], images[20:23])
    assert source.decoded == 7


def test_what_is_joined_does_not_take_turns_in_memory(monkeypatch):
    monkeypatch.setattr(lazy_images, "LARGEST_IN_MEMORY", 8 * 60)
    sources = [_Counting(_images(4, seed)) for seed in range(3)]
    parts = [
        lazy_images.CachedImages(source, np.arange(4)) for source in sources
    ]
    together = lazy_images.concatenated(parts)
    for rows in ([0, 4, 8], [11, 7, 3]):
        together[np.array(rows)]
    assert [source.decoded for source in sources] == [2, 2, 2]
    few = lazy_images.concatenated(parts[:2])
    for rows in ([0, 4], [7, 3]):
        few[np.array(rows)]
    assert [source.decoded for source in sources] == [6, 6, 2]


class _Counting(Source):
    """Counts the images that are decoded."""

    decoded = 0

    def images(self, indices):
        self.decoded += len(indices)
        return super().images(indices)


def test_tasks_of_a_long_stream_take_turns_in_memory(monkeypatch):
    monkeypatch.setattr(lazy_images, "LARGEST_IN_MEMORY", 10 * 60)
    images = _images(4)
    sources = [_Counting(images) for _ in range(3)]
    first, second, third = (
        lazy_images.images_of(source, np.arange(4), now=False)
        for source in sources
    )
    for _ in range(3):
        np.testing.assert_array_equal(first[[3, 1]], images[[3, 1]])
        np.testing.assert_array_equal(second[:2], images[:2])
    assert [s.decoded for s in sources] == [4, 4, 0]
    third[:1]
    second[:1]
    assert [s.decoded for s in sources] == [4, 4, 4]
    first[:1]
    assert [s.decoded for s in sources] == [8, 4, 4]
    np.testing.assert_array_equal(first.taken(np.array([2]))[:], images[[2]])
    assert lazy_images.image_digest(first) == lazy_images.image_digest(
        _lazy(images)
    )
