"""Online methods under the contract, killed, and given what they refuse."""

import contextlib
import dataclasses
import functools
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.methods.online import online_methods
from tests.methods.online.online_methods import (
    METHODS,
    MLP,
    apply,
    batch_of,
    blobs,
    training,
)
from tests.testing import toy_run
from tfcl.data.scenario import CLASS, DOMAIN, TASK
from tfcl.data.scenarios.in_scenario import in_scenario
from tfcl.data.scenarios.online_stream import online_stream
from tfcl.data.scenarios.repeated_stream import repeated_stream
from tfcl.data.streams.feature_stream import feature_stream
from tfcl.engine.experiment import Experiment
from tfcl.engine.loop import learn_stream
from tfcl.engine.outputs import split_points
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.errors import RunError, UserError
from tfcl.methods.online.experience_replay import MIR, ExperienceReplay
from tfcl.methods.online.gdumb import GDumb
from tfcl.methods.online.memory_head import MemoryHead
from tfcl.methods.online.online import OnlineLearning
from tfcl.methods.online.online_training import OnlineTraining
from tfcl.models.backbones.lasem_cnn import lasem_cnn
from tfcl.models.online.online_networks import linear_network, memory_network
from tfcl.optimizers.adam_torch import AdamTorch
from tfcl.optimizers.schedules import Constant
from tfcl.replay.buffer import ReplayBuffer
from tfcl.reporting import drawing, stream_figures
from tfcl.testing import run_method_test, runner_for


@pytest.fixture(scope="module", autouse=True)
def _no_figures():
    with toy_run.no_figures():
        yield


def _tiny_cnn(image_shape):
    return lasem_cnn(
        image_shape, channels=(4, 6), kernel_sizes=(3, 3), pool_sizes=(2, 2)
    )


def test_memory_head(tmp_path):
    run_method_test(
        METHODS["memory_head"], tmp_path, True, (2, 2, 2), replicated=False
    )


def test_replay_of_images_with_a_trained_backbone(tmp_path):
    """An ordinary network learns with a buffer as a small one does."""

    def network(image_shape, classes):
        return linear_network(
            image_shape, classes, backbone=_tiny_cnn, frozen=False
        )

    run_method_test(
        lambda: ExperienceReplay(
            network, training(0.02), ReplayBuffer(32), replay_size=16
        ),
        tmp_path,
        forgets=True,
        class_counts=(2, 2, 2),
        replicated=False,
    )


@pytest.mark.parametrize("name", [name for name in METHODS if name != "mlp"])
def test_kills_in_mid_stream_change_nothing(tmp_path, name):
    wanted = toy_run.assert_kills_change_nothing(
        tmp_path,
        METHODS[name],
        moments=1 if name == "gdumb" else 2,
        stream=lambda data_dir: blobs((8, 6, 4, 6)),
    )
    notes = wanted.results["tasks"][0]["method"]
    assert 0.0 <= notes["test_average_accuracy"] <= 1.0
    assert -1.0 <= notes["test_average_forgetting"] <= 1.0
    history = wanted.run.bank.history(0, "blobs")
    key = {"gdumb": "00_fill_0/validation/loss"}.get(name, "test/accuracies")
    assert len(history[key]) == (1 if name == "gdumb" else 4)


class _Killed(BaseException):
    pass


def test_a_kill_between_tasks_changes_nothing(tmp_path):
    """The optimizer goes on from task to task, as the network does."""
    options = {"stream": toy_run.toy_stream((2, 2))}
    wanted = toy_run.learn(tmp_path / "run", METHODS["mlp"](), **options)
    finish = Experiment.finish_visit

    def killed(run, visit):
        finish(run, visit)
        raise _Killed

    with mock.patch.object(Experiment, "finish_visit", killed):
        with pytest.raises(_Killed):
            toy_run.learn(tmp_path / "killed", METHODS["mlp"](), **options)
    found = toy_run.learn(tmp_path / "killed", METHODS["mlp"](), **options)
    assert found.found == 1
    toy_run.assert_same_outcome(found, wanted)


def _learned(tmp_path, method, stream):
    run = Experiment(
        tmp_path / "run",
        method=method,
        stream=lambda data_dir: stream,
        exports=False,
    )
    with contextlib.closing(run):
        run.start({})
        learn_stream(run)
    return run


def test_rare_measurements_leave_forgetting_out():
    for every, known in ((1, True), (2, False)):
        method = OnlineLearning(MLP, training(measure_every=every))
        method.training.measured = ("validation",)
        # Validation knows the first two of four distributions.
        rows = [[1.0, 0.0], [0.5, 1.0], [0.5, 0.5], [0.25, 0.5]]
        rows = rows[every - 1 :: every]
        method.note([{"validation/accuracies": row} for row in rows], None)
        notes = method.bank_notes()
        assert ("validation_average_forgetting" in notes) == known
        assert ("validation_left_out" in notes) != known
    assert notes["validation_average_accuracy"] == 0.375


def test_replay_forgets_less_than_plain_learning(tmp_path):
    stream = blobs((80, 80, 80, 80), labels=4)
    accuracies = {}
    drawn = set()
    for name, method in (
        ("plain", OnlineLearning(MLP, training(0.02))),
        (
            "replay",
            ExperienceReplay(MLP, training(0.02), ReplayBuffer(40), 8),
        ),
        ("gdumb", GDumb(MLP, training(0.02), 40, 8, epochs=20)),
    ):
        run = _learned(tmp_path / name, method, stream)
        notes = run.results()["tasks"][0]["method"]
        accuracies[name] = notes["test_average_accuracy"]
        if name != "replay":
            images = run.outputs.stream_figures()
            drawn.add("forgetting_test" in images)
    assert drawn == {True}
    assert accuracies["plain"] < 0.6
    assert accuracies["replay"] > 0.9
    assert accuracies["gdumb"] > 0.9


def test_mir_replays_what_the_step_harms_most():
    method = MIR(MLP, training(0.5), ReplayBuffer(8), 2, candidates=8)
    task = blobs().tasks[0]
    method.setup(blobs().spec(), seed=0)
    method.optimizers["main"].learning_rate.assign(0.5)
    images = task.train.images[10:18]
    labels = task.train.labels[10:18]
    method.buffer.insertion(
        {"images": images, "labels": labels}, tf.zeros(8, tf.int32)
    )()
    batch = online_methods.batch_of(
        task.train.images[:1], task.train.labels[:1]
    )
    values = method.network().values()
    _, _, gradients, after = method.learn(batch, values)
    places, _ = method.chosen(gradients, after(), tf.range(8), tf.ones(8))
    before = [v.numpy() for v in method.network().variables]

    def losses():
        logits = method.predict(tf.constant(images))
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)

    harm = -losses()
    for variable, value, gradient in zip(
        method.network().variables, before, gradients
    ):
        variable.assign(value - 0.5 * gradient)
    harm = (harm + losses()).numpy()
    assert places.numpy().tolist() == np.argsort(-harm)[:2].tolist()


def test_keys_that_gradients_train_start_a_step_with_unit_length():
    """The optimizer moves the keys that the forward pass has read."""
    method = MemoryHead(
        functools.partial(
            online_methods.MEMORY, key_update="gradient", scramble=False
        ),
        training(),
    )
    task = blobs().tasks[0]
    method.setup(blobs().spec(), seed=0)
    (head,) = method.network().memory_heads
    head.keys.assign(3.0 * head.keys)
    update = method.train_step(
        online_methods.batch_of(task.train.images[:2], task.train.labels[:2])
    )
    update.before_apply()
    keys = head.keys.numpy()
    np.testing.assert_allclose(np.linalg.norm(keys, axis=-1), 1.0, rtol=1e-5)
    online_methods.apply(method, update._replace(before_apply=None))
    assert (head.keys.numpy() != keys).any()


def test_images_of_a_stream_of_points(tmp_path):
    method = METHODS["memory_head"]()
    run = _learned(tmp_path, method, blobs())
    keys = method.network().memory_heads[0].keys.numpy()
    task = run.stream.tasks[0]
    maps = {m.name: m for m in method.point_maps(task)}
    assert list(maps) == [
        "regions_before",
        "regions_after",
        "regions_and_keys",
        "unit_length_and_keys",
    ]
    np.testing.assert_array_equal(maps["regions_and_keys"].keys, keys[0])
    np.testing.assert_array_equal(
        method.network().memory_heads[0].keys, keys
    )  # as they were
    after = maps["regions_after"].regions
    assert (after != maps["regions_before"].regions).any()
    # The cell of a point says what is predicted there.
    places = np.linspace(-1.01, 1.01, len(after))
    point = np.array([[places[150], places[20]]], np.float32)
    found = np.argmax(method.predict(tf.constant(point[:, None, None])))
    assert after[20, 150] == found
    history = run.bank.history(0, task.name)
    drawn = stream_figures.stream_figures(
        maps.values(), history, points=split_points(task)
    )
    assert {*maps, "data", "forgetting_test"} < drawn.keys()
    for name in ("regions_and_keys", "data", "forgetting_test"):
        assert drawing.png_bytes(drawn[name])


def test_points_and_features_are_not_asked_by_images(tmp_path):
    images = toy_run.toy_stream((2, 2))

    def pooled(image_shape):
        inputs = keras.Input(image_shape)
        outputs = keras.layers.GlobalAveragePooling2D()(inputs)
        return keras.Model(inputs, outputs)

    features = feature_stream(images, pooled, cache_dir=str(tmp_path / "c"))
    for name, stream in (("points", blobs()), ("features", features)):
        run = _learned(tmp_path / name, METHODS["mlp"](), stream)
        learned = LearnedTasks(run.model_dir, METHODS["mlp"]())
        entry = learned.find(learned.names[0])
        with pytest.raises(UserError, match=f"takes {name}"):
            learned.probabilities(entry, np.zeros((1, 8, 8, 3), np.uint8))
        with pytest.raises(UserError, match=f"takes {name}"):
            learned.export(entry)


@pytest.mark.parametrize("loss", ["xent", "hinge"])
def test_replayed_examples_count_as_those_of_a_batch(loss):
    rules = training(loss=loss)
    logits = tf.constant(np.random.default_rng(0).normal(size=(4, 3)))
    labels = tf.constant([0, 2, 1, 1])
    np.testing.assert_allclose(
        rules.weighted_loss(labels, logits, tf.constant([1.0, 1.0, 1.0, 0.0])),
        rules.loss(labels[:3], logits[:3]),
    )
    assert rules.weighted_loss(labels, logits, tf.zeros(4)) == 0.0


def test_lazy_decay_touches_a_row_once():
    lazy = OnlineTraining(AdamTorch, Constant(1.0), weight_decay=0.5, lazy=True)
    rows = tf.IndexedSlices(
        tf.zeros((3, 2)), tf.constant([1, 1, 2]), tf.constant([4, 2])
    )
    value = tf.ones((4, 2))
    (found,) = lazy.decayed([rows], [value])
    np.testing.assert_allclose(
        tf.convert_to_tensor(found)[:, 0], [0.0, 0.5, 0.5, 0.0]
    )
    dense = OnlineTraining(AdamTorch, Constant(1.0), weight_decay=0.5)
    (found,) = dense.decayed([rows], [value])
    np.testing.assert_allclose(found, np.full((4, 2), 0.5))


def test_weight_decay_is_that_of_the_scrambled_memory():
    """As the optimizer of the published program takes it."""
    network = functools.partial(
        online_methods.MEMORY, match_threshold=2.0, age_threshold=0
    )
    method = MemoryHead(network, training(weight_decay=0.5))
    method.training.make_optimizer = online_methods.sgd(1.0)
    task = blobs().tasks[0]
    method.setup(blobs().spec(), seed=0)
    (head,) = method.network().memory_heads
    update = method.train_step(
        online_methods.batch_of(task.train.images[:1], task.train.labels[:1])
    )
    ((_, (gradient,), _),) = update.gradients
    start = head.memories.numpy()
    update.before_apply()
    scrambled = head.memories.numpy()
    assert (scrambled != start).any()
    online_methods.apply(method, update._replace(before_apply=None))
    wanted = 0.5 * scrambled - tf.convert_to_tensor(gradient)
    np.testing.assert_allclose(head.memories, wanted, atol=1e-6)


# What users get wrong


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (
            lambda: ExperienceReplay(MLP, training(), ReplayBuffer(3), 4),
            "replay_size",
        ),
        (lambda: MIR(MLP, training(), ReplayBuffer(9), 2, 10), "candidates"),
        (lambda: MIR(MLP, training(), ReplayBuffer(9), 4, 2), "candidates"),
        (lambda: GDumb(MLP, training(), 4, 8), "batch_size"),
        (lambda: training(loss="mse"), "loss"),
        (lambda: training(measured=("dev",)), "measured"),
        (
            lambda: memory_network(
                (1, 1, 2), 4, key_rate=0.1, scramble=True, key_update="gradient"
            ),
            "scramble",
        ),
        (
            lambda: memory_network((1, 1, 2), 4, key_rate=0.1, delta=20),
            "delta",
        ),
        (
            lambda: memory_network((1, 1, 2), 4, key_rate=0.1, key_size=5),
            "key_size",
        ),
    ],
)
def test_wrong_arguments_are_named(make, argument):
    with pytest.raises(ValueError, match=f"`{argument}`.*Received"):
        make()


def test_a_stream_that_does_not_fit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="online_stream"):
        method = METHODS["mlp"]()
        method.setup(toy_run.toy_stream((2, 3))().spec(), 0)
    with pytest.raises(ValueError, match="MemoryDense"):
        MemoryHead(MLP, training()).setup(blobs().spec(), 0)
    with pytest.raises(ValueError, match="boundaries"):
        _learned(tmp_path / "b", METHODS["mlp"](), blobs(batch_size=5))
    repeated = repeated_stream(toy_run.toy_stream((2, 2)), [0, 1, 0])
    with pytest.raises(UserError, match="comes again"):
        _learned(tmp_path / "g", METHODS["gdumb"](), repeated)


def test_a_nan_in_the_stream_leaves_everything_as_it_was(tmp_path):
    stream = blobs()
    stream.tasks[0].train.images[20, 0, 0, 1] = np.nan
    for name in ("memory_head", "er", "gdumb"):
        method = METHODS[name]()
        with pytest.raises(RunError, match="not finite.*step (20|4)"):
            _learned(tmp_path / name, method, stream)
        for variables in method.shared, method.state:
            for each in variables:
                value = getattr(each, "variable", each).numpy()
                assert np.isfinite(value).all()


def test_several_replicas_are_refused():
    method = METHODS["er"]()
    method.setup(blobs().spec(), 0)
    batch = online_methods.batch_of(np.zeros((1, 1, 1, 2), np.float32), [0])
    with pytest.raises(ValueError, match="one replica"):
        method.train_step(batch._replace(replicas=2))


# Streams


def test_any_stream_becomes_one_without_borders():
    parts = toy_run.toy_stream((2, 3, 2))
    stream = online_stream(parts, batch_size=10)
    (task,) = stream.tasks
    assert task.num_classes == 7 and len(set(task.class_names)) == 7
    assert len(task.train) == 3 * 60 and len(task.test) == 3 * 32
    np.testing.assert_array_equal(np.unique(task.train.groups), [0, 1, 2])
    for split in (task.train, task.validation, task.test):
        of_first = split.labels[split.groups == 1]
        assert of_first.min() == 2 and of_first.max() == 4
    domains = online_stream(toy_run.toy_stream((2, 2)), "domain")
    assert domains.tasks[0].num_classes == 2
    with pytest.raises(ValueError, match="labels.*class"):
        online_stream(parts, "domain")
    with pytest.raises(ValueError, match="batch_size"):
        online_stream(parts, batch_size=65)


def test_the_groups_of_a_split_are_measured_one_by_one():
    stream = online_stream(toy_run.toy_stream((2, 2)))
    method = METHODS["mlp"]()
    method.setup(stream.spec(), 0)
    (task,) = stream.tasks
    runner = runner_for(method, task.train.image_shape)
    split = dataclasses.replace(
        task.test,
        mean=np.repeat(task.test.mean, [1, 2], 0),
        std=np.repeat(task.test.std, [1, 2], 0),
    )
    measure = runner.measurement.evaluate
    found = measure(split, 10).group_accuracies
    assert found.shape == (3,) and np.isnan(found[2])
    for group in (0, 1):
        part = task.test.taken(np.flatnonzero(task.test.groups == group))
        assert found[group] == measure(part, 10).accuracy


@pytest.mark.parametrize("scenario", [TASK, DOMAIN, CLASS])
@pytest.mark.parametrize("name", sorted(METHODS))
def test_tasks_are_learned_in_every_scenario(name, scenario):
    method = METHODS[name]()
    stream = in_scenario(scenario, toy_run.toy_stream((2, 2)))
    method.setup(stream.spec(), 0)
    before = [owned.variable.numpy() for owned in method.shared]
    for task in stream:
        method.begin_task(task)
        images = task.train.images[:4].astype(np.float32) / 255.0
        update = method.train_step(batch_of(images, task.train.labels[:4]))
        apply(method, update)
    logits = method.predict(tf.constant(images))
    assert logits.shape == (4, 4 if scenario == CLASS else 2)
    after = [owned.variable.numpy() for owned in method.shared]
    assert name == "gdumb" or not all(map(np.array_equal, before, after))
