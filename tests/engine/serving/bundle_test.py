"""All tasks in one SavedModel, against the tasks one by one."""

import functools
import json
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tests.methods.clr.clr_test import small_network
from tfcl.data.preprocessing import Preprocessing
from tfcl.engine.serving import bundle
from tfcl.engine.serving.bundle import export_bundle
from tfcl.engine.serving.export import plain_network
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.engine.serving.served_facts import ServedFacts
from tfcl.errors import UserError
from tfcl.methods.baselines.individual import Individual
from tfcl.methods.clr.clr import CLR
from tfcl.testing import learned, tiny_training

_COUNTS = (2, 3, 2)

_FACTS = ServedFacts(1, {})


def _training(**kwargs):
    settings = {"backbone": small_network, "dropout": 0.0, "epochs": 2}
    return tiny_training(**{**settings, **kwargs})


def _layered(image_shape):
    """Normalisations of other kinds, and a model inside the model."""
    layers = keras.layers
    inputs = keras.Input(image_shape)
    inner = keras.Sequential(
        [
            keras.Input(image_shape),
            layers.DepthwiseConv2D(3, padding="same", name="deep"),
            layers.BatchNormalization(name="inner_norm"),
        ],
        name="inner",
    )
    hidden = layers.Conv2D(6, 3, strides=2, name="conv")(inner(inputs))
    hidden = layers.LayerNormalization(name="layer")(hidden)
    hidden = layers.Conv2D(6, 1, activation="gelu", name="mix")(hidden)
    hidden = layers.GroupNormalization(2, scale=False, name="group")(hidden)
    hidden = layers.BatchNormalization(center=False, name="late")(hidden)
    return keras.Model(inputs, layers.Flatten()(hidden))


_METHODS = {
    "clr": lambda: CLR(_training(hidden_units=())),
    "gated, hidden layer": lambda: CLR(_training(hidden_units=(5,)), "gated"),
    "norms": lambda: CLR(_training(hidden_units=()), "norms"),
    "other layers": lambda: CLR(
        _training(backbone=_layered, hidden_units=()), "scale"
    ),
}


@pytest.fixture(name="open_run", scope="module")
def _open_run(tmp_path_factory):
    """Function from a name of `_METHODS` to (run, `LearnedTasks`)."""

    @functools.cache
    def opened(name):
        folder = tmp_path_factory.mktemp("run") / "run"
        run = learned(folder, _METHODS[name](), class_counts=_COUNTS)
        return run, LearnedTasks(folder, _METHODS[name]())

    return opened


def _images(run, tasks):
    """One test image for each of the task numbers."""
    splits = [run.stream.tasks[task].test for task in tasks]
    return np.stack([s.images[k] for k, s in enumerate(splits)])


@pytest.mark.parametrize("name", _METHODS)
def test_mixed_batches_are_served_like_the_tasks_one_by_one(
    name, open_run, tmp_path
):
    run, tasks = open_run(name)
    entries = [tasks.find(each) for each in tasks.names]
    path = tasks.export_bundle(entries, tmp_path)
    loaded = tf.saved_model.load(str(path))
    listed = loaded.signatures["tasks"]()["names"].numpy()
    assert [each.decode() for each in listed] == tasks.names
    serve = loaded.signatures["serving_default"]
    for numbers in ([0, 2, 1, 1, 0, 2, 2], [1, 1, 1], [2]):
        images = _images(run, numbers)
        found = serve(
            images=tf.constant(images), tasks=tf.constant(numbers, tf.int32)
        )
        for row, (number, image) in enumerate(zip(numbers, images)):
            entry = entries[number]
            wanted = tasks.probabilities(entry, tf.constant(image[None]))[0]
            probabilities = found["probabilities"][row].numpy()
            count = len(entry.class_names)
            np.testing.assert_allclose(probabilities[:count], wanted, atol=2e-5)
            assert not probabilities[count:].any()
            label = entry.class_names[int(np.argmax(wanted))]
            assert found["labels"][row].numpy().decode() == label


def test_what_tasks_share_is_stored_once(open_run, tmp_path):
    _, tasks = open_run("clr")
    entries = [tasks.find(each) for each in tasks.names]
    sizes = []
    for count in (1, 2, 3):
        path = tasks.export_bundle(entries[:count], tmp_path / str(count))
        reader = tf.train.load_checkpoint(str(path / "variables/variables"))
        sizes.append(
            sum(
                int(np.prod(shape))
                for key, shape in reader.get_variable_to_shape_map().items()
                if key.endswith("VARIABLE_VALUE")
            )
        )
    shared = sum(int(np.prod(v.variable.shape)) for v in tasks.method.shared)
    # 6 filters with their norm folded in, 8 without one (their bias is 0),
    # and a head as wide as the widest task.
    head = tasks.method.head
    numbers = int(np.prod(head.kernels[0].shape)) + max(_COUNTS)
    own = (9 + 1) * (6 + 8) + numbers
    assert sizes == [shared + count * own for count in (1, 2, 3)]


def test_a_task_that_was_not_learned_has_no_number(open_run, tmp_path):
    run, tasks = open_run("clr")
    entries = [tasks.find(each) for each in tasks.names[:2]]
    path = tasks.export_bundle(entries, tmp_path)
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    images = tf.constant(_images(run, [0]))
    for number in (2, -1):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=r"must be 0\.\.1"
        ):
            serve(images=images, tasks=tf.constant([number], tf.int32))


def test_tasks_are_called_by_their_names(open_run, tmp_path):
    run, tasks = open_run("clr")
    entries = [tasks.find(each) for each in tasks.names]
    path = tasks.export_bundle(entries, tmp_path)
    served = tf.saved_model.load(str(path)).signatures
    numbers = [2, 0, 1, 2]
    images = _images(run, numbers)
    names = [tasks.names[number] for number in numbers]
    files = [tf.io.encode_png(each).numpy() for each in images]
    for inputs, by_number, by_name in (
        ({"images": images}, "serving_default", "serving_names"),
        ({"files": files}, "serving_bytes", "serving_bytes_names"),
    ):
        inputs = {key: tf.constant(each) for key, each in inputs.items()}
        wanted = served[by_number](**inputs, tasks=tf.constant(numbers))
        found = served[by_name](**inputs, task_names=tf.constant(names))
        assert sorted(found) == sorted(wanted)
        for key, value in wanted.items():
            assert (found[key].numpy() == value.numpy()).all()


def test_an_unknown_name_is_answered_with_the_known_ones(open_run, tmp_path):
    run, tasks = open_run("clr")
    entries = [tasks.find(each) for each in tasks.names[:2]]
    path = tasks.export_bundle(entries, tmp_path)
    serve = tf.saved_model.load(str(path)).signatures["serving_names"]
    images = tf.constant(_images(run, [0, 0]))
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match="must be of task_00, task_01:.*fish",
    ):
        serve(images=images, task_names=tf.constant(["task_00", "fish"]))


def test_names_cost_no_second_network(open_run, tmp_path):
    _, tasks = open_run("clr")
    entries = [tasks.find(each) for each in tasks.names]
    path = tasks.export_bundle(entries, tmp_path)
    graph = saved_model_pb2.SavedModel()
    graph.ParseFromString((path / "saved_model.pb").read_bytes())
    (meta,) = graph.meta_graphs
    holding = [
        each.signature.name
        for each in meta.graph_def.library.function
        if any(node.op == "Conv2D" for node in each.node_def)
    ]
    assert len(holding) == 2, "of images, and of files"


def test_each_task_has_its_own_preprocessing(open_run, tmp_path):
    run, tasks = open_run("clr")
    entries = [tasks.find(each) for each in tasks.names]
    shape = entries[0].preprocessing.image_shape
    entries[1].preprocessing = Preprocessing(
        shape, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7), "crop"
    )
    path = tasks.export_bundle(entries, tmp_path)
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    # Not square, so that it matters how it is resized.
    images = np.random.default_rng(0).integers(0, 256, (3, 9, 20, 3), np.uint8)
    found = serve(images=tf.constant(images), tasks=tf.constant([0, 1, 2]))
    for number, entry in enumerate(entries):
        image = tf.constant(images[number : number + 1])
        wanted = tasks.probabilities(entry, image)[0]
        row = found["probabilities"][number, : len(wanted)]
        np.testing.assert_allclose(row, wanted, atol=2e-5)
    entries[2].preprocessing = Preprocessing((16, 16, 3), (0.0,), (1.0,))
    with pytest.raises(UserError, match="takes features"):
        tasks.export_bundle(entries, tmp_path)


def test_a_task_called_like_the_bundle_is_refused(tmp_path):
    method = Individual(_training(hidden_units=(), epochs=1))
    entry = types.SimpleNamespace(name="bundle")
    with pytest.raises(UserError, match="--export_dir"):
        export_bundle(method, [entry], tmp_path, _FACTS)


def test_the_size_is_told_beside_that_of_single_exports(
    open_run, tmp_path, monkeypatch
):
    told = []
    monkeypatch.setattr(
        bundle.logging, "info", lambda text, *args: told.append(text % args)
    )
    _, tasks = open_run("clr")
    entries = [tasks.find(each) for each in tasks.names]
    path = tasks.export_bundle(entries, tmp_path)
    about = json.loads((path / "assets" / "model.json").read_text())
    sizes = about["weights_bytes"]
    wanted = sum(
        4 * plain_network(tasks.method, entry).count_params()
        for entry in entries
    )
    assert sizes["bundle"] < sizes["one_by_one"] == wanted
    assert told[-1] == (
        f"The bundle of 3 tasks holds {sizes['bundle'] / 1e6:.3g} MB of "
        f"weights; exported one by one they hold {wanted / 1e6:.3g} MB."
    )
