"""One head per task, aligned; against published values and under kills."""

import functools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.methods.online_methods import apply, batch_of
from tests.testing import golden, toy_run
from tfcl.data.class_incremental_stream import class_incremental_stream
from tfcl.data.repeated_stream import repeated_stream
from tfcl.engine.export import ServedTask
from tfcl.errors import UserError
from tfcl.methods.class_incremental import ClassIncremental
from tfcl.methods.classifier_alignment import (
    ClassStatistics,
    aligned_logits,
    mean_factors,
)
from tfcl.optimizers.schedules import Constant

_MEMORY = {
    "memory_units": 3,
    "delta": 1,
    "usage_threshold": 5,
    "age_threshold": 20,
}


@pytest.fixture(scope="module", autouse=True)
def _no_pictures():
    with toy_run.no_pictures():
        yield


def _pooled(image_shape):
    inputs = keras.Input(image_shape)
    pooled = keras.layers.AveragePooling2D(2)(inputs)
    return keras.Model(inputs, keras.layers.Flatten()(pooled))


def _method(**kwargs):
    settings = {
        "backbone": _pooled,
        "classes_per_task": 2,
        "optimizer": functools.partial(keras.optimizers.SGD, momentum=0.9),
        "schedule": Constant(0.05),
        "epochs": 4,
        "memory": _MEMORY,
        "alignment_schedule": Constant(0.05),
        "alignment_size": 32,
    }
    return ClassIncremental(**{**settings, **kwargs})


def _stream(data_dir=None, counts=(2, 2, 2)):
    del data_dir
    return class_incremental_stream(toy_run.toy_stream(counts))


def test_alignment_is_the_published_one():
    data = golden.load("memory_head/ci_heads.npz")
    sizes = json.loads(str(data["cfg"]))["task_sizes"]
    tasks = tf.constant(np.repeat(range(len(sizes)), sizes), tf.int32)
    logits = tf.constant(data["ca_logits"])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        aligned = aligned_logits(
            logits, tasks, len(sizes), float(data["ca_tau"])
        )
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(
                data["ca_targets"], aligned
            )
        )
    np.testing.assert_allclose(loss, data["ca_loss"], rtol=1e-12)
    gradient = tape.gradient(loss, logits)
    np.testing.assert_allclose(gradient, data["ca_grad"], atol=1e-12)


def test_statistics_are_the_published_ones():
    data = golden.load("memory_head/ci_heads.npz")
    vectors = data["stat_vectors"]
    statistics = ClassStatistics(4, vectors.shape[1], at_once=2)
    labels = 3 * tf.ones(len(vectors), tf.int32)
    for variable, value in zip(
        statistics.sums, statistics.step(vectors, labels, first=2)
    ):
        variable.assign(value)
    statistics.note(2)
    assert not statistics.means.numpy()[:3].any()
    np.testing.assert_allclose(
        statistics.means[3], data["stat_mean"], atol=1e-6
    )
    root = statistics.roots[3].numpy().astype(float)
    np.testing.assert_allclose(root @ root.T, data["stat_cov"], atol=1e-5)
    wanted = data["decay_curtask3_tasksize2_class0to7"]
    tasks = tf.range(len(wanted)) // 2
    np.testing.assert_allclose(mean_factors(tasks, 3), wanted, rtol=1e-6)


@pytest.mark.parametrize("head", ["memory", "linear"])
def test_all_classes_are_told_apart(tmp_path, head):
    learned = toy_run.learn(tmp_path, _method(head=head), _stream)
    matrix = learned.run.journal.accuracy_matrix(3)
    assert matrix[0, 0] > 0.9
    # Of six classes, chance is 1/6.
    assert matrix[2].mean() > 0.8, matrix
    method = learned.run.method
    logits = method.predict(tf.zeros((2, 8, 8, 3)))
    assert logits.shape == (2, 6) and (logits.numpy() > -1e8).all()
    assert method.network().lower().output_shape == (None, 6)


def test_alignment_helps_heads_that_never_met(tmp_path):
    """And leaves no trace in the next task's first stage."""
    found = [
        toy_run.learn(
            tmp_path / str(epochs), _method(alignment_epochs=epochs), _stream
        ).run
        for epochs in (0, 5)
    ]
    accuracies = [run.journal.accuracy_matrix(3)[2].mean() for run in found]
    assert accuracies[1] >= accuracies[0]
    for plain, aligned in zip(*(run.method._unaligned for run in found)):
        np.testing.assert_array_equal(plain, aligned)


def test_old_heads_rest_while_a_new_one_learns():
    method = _method()
    stream = _stream()
    method.setup(stream.spec(), 0)
    method.begin_task(stream.tasks[0])
    before = [o.variable.numpy() for o in method._heads]
    split = stream.tasks[0].train
    for _ in range(3):
        batch = batch_of(np.float32(split.images[:8]), split.labels[:8])
        apply(method, method.train_step(batch))
    changed = 0
    for owned, old in zip(method._heads, before):
        new = owned.variable.numpy().reshape(3, -1)
        old = old.reshape(3, -1)
        np.testing.assert_array_equal(new[1:], old[1:])
        changed += (new[0] != old[0]).any()
    assert changed >= 4  # memories, keys, usage, age


@pytest.mark.parametrize("head", ["memory", "linear"])
def test_an_export_offers_no_class_that_was_never_learned(tmp_path, head):
    method, stream = _method(head=head), _stream()
    method.setup(stream.spec(), 0)
    method.begin_task(stream.tasks[1])
    images = np.float32(stream.tasks[0].test.images[:5])
    served = method.network().lower()
    wanted = method.predict(tf.constant(images))
    np.testing.assert_allclose(served(images), wanted, rtol=1e-5)
    assert (wanted.numpy()[:, 4:] == -1e9).all()
    # The last layer sees the features.
    module = ServedTask(served, stream.tasks[0].preprocessing, list("abcdef"))
    found = module.serve(tf.zeros((2, 8, 8, 3), tf.uint8))
    assert found["probabilities"].numpy()[:, 4:].max() == 0.0
    features = method._features(tf.zeros((2, 8, 8, 3)))
    assert found["embeddings"].shape == features.shape


def test_kills_change_nothing(tmp_path):
    toy_run.assert_kills_change_nothing(
        tmp_path, lambda: _method(epochs=2), moments=2, stream=_stream
    )


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`classes_per_task`.*Received"):
        _method(classes_per_task=3).setup(_stream().spec(), 0)
    with pytest.raises(ValueError, match="`alignment_schedule`"):
        _method(alignment_schedule=None)
    for name, value in (
        ("classes_per_task", 0),
        ("epochs", 0),
        ("alignment_epochs", -1),
        ("alignment_size", 2.5),
        ("weight_decay", -1e-4),
    ):
        with pytest.raises(ValueError, match=f"`{name}`.*Received"):
            _method(**{name: value})
    with pytest.raises(ValueError, match="`head`"):
        _method(head="cosine")
    with pytest.raises(ValueError, match="`stream`"):
        class_incremental_stream(
            functools.partial(
                repeated_stream, toy_run.toy_stream((2, 2)), [0, 1, 0]
            )
        )
    with pytest.raises(UserError, match="comes again"):
        _method().resume_task(_stream().tasks[0], {})
    uneven = _stream(counts=(3, 1 + 2, 3))
    method = _method(classes_per_task=3)
    method.setup(uneven.spec(), 0)
    with pytest.raises(ValueError, match="`classes_per_task`"):
        method.begin_task(_stream().tasks[1])
