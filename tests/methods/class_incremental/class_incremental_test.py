"""One head per task, aligned; against published values and under kills."""

import dataclasses
import functools
import json
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.methods.online.online_methods import apply, batch_of
from tests.testing import golden, toy_run
from tfcl.data.scenarios.class_incremental_stream import (
    class_incremental_stream,
)
from tfcl.data.scenarios.repeated_stream import repeated_stream
from tfcl.data.task import StreamSpec
from tfcl.engine.serving.export import ServedTask
from tfcl.errors import UserError
from tfcl.methods.class_incremental.class_incremental import ClassIncremental
from tfcl.methods.class_incremental.classifier_alignment import (
    AlignmentOrder,
    ClassifierAlignment,
)
from tfcl.methods.class_incremental.head_training import HeadTraining
from tfcl.methods.class_incremental.task_heads import TaskHeads
from tfcl.models.backbones.vit import vit
from tfcl.models.online.pixels import pixels
from tfcl.optimizers.schedules import Clock, Constant, StepDecay
from tfcl.optimizers.sgd_momentum import SGDMomentum

_MEMORY = {
    "memory_units": 3,
    "delta": 1,
    "usage_threshold": 5,
    "age_threshold": 20,
}


@pytest.fixture(scope="module", autouse=True)
def _no_figures():
    with toy_run.no_figures():
        yield


def _pooled(image_shape):
    inputs = keras.Input(image_shape)
    pooled = keras.layers.AveragePooling2D(2)(inputs)
    return keras.Model(inputs, keras.layers.Flatten()(pooled))


def _training(**kwargs):
    settings = {
        "optimizer": SGDMomentum,
        "schedule": Constant(0.05),
        "epochs": 4,
    }
    return HeadTraining(**{**settings, **kwargs})


def _alignment(**kwargs):
    settings = {"schedule": Constant(0.05), "size": 32}
    return ClassifierAlignment(**{**settings, **kwargs})


def _method(training=None, **kwargs):
    settings = {
        "backbone": _pooled,
        "training": _training(**(training or {})),
        "classes_per_task": 2,
        "memory": _MEMORY,
        "alignment": _alignment(),
    }
    return ClassIncremental(**{**settings, **kwargs})


def _stream(data_dir=None, counts=(2, 2, 2)):
    del data_dir
    return class_incremental_stream(toy_run.toy_stream(counts))


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
    _check_top5(learned)


def _check_top5(learned):
    """Against the logits of the run's end."""
    run = learned.run
    # Of tasks that know all six classes, also those not seen yet.
    top5 = run.results()["top5_accuracy_matrix"]
    assert [value is None for value in top5[0]] == [False, True, True]
    found = []
    for task in run.stream:
        images = task.preprocessing(tf.constant(task.test.images))
        logits = run.method.predict(images).numpy()
        best = np.argsort(logits, axis=-1)[:, -5:]
        found.append((best == task.test.labels[:, None]).any(-1).mean())
    np.testing.assert_allclose(top5[2], found, atol=1e-6)
    metrics = run.results()["metrics"]
    wanted = np.mean(found)
    np.testing.assert_allclose(metrics["average_top5_accuracy"], wanted)


def test_alignment_helps_heads_that_never_met(tmp_path):
    """And leaves no trace in the next task's first stage."""
    found = [
        toy_run.learn(
            tmp_path / str(bool(chosen)), _method(alignment=chosen), _stream
        ).run
        for chosen in (None, _alignment())
    ]
    accuracies = [run.journal.accuracy_matrix(3)[2].mean() for run in found]
    assert accuracies[1] >= accuracies[0]
    for plain, aligned in zip(*(run.method._unaligned for run in found)):
        np.testing.assert_array_equal(plain, aligned)


@pytest.mark.parametrize(
    "mode, scrambles", [("frozen", "none"), ("finetuned", "all")]
)
def test_the_first_stage_is_the_published_one(mode, scrambles):
    """Virtual batch, momentum, decay, and old heads that scramble.

    The second task has fewer classes than the first. Rates are float32.
    """
    data = golden.load("memory_head/ci_heads.npz")
    cfg = json.loads(str(data["cfg"]))
    method = _published(cfg, scrambles)
    keys, memories = _published_start(method, data, cfg)
    units = cfg["key_mem_units"]
    for number, (inputs, labels) in enumerate(zip(data["X"], data["Y"])):
        batch = batch_of(inputs[:, None, None], labels)
        batch = batch._replace(step=tf.constant(number))
        logits = method.network()(batch.images)
        np.testing.assert_allclose(
            logits, data[f"{mode}_logits"][number], rtol=1e-6, atol=1e-8
        )
        update = method.train_step(batch)
        share = cfg["virtual_batch"] // cfg["batch"]
        np.testing.assert_allclose(
            update.loss / share, data[f"{mode}_loss"][number], rtol=1e-6
        )
        apply(method, update)
        for head in (0, 1):
            wanted = data[f"{mode}_h{head}_M"][number][0]
            found = memories.numpy()[units * head : units * (head + 1)]
            np.testing.assert_allclose(
                found[:, : wanted.shape[1]], wanted, rtol=1e-6, atol=1e-8
            )
            np.testing.assert_allclose(
                keys[head], data[f"{mode}_h{head}_K"][number][0], atol=1e-8
            )
        found = method.network().memory_heads[0].scrambles.numpy()
        wanted = [
            data[f"{mode}_h{head}_scrambling_count"][number][0]
            for head in (0, 1)
        ]
        np.testing.assert_array_equal(found, wanted)


def _published(cfg, scrambles):
    """A method like the published one at the begin of its second task."""
    sizes, size = cfg["task_sizes"], cfg["d"]
    memory = {
        "memory_units": cfg["key_mem_units"],
        "delta": cfg["delta"],
        "key_rate": cfg["beta_k"],
        "inverse_temperature": cfg["gamma_alpha"],
        "match_threshold": cfg["tau_alpha"],
        "usage_threshold": cfg["tau_mu"],
        "age_threshold": cfg["tau_eta"],
        "scramble_score": "scaled",
        "dtype": "float64",
    }
    method = _method(
        {
            "optimizer": functools.partial(
                SGDMomentum, cfg["lr"], cfg["momentum"]
            ),
            "virtual_batch": cfg["virtual_batch"],
            "weight_decay": cfg["weight_decay"],
        },
        backbone=pixels,
        memory=memory,
        classes_per_task=sizes[1],
        first_classes=sizes[0],
        old_scrambles=scrambles,
    )
    names = tuple(map(str, range(sum(sizes))))
    spec = StreamSpec(
        "golden", (1, 1, size), ("old", "new"), (names, names), cfg["batch"]
    )
    method.setup(spec, 0)
    return method


def _published_start(method, data, cfg):
    """Gives the published start values; returns keys and memories."""
    (layer,) = method.network().memory_heads
    memories, units = np.zeros(layer.memories.shape), cfg["key_mem_units"]
    for head in (0, 1):
        values = data[f"init_h{head}_M"][0]
        rows = slice(units * head, units * (head + 1))
        memories[rows, : values.shape[1]] = values
    layer.memories.assign(memories)
    for variable, name in (
        (layer.keys, "K"),
        (layer.usage, "mu"),
        (layer.age, "eta"),
        (layer.scrambles, "scrambling_count"),
    ):
        parts = [data[f"init_h{head}_{name}"] for head in (0, 1)]
        variable.assign(np.concatenate(parts))
    method.current.assign(1)
    method._virtual.begin_task(cfg["steps"])
    return layer.keys, layer.memories


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
    """Inside a virtual batch as well, and with a smaller last task."""
    learned = toy_run.assert_kills_change_nothing(
        tmp_path,
        lambda: _method({"epochs": 2, "virtual_batch": 48}, classes_per_task=3),
        moments=3,
        stream=functools.partial(_stream, counts=(3, 3, 2)),
    )
    matrix = learned.run.journal.accuracy_matrix(3)
    assert matrix[2].mean() > 1.0 / 4.0, matrix


def _tiny_vit(image_shape):
    return vit(image_shape, patch=4, width=8, depth=1, heads=2)


_EARLY = Clock(0, 0, 4, ())


def _one_step(method, clock):
    """Changes of the variables in the first step on 16 images."""
    stream = _stream()
    method.setup(stream.spec(), 0)
    method.begin_task(stream.tasks[0])
    before = {o.name: o.variable.numpy() for o in method.shared}
    for name, schedule in method.training.rates().items():
        method.optimizers[name].learning_rate.assign(schedule(clock))
    split = stream.tasks[0].train
    images = np.float32(split.images[:16]) / 255.0
    apply(method, method.train_step(batch_of(images, split.labels[:16])))
    return {o.name: o.variable.numpy() - before[o.name] for o in method.shared}


def test_the_backbone_learns_at_its_own_rate():
    # A large rate, beside which rounding is small.
    schedule = StepDecay(10.0, (3,))
    late = Clock(3, 3, 4, ())
    steps = [
        _one_step(
            _method(
                {"backbone_rate": rate, "pretrained": False}
                | {"schedule": schedule},
                backbone=_tiny_vit,
                head="linear",
            ),
            clock,
        )
        for rate, clock in ((1.0, _EARLY), (0.1, late))
    ]
    backbone = [name for name in steps[0] if name.startswith("block")]
    assert len(backbone) == 12
    ratios = {name: 0.01 for name in [*backbone, "tokens/positions"]}
    for name, ratio in {**ratios, "heads/kernel": 0.1}.items():
        fast, slow = (change[name] for change in steps)
        assert np.abs(slow).max() > 1e-5
        np.testing.assert_allclose(slow, ratio * fast, atol=1e-6)


def test_a_frozen_backbone_rests():
    changes = _one_step(_method(backbone=_tiny_vit), _EARLY)
    moved = {name for name, change in changes.items() if change.any()}
    assert moved <= {
        f"heads/{name}"
        for name in ("memories", "keys", "usage", "age", "key_counter")
    } | {"heads/scrambles"}
    assert "heads/memories" in moved


def test_a_trained_transformer_answers_and_is_served(tmp_path):
    learned = toy_run.learn(
        tmp_path,
        _method(
            {
                "optimizer": keras.optimizers.Adam,
                "schedule": Constant(0.01),
                "backbone_rate": 1.0,
                "pretrained": False,
                "epochs": 6,
            },
            backbone=_tiny_vit,
        ),
        functools.partial(_stream, counts=(2, 2)),
    )
    # From nothing and at the full rate it learns, and forgets.
    matrix = learned.run.journal.accuracy_matrix(2)
    assert matrix[0, 0] > 0.9 and matrix[1, 1] > 0.9, matrix
    method = learned.run.method
    images = tf.constant(np.random.default_rng(0).normal(size=(3, 8, 8, 3)))
    images = tf.cast(images, tf.float32)
    path = tmp_path / "served.keras"
    method.network().lower().save(path)
    np.testing.assert_allclose(
        keras.models.load_model(path)(images),
        method.predict(images),
        atol=1e-5,
    )


def test_a_virtual_batch_is_a_large_batch():
    """Of linear heads, which have no update of their own; the last is short."""
    generator = np.random.default_rng(0)
    images = generator.normal(size=(48, 8, 8, 3)).astype(np.float32)
    labels = np.arange(48) % 2
    found = []
    for size in (16, 32):
        method = _method({"virtual_batch": 32}, head="linear")
        spec = dataclasses.replace(_stream().spec(), batch_size=size)
        method.setup(spec, 0)
        method.current.assign(0)
        method._virtual.begin_task(-(-48 // size))
        for step in range(-(-48 // size)):
            rows = slice(step * size, (step + 1) * size)
            batch = batch_of(images[rows], labels[rows])
            update = method.train_step(batch._replace(step=tf.constant(step)))
            # A short last batch counts by its examples.
            if size == 32 and step == 1:
                ((name, gradients, variables),) = update.gradients
                half = [tf.convert_to_tensor(g) / 2 for g in gradients]
                update = update._replace(gradients=[(name, half, variables)])
            apply(method, update)
        found.append([o.variable.numpy() for o in method._heads])
    for one, other in zip(*found):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_only_the_first_old_head_may_scramble():
    method = _method(
        memory={**_MEMORY, "age_threshold": 0, "match_threshold": 2.0},
        old_scrambles="first",
    )
    stream = _stream()
    method.setup(stream.spec(), 0)
    method.current.assign(2)
    split = stream.tasks[2].train
    batch = batch_of(np.float32(split.images[:8]), split.labels[:8])
    apply(method, method.train_step(batch))
    (layer,) = method.network().memory_heads
    np.testing.assert_array_equal(layer.scrambles, [1, 0, 1])


@pytest.mark.parametrize("moves", [True, False])
def test_keys_move_in_the_second_stage_when_they_are_not_frozen(moves):
    """The newest head's, by the layer's own rule; old heads scramble alone."""
    method = _method(
        memory={**_MEMORY, "age_threshold": 0, "match_threshold": 2.0},
        keys_in_alignment=moves,
    )
    stream = _stream()
    method.setup(stream.spec(), 0)
    method.current.assign(1)
    layer = method.heads.layer
    features = tf.random.stateless_normal((32, layer.features), [1, 2])
    drawn = mock.patch.object(method.statistics, "drawn")
    before = [v.numpy() for v in layer.state_variables]
    state = layer.state()
    _, reading = layer.read(features)
    wanted = {
        rate: layer.updated(state, reading, **changes)
        for rate, changes in ((None, {}), (0.0, {"key_rate": 0.0}))
    }
    split = stream.tasks[1].train
    batch = batch_of(np.float32(split.images[:1]), split.labels[:1])
    with drawn as function:
        function.return_value = features
        update = method.alignment_step(batch)
        update.before_apply()
    found = [v.numpy() for v in layer.state_variables]
    if not moves:
        for old, new in zip(before, found):
            np.testing.assert_array_equal(old, new)
        return
    for number, (old, new) in enumerate(zip(before, found)):
        parts = (wanted[0.0], wanted[None])
        for task, value in enumerate([*parts, None]):
            value = old if value is None else value[number].numpy()
            one, other = (each.reshape(3, -1)[task] for each in (new, value))
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(layer.scrambles, [1, 1, 0])
    # Keys: of the newest head more than the scrambled one. (Old ones are
    # brought to unit length again.)
    moved = (np.abs(found[0] - before[0]) > 1e-5).any(-1).sum(-1)
    assert moved[0] == 1 and moved[1] > 1 and moved[2] == 0


def test_keys_that_move_in_the_second_stage_survive_kills(tmp_path):
    toy_run.assert_kills_change_nothing(
        tmp_path,
        lambda: _method(keys_in_alignment=True),
        moments=2,
        stream=_stream,
    )


def test_every_class_is_drawn_equally_often():
    order = AlignmentOrder(classes=5, size=4)
    drawn = []
    for step in range(3):
        seed = tf.constant([7, step])
        labels, keep = order.labels(tf.constant(3), tf.constant(step), seed)
        keep()
        drawn.append(labels.numpy())
    np.testing.assert_array_equal(
        np.bincount(np.concatenate(drawn), minlength=5), [4, 4, 4, 0, 0]
    )
    assert any(len(set(labels)) > 1 for labels in drawn)
    again, _ = order.labels(tf.constant(3), tf.constant(0), tf.constant([8, 0]))
    assert (again.numpy() != drawn[0]).any()


def test_means_may_decay_by_the_size_of_the_newest_task():
    """As published: of tasks of 2, 2 and 1 classes, 3 counts as task 3."""
    seen = []

    class Statistics:
        def drawn(self, labels, factors, seed):
            seen.append(factors.numpy())
            return tf.ones((len(labels), 3))

    heads = TaskHeads("linear", (2, 2, 1), {})
    for by_current in (False, True):
        _alignment(decay_by_current=by_current).loss(
            heads, Statistics(), tf.range(5), tf.constant(2), None
        )
    for tasks, factors in zip(([0, 0, 1, 1, 2], [0, 1, 2, 3, 4]), seen):
        wanted = 0.9 + 0.1 * (np.array(tasks) + 1) / 3
        np.testing.assert_allclose(factors, wanted, rtol=1e-6)


def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`classes_per_task`.*Received"):
        _method(classes_per_task=3).setup(_stream().spec(), 0)
    for make, name, value in (
        (_training, "epochs", 0),
        (_training, "virtual_batch", 0),
        (_training, "weight_decay", -1e-4),
        (_training, "backbone_rate", -0.1),
        (_alignment, "epochs", 0),
        (_alignment, "size", 2.5),
        (_alignment, "temperature", -1.0),
        (_method, "head", "cosine"),
        (_method, "old_scrambles", "last"),
    ):
        with pytest.raises(ValueError, match=f"`{name}`.*Received"):
            make(**{name: value})
    with pytest.raises(ValueError, match="`keys_in_alignment` needs"):
        _method(alignment=None, keys_in_alignment=True)
    with pytest.raises(ValueError, match="`old_scrambles`.*linear"):
        _method(head="linear", old_scrambles="all")
    spec = _stream().spec()
    for name, value in (
        ("classes_per_task", 0),
        ("classes_per_task", 7),
        ("classes_per_task", 4),
        ("first_classes", 7),
    ):
        with pytest.raises(ValueError, match=f"`{name}`.*Received"):
            _method(**{name: value}).setup(spec, 0)
    with pytest.raises(ValueError, match="`virtual_batch`.*multiple.*16"):
        _method({"virtual_batch": 24}).setup(spec, 0)
    with pytest.raises(ValueError, match="`backbone_rate`.*without weights"):
        _method({"backbone_rate": 0.1}).setup(spec, 0)
    with pytest.raises(ValueError, match="`stream`"):
        class_incremental_stream(
            functools.partial(
                repeated_stream, toy_run.toy_stream((2, 2)), [0, 1, 0]
            )
        )
    with pytest.raises(UserError, match="comes again"):
        _method().resume_task(_stream().tasks[0], {})
    method = _method(classes_per_task=2, first_classes=3)
    uneven = _stream(counts=(2, 3, 2))
    method.setup(uneven.spec(), 0)
    with pytest.raises(ValueError, match="`first_classes`.*has 2 classes"):
        method.begin_task(uneven.tasks[0])
