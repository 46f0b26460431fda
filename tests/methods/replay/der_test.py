"""Dark experience replay: its loss, its buffer, that it remembers."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import toy_run
from tfcl.data.augmentation import RandomFlip
from tfcl.data.scenario import CLASS, TASK
from tfcl.data.scenarios.in_scenario import in_scenario
from tfcl.methods.base import Batch
from tfcl.methods.baselines.fine_tuning import FineTuning
from tfcl.methods.replay.der import DER, DERPlusPlus
from tfcl.replay.buffer import ReplayBuffer
from tfcl.testing import (
    run_method_test,
    runner_for,
    tiny_stream,
    tiny_training,
    two_replicas,
    undrawn_figures,
)

_THREE = tiny_stream((2, 2, 2))


def _method(make=DERPlusPlus, training=None, capacity=16, **options):
    options.setdefault("replay_size", 8)
    return make(
        training or tiny_training(1, dropout=0.0),
        ReplayBuffer(capacity),
        **options,
    )


def _set_up(scenario, **options):
    method, stream = _method(**options), in_scenario(scenario, _THREE)
    method.setup(stream.spec(), seed=0)
    return method, stream.tasks


def _train(method, task, steps=4, runner=None, rate=0.0):
    runner = runner or runner_for(method, (8, 8, 3))
    method.optimizers["main"].learning_rate.assign(rate)
    order = np.arange(16 * steps)
    phase = next(method.phases(task))
    runner.train(phase, task.train, order, 0, steps, 16, [1, 2], False)


def _batch(task, first=0, seed=(3, 4)):
    images = tf.constant(task.train.images[first : first + 8] / 255, tf.float32)
    shade = tf.zeros((8, 3))
    return Batch(
        images=images,
        labels=tf.constant(task.train.labels[first : first + 8]),
        tasks=tf.zeros(8, tf.int32),
        black=shade,
        white=shade + 1.0,
        positions=tf.range(8),
        size=tf.constant(8),
        step=tf.constant(0),
        seed=tf.constant(seed),
        replicas=1,
        sum_over_replicas=lambda value: value,
    )


@pytest.mark.parametrize("make", [DER, DERPlusPlus])
def test_dark_experience_replay(make, tmp_path):
    run_method_test(
        lambda: _method(make, tiny_training()),
        tmp_path,
        forgets=True,
        replicated=False,
    )


@pytest.mark.parametrize("scenario", [TASK, CLASS])
def test_kills_change_nothing(scenario, tmp_path):
    toy_run.assert_kills_change_nothing(
        tmp_path,
        lambda: _method(training=toy_run.toy_training(), replay_size=4),
        scenario=scenario,
    )


def _cross_entropy(labels, logits):
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return -logs[np.arange(len(labels)), labels]


@pytest.mark.parametrize("scenario", [TASK, CLASS])
def test_the_loss_is_the_papers(scenario):
    method, tasks = _set_up(scenario, capacity=8, alpha=0.3, beta=0.7)
    method.begin_task(tasks[1])
    batch, old = _batch(tasks[1]), _batch(tasks[0])
    network = method.network()

    def outputs(images):
        return network.head.outputs(network.backbone(images)).numpy()

    # Old examples as the buffer of eight holds them: all are drawn.
    z = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
    columns = old.labels  # Of the first task.
    shades = {"black": old.black, "white": old.white}
    method.buffer.insertion(
        {"images": old.images, "labels": columns, "logits": z, **shades},
        method.buffer.draws(8, [0, 0]),
    )()
    own = outputs(batch.images)[:, 2:4]
    if scenario == CLASS:  # All classes so far compete.
        own = outputs(batch.images)[:, :4]
    wanted = _cross_entropy(batch.labels.numpy(), own).mean()
    h = outputs(old.images)
    wanted += 0.3 * ((h - z) ** 2).mean()
    rivals = h[:, :2] if scenario == TASK else h[:, :4]
    wanted += 0.7 * _cross_entropy(columns.numpy(), rivals).mean()
    update = method.train_step(batch)
    np.testing.assert_allclose(update.loss, wanted, rtol=1e-4)


def test_der_is_der_plus_plus_without_labels():
    losses = []
    for make, options in ((DER, {}), (DERPlusPlus, {"beta": 0.0})):
        method, tasks = _set_up(CLASS, make=make, alpha=0.3, **options)
        method.begin_task(tasks[0])
        _train(method, tasks[0])
        losses.append(float(method.train_step(_batch(tasks[0])).loss))
    assert losses[0] == losses[1]


def test_the_buffer_keeps_raw_images_columns_and_logits_of_their_step():
    flip = tiny_training(1, dropout=0.0, augmentation=[RandomFlip()])
    method, tasks = _set_up(TASK, training=flip, capacity=64)
    method.begin_task(tasks[1])
    _train(method, tasks[1], steps=1)
    train, buffer = tasks[1].train, method.buffer
    assert int(buffer.filled) == 16
    shape = train.images[:16].shape
    raw = (train.images[:16] / 255.0 - train.mean[0]) / train.std[0]
    kept = buffer["images"].numpy()[:16]
    np.testing.assert_allclose(kept.reshape(shape), raw, atol=1e-5)
    labels = buffer["labels"].numpy()[:16]
    np.testing.assert_array_equal(labels, train.labels[:16] + 2)
    network = method.network()
    plain = network.head.outputs(network.backbone(kept)).numpy()
    logits = buffer["logits"].numpy()[:16]
    mirrored = network.head.outputs(network.backbone(kept[:, :, ::-1])).numpy()
    # Logits are those of what the network saw: the image or its mirror image.
    near = [np.abs(logits - each).max(1) < 1e-5 for each in (plain, mirrored)]
    assert (near[0] | near[1]).all()
    assert near[0].any() and near[1].any()


def test_empty_rows_do_not_reach_the_norms_of_the_network():
    def normed(image_shape):
        return keras.Sequential(
            [
                keras.Input(image_shape),
                keras.layers.Flatten(),
                keras.layers.BatchNormalization(momentum=0.0, name="norm"),
            ]
        )

    training = tiny_training(1, dropout=0.0, backbone=normed, hidden_units=())
    means = []
    for method in (FineTuning(training), _method(training=training)):
        stream = in_scenario(CLASS, _THREE)
        method.setup(stream.spec(), seed=0)
        method.begin_task(stream.tasks[0])
        _train(method, stream.tasks[0], steps=1)
        norm = method.network().backbone.get_layer("norm")
        means.append(norm.moving_mean.numpy())
    np.testing.assert_array_equal(*means)
    # Of a buffer of 16 examples that is asked for 20, all are replayed.
    method, tasks = _set_up(
        CLASS, training=training, capacity=32, replay_size=20, make=DER
    )
    method.begin_task(tasks[0])
    runner = runner_for(method, (8, 8, 3))
    _train(method, tasks[0], steps=1, runner=runner)
    buffer = method.buffer
    past, _, share = method._replayed(
        _batch(tasks[0]), tf.constant([5, 6], tf.int32)
    )
    assert int(buffer.filled) == 16
    np.testing.assert_allclose(share, [1 / 16] * 16 + [0.0] * 4)
    assert len(np.unique(past["images"].numpy(), axis=0)) == 16
    assert np.abs(past["images"].numpy()).sum((1, 2, 3)).min() > 0


@pytest.mark.parametrize("make", [DER, DERPlusPlus])
def test_it_remembers_classes_that_fine_tuning_forgets(make, tmp_path):
    found = {}
    for name in ("FineTuning", make.__name__):
        training = tiny_training(16, dropout=0.0)
        method = FineTuning(training)
        if name != "FineTuning":
            method = _method(make, training, 60, replay_size=16)
        with undrawn_figures():
            run = toy_run.learn(
                tmp_path / name, method, _THREE, scenario=CLASS
            ).run
        found[name] = run.results()["metrics"]["task_agnostic_accuracy"]
    assert found[make.__name__] > found["FineTuning"] + 0.2, found


def test_a_class_incremental_run_goes_on_with_more_classes(tmp_path):
    for count in (2, 3):
        stream = toy_run.toy_stream((2,) * count)
        method = _method(training=tiny_training(1), replay_size=4)
        with undrawn_figures():
            grown = toy_run.learn(tmp_path, method, stream, scenario=CLASS)
    assert len(grown.run.journal.visits) == 3
    assert grown.run.method.buffer["logits"].shape == (16, 6)
    assert len(grown.run.method.answered_classes(0)) == 6


def test_several_replicas_are_refused():
    strategy = two_replicas()
    with strategy.scope():
        method, tasks = _set_up(CLASS)
        method.begin_task(tasks[0])
    runner = runner_for(method, (8, 8, 3), strategy=strategy)
    with pytest.raises(ValueError, match="one replica.*Received: 2 replicas"):
        _train(method, tasks[0], runner=runner)


@pytest.mark.parametrize(
    ("make", "wrong"),
    [(DER, "alpha"), (DERPlusPlus, "beta"), (DER, "replay_size")],
)
def test_wrong_values_are_refused(make, wrong):
    value = 17 if wrong == "replay_size" else -1.0
    with pytest.raises(ValueError, match=f"`{wrong}`.*Received"):
        functools.partial(_method, make)(**{wrong: value})
