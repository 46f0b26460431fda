"""Training on a set that is larger than what may be in memory.

    python benchmarks/streaming.py --threads 1 [--case NAME] [--gigabytes 3]

Writes made-up images (128 x 128 x 3, JPEG) as TFRecord files of a set that
has `--gigabytes` once decoded, opens it as the streams do, and trains one
epoch. Prints one JSON line per case with `case`, `threads`,
`cpu_ms_per_step`, `items_per_s`, and `resident_gb`, the largest memory of the
process. `streamed` decodes window by window; `in_memory` holds a twentieth of
the set decoded.
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from tfcl.data import lazy_images  # noqa: E402
from tfcl.data.sources.labelled_images import LabelledImages  # noqa: E402
from tfcl.data.sources.record_files import EncodedInFiles  # noqa: E402
from tfcl.data.split import Split  # noqa: E402
from tfcl.data.task import StreamSpec, Task  # noqa: E402
from tfcl.engine.orders import epoch_order  # noqa: E402
from tfcl.engine.steps import StepRunner  # noqa: E402
from tfcl.methods.baselines.individual import Individual  # noqa: E402
from tfcl.methods.task_training import TaskTraining  # noqa: E402
from tfcl.optimizers.schedules import Constant  # noqa: E402

_SHAPE = (128, 128, 3)
_BYTES = int(np.prod(_SHAPE))
_BATCH = 32
_CASES = ("streamed", "in_memory")


def main():
    """Measures the cases asked for, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--case", choices=_CASES, default=None)
    parser.add_argument("--gigabytes", type=float, default=3.0)
    arguments = parser.parse_args()
    if arguments.case is None:
        for case in _CASES:
            subprocess.run([sys.executable, *sys.argv, "--case", case])
        return
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)
    count = int(arguments.gigabytes * 1e9 / _BYTES) // _BATCH * _BATCH
    if arguments.case == "in_memory":
        count = count // 20 // _BATCH * _BATCH
    with tempfile.TemporaryDirectory() as folder:
        paths = write_shards(pathlib.Path(folder), count)
        measure(arguments, paths, count)


def write_shards(folder, count, shards=8):
    """Files of `count` JPEG images in all; returns their paths."""
    rng = np.random.default_rng(0)
    # A few hundred different images are enough to decode.
    encoded = [
        tf.io.encode_jpeg(rng.integers(0, 256, _SHAPE, np.uint8)).numpy()
        for _ in range(64)
    ]
    paths = []
    for shard in range(shards):
        path = folder / f"made_up.tfrecord-{shard}"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for number in range(shard, count, shards):
                value = tf.train.BytesList(value=[encoded[number % 64]])
                feature = {"image": tf.train.Feature(bytes_list=value)}
                features = tf.train.Features(feature=feature)
                example = tf.train.Example(features=features)
                writer.write(example.SerializeToString())
        paths.append(path)
    return paths


def measure(arguments, paths, count):
    """One epoch over the files."""
    source = LabelledImages(
        EncodedInFiles([(path, 0, -1) for path in paths], "image"),
        np.arange(count) % 2,
        ("even", "odd"),
        _SHAPE,
        None,
        "Made-up set",
    )
    limit = 0 if arguments.case == "streamed" else 2**40
    with mock.patch.object(lazy_images, "LARGEST_IN_MEMORY", limit):
        images = lazy_images.images_of(source, np.arange(count))
    split = Split(images, source.labels, np.full(3, 0.5), np.ones(3))
    runner, phase = _runner(split)
    steps = count // _BATCH
    order = epoch_order(count, True, np.random.default_rng(0))
    runner.train(phase, split, order, 0, 1, _BATCH, [1, 2], False)
    start = time.process_time(), time.perf_counter()
    runner.train(phase, split, order, 0, steps, _BATCH, [1, 2], False)
    cpu = time.process_time() - start[0]
    wall = time.perf_counter() - start[1]
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = {
        "case": arguments.case,
        "threads": arguments.threads,
        "cpu_ms_per_step": round(1e3 * cpu / steps, 3),
        "items_per_s": round(count / wall, 1),
        "resident_gb": round(largest * 1024 / 1e9, 2),
        "decoded_gb": round(count * _BYTES / 1e9, 2),
    }
    print(json.dumps(line), flush=True)


def _runner(split):
    task = Task(0, "parity", ("even", "odd"), split, split, split, None)
    spec = StreamSpec("made_up", _SHAPE, (task.name,), (task.class_names,), 32)
    training = TaskTraining(
        backbone=_tiny, hidden_units=(), epochs=1, schedule=Constant(1e-4)
    )
    method = Individual(training)
    method.setup(spec, seed=0)
    method.begin_task(task)
    strategy = tf.distribute.get_strategy()
    runner = StepRunner(method, strategy, _SHAPE, np.uint8)
    return runner, next(method.phases(task))


def _tiny(image_shape):
    """A network that costs less than the decoding."""
    inputs = keras.Input(image_shape)
    hidden = keras.layers.AveragePooling2D(8)(inputs)
    hidden = keras.layers.Conv2D(8, 3, activation="relu")(hidden)
    return keras.Model(inputs, keras.layers.Flatten()(hidden))


if __name__ == "__main__":
    main()
