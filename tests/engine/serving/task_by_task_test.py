"""One SavedModel of all tasks, for every method, against the single ones."""

import functools
import io
import json

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from tests.methods.class_incremental import class_incremental_test as increments
from tests.methods.clr.clr_test import small_network
from tests.testing import toy_run
from tfcl.data.preprocessing import Preprocessing
from tfcl.engine.serving.export import ServedTask, plain_network
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.methods import (
    CPG,
    DARTS,
    DEN,
    EWC,
    HAT,
    LASEM,
    SPG,
    BruteForce,
    ChannelGating,
    DeconvTransfer,
    FineTuning,
    FrozenBackbone,
    Individual,
    Joint,
    LwF,
    PackNet,
    ParallelConvolutions,
    ProgNN,
    Rehearsal,
    StaticTransfer,
    SupSup,
    TuckerTransfer,
)
from tfcl.testing import learned, tiny_training, undrawn_figures

_COUNTS = (2, 3, 2)
_DECONV = {"bases": ((2, 4), (2, 6)), "filters": ((3, 6), (3, 8))}


def _training(**options):
    return tiny_training(**{"epochs": 1, "hidden_units": (), **options})


_METHODS = {
    "lasem": lambda: LASEM(_training()),
    "darts": lambda: DARTS(_training()),
    "brute_force": lambda: BruteForce(_training()),
    "shared": lambda: StaticTransfer(_training(), "11"),
    "tucker": lambda: StaticTransfer(_training(), "10", TuckerTransfer()),
    "deconv": lambda: StaticTransfer(
        _training(), "10", DeconvTransfer(**_DECONV)
    ),
    "spg": lambda: SPG(_training()),
    "hat": lambda: HAT(_training()),
    "ewc": lambda: EWC(_training()),
    "lwf": lambda: LwF(_training()),
    "heads": lambda: FineTuning(_training(), heads="per_task"),
    "one_head": lambda: FineTuning(_training()),
    "rehearsal": lambda: Rehearsal(_training(), capacity=32),
    "joint": lambda: Joint(_training()),
    "frozen": lambda: FrozenBackbone(_training()),
    "individual": lambda: Individual(_training()),
    "cpg": lambda: CPG(_training()),
    "packnet": lambda: PackNet(_training()),
    "supsup": lambda: SupSup(_training()),
    "den": lambda: DEN(_training()),
    "gating": lambda: ChannelGating(_training(), hidden_units=4),
    "prognn": lambda: ProgNN(_training()),
    "parallel": lambda: ParallelConvolutions(_training()),
    "norms": lambda: EWC(_training(backbone=small_network)),
}


# Bytes of a kernel and bias of each layer of `_training`, in float32.
_BACKBONE = 4 * (27 * 6 + 6 + 54 * 8 + 8)
_HEADS = 4 * sum((32 + 1) * count for count in _COUNTS)
_STORED = {
    # The backbone once, and a head per task.
    "ewc": _BACKBONE + _HEADS,
    "frozen": _BACKBONE + _HEADS,
    # Embeddings of 6 and 8 units per task.
    "hat": _BACKBONE + 3 * 4 * 14 + _HEADS,
    # Kernels without biases; a bit per weight and task.
    "supsup": 4 * (162 + 432) + 3 * (-(-162 // 8) + 432 // 8) + _HEADS,
    "individual": 3 * _BACKBONE + _HEADS,
}

_INCREMENTS = {
    head: functools.partial(increments._method, head=head)
    for head in ("memory", "linear")
}


@pytest.fixture(name="tasks", scope="module", params=[*_METHODS, *_INCREMENTS])
def _tasks(request, tmp_path_factory):
    """The `LearnedTasks` of a method."""
    folder = tmp_path_factory.mktemp("run") / "run"
    make = {**_METHODS, **_INCREMENTS}[request.param]
    with undrawn_figures():
        if request.param in _INCREMENTS:
            toy_run.learn(folder, make(), increments._stream)
        else:
            # One head needs tasks of one size.
            same = request.param in ("one_head", "rehearsal")
            learned(folder, make(), class_counts=(2,) * 3 if same else _COUNTS)
    return LearnedTasks(folder, make())


def _served(path):
    return tf.saved_model.load(str(path)).signatures["serving_default"]


def _variable_bytes(path):
    """Bytes of the variables of a SavedModel."""
    reader = tf.train.load_checkpoint(str(path / "variables/variables"))
    types = reader.get_variable_to_dtype_map()
    return sum(
        int(np.prod(shape)) * types[key].size
        for key, shape in reader.get_variable_to_shape_map().items()
        if key.endswith("VARIABLE_VALUE") and "save_counter" not in key
    )


def test_a_mixed_batch_is_answered_like_the_tasks_one_by_one(
    tasks, tmp_path, request
):
    entries = [tasks.find(name) for name in tasks.names]
    path = tasks.export_bundle(entries, tmp_path)
    serve = _served(path)
    size = (7, *entries[0].preprocessing.image_shape)
    images = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    numbers = np.array([0, 2, 1, 1, 0, 2, 2])
    found = serve(
        images=tf.constant(images), tasks=tf.constant(numbers, tf.int32)
    )
    widest = max(len(entry.class_names) for entry in entries)
    assert found["probabilities"].shape == (7, widest)
    separate = 0
    for number, entry in enumerate(entries):
        rows = numbers == number
        model = plain_network(tasks.method, entry)
        separate += sum(w.numpy().nbytes for w in model.weights)
        single = ServedTask(model, entry.preprocessing, entry.class_names)
        wanted = single.serve(tf.constant(images[rows]))
        mine = {key: value.numpy()[rows] for key, value in found.items()}
        count = len(entry.class_names)
        # Other forms of the networks may be smaller together.
        close = 0.0 if len(tasks.method.network().forms()) == 1 else 1e-6
        np.testing.assert_allclose(
            mine["probabilities"][:, :count], wanted["probabilities"], 0, close
        )
        assert not mine["probabilities"][:, count:].any()
        names = [name.encode() for name in entry.class_names]
        spare = [b""] * (widest - count)
        assert mine["class_names"].tolist() == [names + spare] * rows.sum()
        np.testing.assert_array_equal(mine["labels"], wanted["labels"])
    about = json.loads((path / "assets" / "model.json").read_text())
    told = about["weights_bytes"]
    assert told == {"bundle": _variable_bytes(path), "one_by_one": separate}
    assert told["bundle"] <= told["one_by_one"]
    name = request.node.callspec.params["tasks"]
    assert told["bundle"] == _STORED.get(name, told["bundle"])


def test_files_and_sizes_are_those_of_each_task(tmp_path):
    """Tasks may cut their images differently; CLR's bundle cannot."""
    with undrawn_figures():
        learned(tmp_path / "run", _METHODS["ewc"](), class_counts=_COUNTS)
    tasks = LearnedTasks(tmp_path / "run", _METHODS["ewc"]())
    entries = [tasks.find(name) for name in tasks.names]
    shape = entries[0].preprocessing.image_shape
    for entry, resize in zip(entries, ("stretch", "crop", "centre_crop")):
        entry.preprocessing = Preprocessing(
            shape, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7), resize
        )
    path = tasks.export_bundle(entries, tmp_path)
    serve = tf.saved_model.load(str(path)).signatures["serving_bytes"]
    images = np.random.default_rng(0).integers(0, 256, (3, 9, 20, 3), np.uint8)
    files = []
    for image in images:
        file = io.BytesIO()
        PIL.Image.fromarray(image).save(file, "PNG")
        files.append(file.getvalue())
    found = serve(files=tf.constant(files), tasks=tf.constant([0, 1, 2]))
    pixels = _served(path)(
        images=tf.constant(images), tasks=tf.constant([0, 1, 2])
    )
    for number, entry in enumerate(entries):
        wanted = tasks.probabilities(entry, images[number : number + 1])[0]
        for answer in (found, pixels):
            row = answer["probabilities"][number, : len(wanted)]
            np.testing.assert_allclose(row, wanted, atol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"be 0\.\.2"):
        serve(files=tf.constant(files), tasks=tf.constant([0, 1, 3]))
    empty = _served(path)(
        images=tf.zeros((0, 9, 9, 3), tf.uint8), tasks=tf.zeros(0, tf.int32)
    )
    assert empty["probabilities"].shape == (0, 3)
