"""Encoded images read from TFRecord files by their places."""

import os

import numpy as np
import pytest
import tensorflow as tf

from tfcl.data.lazy_images import MemoryLimits
from tfcl.data.sources import tfds_source
from tfcl.data.sources.record_files import EncodedInFiles, EncodedInMemory


@pytest.fixture(name="shards")
def _shards(tmp_path):
    """Three files of 4, 0 and 3 records; record k holds `image k`."""
    paths, number = [], 0
    for shard, count in enumerate((4, 0, 3)):
        path = tmp_path / f"x.tfrecord-{shard}"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for _ in range(count):
                text = f"image {number}".encode() * (number + 1)
                feature = tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=[text])
                )
                features = tf.train.Features(feature={"image": feature})
                example = tf.train.Example(features=features)
                writer.write(example.SerializeToString())
                number += 1
        paths.append(path)
    return paths


def _text(number):
    return f"image {number}".encode() * (number + 1)


def test_any_order_is_read(shards):
    encoded = EncodedInFiles([(p, 0, -1) for p in shards], "image")
    assert len(encoded) == 7
    indices = np.array([6, 0, 3, 3, 4])
    assert list(encoded.read(indices)) == [_text(k) for k in indices]
    assert list(encoded.read(np.array([], int))) == []


def test_parts_of_files_are_read(shards):
    encoded = EncodedInFiles([(shards[0], 1, 2), (shards[2], 2, 1)], "image")
    read = encoded.read(np.arange(len(encoded)))
    assert list(read) == [_text(1), _text(2), _text(6)]


def test_they_can_be_ordered(shards):
    encoded = EncodedInFiles([(p, 0, -1) for p in shards], "image")
    order = np.array([2, 5, 1])
    assert list(encoded.ordered(order).read(np.arange(3))) == [
        _text(k) for k in order
    ]
    assert len(encoded) == 7


@pytest.mark.parametrize("kind", ["files", "memory"])
def test_digests_tell_records_apart(shards, kind):
    if kind == "files":
        encoded = EncodedInFiles([(p, 0, -1) for p in shards], "image")
    else:
        texts = np.array([_text(k) for k in range(7)], object)
        encoded = EncodedInMemory(texts)
    one, same, other = (
        encoded.digest(np.array(rows)) for rows in ([1, 2], [1, 2], [1, 3])
    )
    assert one == same != other


_REAL = os.environ.get("TFDS_DATA_DIR", "../shared/tfds")


@pytest.mark.skipif(
    not os.path.isdir(os.path.join(_REAL, "mnist")),
    reason=f"no prepared MNIST in {_REAL}",
)
def test_a_real_set_reads_alike_from_disk_and_memory():
    memory = tfds_source.open_split("mnist", "test", _REAL)
    limits = MemoryLimits(encoded=0)
    disk = tfds_source.open_split("mnist", "test", _REAL, memory=limits)
    assert isinstance(disk._encoded, EncodedInFiles)
    np.testing.assert_array_equal(disk.labels, memory.labels)
    rows = np.array([9_999, 0, 5_000, 17])
    np.testing.assert_array_equal(disk.images(rows), memory.images(rows))
