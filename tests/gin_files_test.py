"""Every shipped row builds a run that learns, on made-up images."""

import json
import re

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import gin_runs
from tfcl import configuration
from tfcl.configuration import listing, parts
from tfcl.data.augmentation import BrightnessJitter, Cutout, RandomFlip
from tfcl.data.streams.class_split import class_split_stream
from tfcl.data.streams.dataset_stream import dataset_stream
from tfcl.data.training_crops import RandomAreaCrop, RandomPlaceCrop
from tfcl.engine.experiment import Experiment
from tfcl.errors import UserError

_GIN = gin_runs.GIN
_RUNS = sorted(p for p in _GIN.glob("*.gin") if p.name != "base.gin")
_FILES = sorted(_GIN.rglob("*.gin"))
_PIECES = ("augmentation", "data", "schedules", "training")
# The sequences of SPG, and the methods compared on them.
_SPG = re.compile(r"\w+_(c10|c20|t10|t20|i100|fc10|fc20|fe10|fe20)(_short)?$")
# Runs with the network that `gin_runs.stand_in` makes small.
_OF_KERAS = (
    "cpg_finegrained_imagenet",
    "individual_pretrained_finegrained",
    "individual_pretrained_finegrained_short",
    "packnet_finegrained",
)
_OF_FEATURES = (
    "mh_ns_imagenet",
    "mh_ns_imagenet_resnet18",
    "mh_ci_cifar100",
)


@pytest.fixture(autouse=True)
def made_up_data(monkeypatch):
    gin_runs.stand_in(monkeypatch)


@pytest.fixture(autouse=True)
def no_bindings_left():
    yield
    gin.clear_config()


@pytest.mark.parametrize("path", _RUNS, ids=lambda path: path.stem)
def test_a_run_of_the_file_takes_two_steps(path, tmp_path):
    configuration.load(
        [f"gin/{path.name}"],
        [
            *([] if _is_online(path) else ["EPOCHS = 1"]),
            "Experiment.exports = False",
            *_own_images(path, tmp_path),
            *_goals(path, tmp_path),
            *_smaller(path, tmp_path),
        ],
    )
    run = Experiment(model_dir=tmp_path / "run")
    # A trace costs more than the steps themselves. It depends on the method,
    # not on the values that a file binds: one file of each will do.
    traced = path.stem.endswith("_digits") and not _is_online(path)
    tf.config.run_functions_eagerly(not traced)
    try:
        configuration.check_all_used()
        gin_runs.take_two_steps(run)
    finally:
        tf.config.run_functions_eagerly(False)
        run.close()


def _is_online(path):
    """Whether a run sees its stream once."""
    return "_modes_" in path.stem or path.stem.startswith(
        ("er_digits", "mh_ns_imagenet")
    )


def _is_of_folders(path):
    """Whether a run learns a user's own images."""
    return "_folders" in path.stem or path.stem == "clr_keras_file"


def _own_images(path, folder):
    """What a user binds to learn own images: some of any size."""
    if not _is_of_folders(path):
        return []
    return [f"folder_stream.root = '{gin_runs.own_images(folder)}'"]


def _goals(path, folder):
    """What a user of CPG binds: the file that tfcl.goals has written."""
    if not path.stem.startswith(
        (
            "cpg_cifar100",
            "cpg_faces",
            "cpg_finegrained",
            "pae_cifar100",
            "pae_faces",
        )
    ):
        return []
    configuration.load([f"gin/{path.name}"], ["GoalFile.path = ''"])
    key = "class_split_stream.task_names"
    if "finegrained" in path.stem or "faces" in path.stem:
        key = "TASK_NAMES/gin.macro.value"
    names = gin.query_parameter(key)
    file = folder / "goals.json"
    file.write_text(json.dumps(dict.fromkeys(names, 0.5)))
    return [f"GoalFile.path = '{file}'"]


def _smaller(path, folder):
    """Bindings that spare a test the large networks and images."""
    if path.stem.startswith("clr"):
        few = ["folder_stream.batch_size = 8"] if _is_of_folders(path) else []
        return [*few, *_smaller_clr(path, folder)]
    if "finegrained" in path.stem:
        return _smaller_finegrained(path)
    if "faces" in path.stem:
        return [
            "IMAGE_SIZE = 16",
            "BATCH_SIZES = [4, 4, 4, 4]",
            "dataset_stream.validation_fraction = 0.4",
            "spherenet.channels = (4, 4, 4, 4)",
            "spherenet.units = (1, 1, 1, 1)",
        ]
    if path.stem.startswith(("cpg", "pae", "packnet")):
        return [
            "cpg_vgg.layers = (4, 'M', 4, 'M')",
            "cpg_vgg.hidden_units = (8,)",
        ]
    if _SPG.match(path.stem):
        return [
            "spg_sequence.per_class = (8, 2, 3)",
            "BATCH_SIZE = 8",
            "spg_alexnet.channels = (4, 4, 4)",
            "spg_alexnet.hidden_units = (8, 8)",
        ]
    if path.stem.startswith("mh_ns_imagenet") or "_ci_" in path.stem:
        return _smaller_memory_head(path, folder)
    if path.stem.endswith(("_cifar100", "_digits")) or _is_online(path):
        return []
    if path.stem == "cifar10_resnet20":
        return ["cifar_resnet.depth = 8"]
    if path.stem.endswith("_folders"):
        return ["lasem_cnn.channels = (4, 4, 4, 4)"]
    configuration.load([f"gin/{path.name}"], [])
    depth = len(gin.query_parameter("lasem_cnn.channels"))
    smaller = [f"lasem_cnn.channels = {(4,) * depth}"]
    if "office_home" in path.stem:
        smaller.append("office_home_stream.image_size = 24")
    return smaller


def _smaller_memory_head(path, folder):
    smaller = []
    if "cifar100_vit" in path.stem or path.stem.endswith(("_r", "_cars196")):
        smaller += [
            "WEIGHTS = None",
            "vit.width = 8",
            "vit.depth = 1",
            "vit.heads = 2",
            "vit.image_size = 32",
            "class_split_stream.image_size = 32",
        ]
        if not path.stem.endswith("_features"):
            # Applied in the second step.
            smaller.append("VIRTUAL_BATCH = 16")
    if "features" in path.stem or path.stem in _OF_FEATURES:
        folder /= "features"
        smaller.append(f"feature_stream.cache_dir = '{folder}'")
    if path.stem.startswith("mh_ns_imagenet"):
        smaller.append("IMAGE_SIZE = 8")
    if path.stem.endswith("_resnet18"):
        smaller.append("WEIGHTS = None")
    return smaller


def _smaller_finegrained(path):
    smaller = ["IMAGE_SIZE = 33", "dataset_stream.batch_size = 4"]
    if path.stem in _OF_KERAS:
        return smaller
    return [*smaller, "cpg_resnet.depth = 18", "cpg_resnet.width = 0.02"]


def _smaller_clr(path, folder):
    if path.stem == "clr_keras_file":
        inputs = keras.Input((33, 33, 3))
        hidden = keras.layers.Conv2D(4, 3, strides=2)(inputs)
        hidden = keras.layers.BatchNormalization()(hidden)
        hidden = keras.layers.Flatten()(hidden)
        file = folder / "mine.keras"
        keras.Model(inputs, keras.layers.Dense(3)(hidden)).save(file)
        return [f"KERAS_FILE = '{file}'", "folder_stream.image_size = 33"]
    if path.stem.endswith("_folders"):
        return ["folder_stream.image_size = 33"]
    if "skill53" in path.stem:
        return [
            "WEIGHTS = None",
            "dataset_stream.image_size = 33",
            "dataset_stream.batch_size = 4",
            "resnet_torchvision.depth = 18",
        ]
    return ["WEIGHTS = None", "cifar_resnet.depth = 8"]


_OWN_IMAGES = [p.stem for p in _RUNS if _is_of_folders(p)]


@pytest.mark.parametrize("name", _OWN_IMAGES)
def test_own_images_must_be_named(name):
    with pytest.raises(UserError, match="folder_stream.root.*is required"):
        configuration.load([f"gin/{name}.gin"], [])


@pytest.mark.parametrize(
    ("path", "bindings", "missing"),
    [
        ("gin/clr_cifar100_resnet20.gin", [], "WEIGHTS"),
        ("gin/clr_keras_file.gin", ["folder_stream.root = 'x'"], "KERAS_FILE"),
        ("gin/mh_ci_cifar100_vit.gin", [], "WEIGHTS"),
    ],
)
def test_pretrained_weights_must_be_named(path, bindings, missing):
    with pytest.raises(UserError, match=f"{missing}.*is required"):
        configuration.load([path], bindings)


@pytest.mark.parametrize(
    "name", [name for name in _OWN_IMAGES if name.startswith("clr")]
)
def test_own_images_are_treated_as_clr_treats_its_own(name):
    published = {}
    for file, stream in (
        ("clr_skill53", "dataset_stream"),
        (name, "folder_stream"),
    ):
        root = "folder_stream.root = 'x'"
        given = [root] if stream == "folder_stream" else []
        given += ["KERAS_FILE = 'x'"] if name == "clr_keras_file" else []
        configuration.load([f"gin/{file}.gin"], [*given, "WEIGHTS = None"])
        published[file] = [
            gin.query_parameter(f"{stream}.{option}")
            for option in ("batch_size", "resize")
        ]
    assert published[name] == published["clr_skill53"]


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_a_file_begins_by_saying_what_it_is(path):
    said = listing.sentence(path)
    assert re.match(r"[A-Z][^#]{10,300}\.$", said), said
    # The width of the listing is no place for how to call it.
    assert "--gin_" not in said and "import " not in said


@pytest.mark.parametrize(
    "path",
    [p for p in _FILES if p.parent.name in _PIECES],
    ids=lambda path: path.stem,
)
def test_a_piece_is_included_somewhere(path):
    name = path.relative_to(_GIN.parent).as_posix()
    assert [
        other
        for other in _FILES
        if f'include "{name}"' in other.read_text(encoding="utf-8")
    ]


@pytest.mark.parametrize(
    "path",
    sorted(_GIN.glob("streams/mo*s_*.gin")),
    ids=lambda path: path.stem,
)
def test_every_run_on_points_takes_every_stream(path, tmp_path):
    configuration.load(["gin/mh_modes_cdi.gin", f"gin/streams/{path.name}"], [])
    run = Experiment(model_dir=tmp_path / "run")
    run.close()
    assert run.stream.name == path.stem


@pytest.mark.parametrize(
    "method",
    ["online", "mir", "agem", "gdumb", "ensemble", "memory_head"],
)
def test_every_online_method_takes_images_and_a_backbone(method, tmp_path):
    configuration.load(parts.files([], "online_digits", method), [])
    run = Experiment(model_dir=tmp_path / "run")
    run.close()
    configuration.check_all_used()
    assert run.stream.name == "digits_5_online"
    backbone, _ = run.method.network().members[0]
    assert any(isinstance(la, keras.layers.Conv2D) for la in backbone.layers)


def test_features_of_the_published_network_in_the_published_order(tmp_path):
    path = _GIN / "mh_ns_imagenet_resnet18.gin"
    configuration.load([f"gin/{path.name}"], _smaller(path, tmp_path))
    run = Experiment(model_dir=tmp_path / "run")
    run.close()
    (task,) = run.stream.tasks
    assert task.train.image_shape == (1, 1, 512)
    # Three versions of four classes; validation knows the first half.
    np.testing.assert_array_equal(np.unique(task.train.groups), range(12))
    np.testing.assert_array_equal(np.unique(task.validation.groups), range(6))


def test_the_folder_is_no_package_that_hides_gin_config():
    assert not list(_GIN.rglob("*.py"))


# How images come to training and to tests, as the published programs have it


def _ways(stream):
    """Per task how images are resized, and the crop of training."""
    return [
        (
            task.preprocessing.resize,
            getattr(task.train.images, "crop", None),
        )
        for task in stream
    ]


@pytest.mark.parametrize(
    "name", ["individual_finegrained", "packnet_finegrained"]
)
def test_training_crops_whole_images_where_tests_take_their_middle(name):
    configuration.load([f"gin/{name}.gin"], [])
    area = RandomAreaCrop((0.08, 1.0), (3 / 4, 4 / 3), "bilinear", 256)
    cropped = ("centre_crop_bilinear", area)
    # Birds and cars are cropped to their objects, and stretched in both.
    wanted = [cropped, *[("bilinear", None)] * 2, *[cropped] * 3]
    stream = dataset_stream()
    assert _ways(stream) == wanted
    assert stream.spec().image_shape == (224, 224, 3)
    # Nothing crops a second time.
    changes = gin.query_parameter("TaskTraining.augmentation")
    names = [type(change.scoped_configurable_fn()) for change in changes]
    assert names == [RandomFlip, Cutout]


@pytest.mark.parametrize(
    ("name", "crop", "changes"),
    [
        (
            "mh_ci_cifar100_vit",
            RandomAreaCrop(interpolation="bicubic"),
            [RandomFlip, BrightnessJitter],
        ),
        (
            "slca_ci_imagenet_r",
            RandomAreaCrop(interpolation="bicubic"),
            [RandomFlip],
        ),
        ("mh_ci_cars196", RandomPlaceCrop(300, "bicubic"), [RandomFlip]),
    ],
)
def test_class_incremental_images_are_those_of_the_program(name, crop, changes):
    weights = ["WEIGHTS = None"]
    configuration.load([f"gin/{name}.gin"], weights)
    size = gin.query_parameter("class_split_stream.image_size")
    assert size == 224
    gin.clear_config()
    small = "class_split_stream.image_size = 32"
    configuration.load([f"gin/{name}.gin"], [*weights, small])
    assert set(_ways(class_split_stream())) == {("centre_crop", crop)}
    found = gin.query_parameter("HeadTraining.augmentation")
    made = [change.scoped_configurable_fn() for change in found]
    assert [type(change) for change in made] == changes
    if len(made) == 2:
        assert made[1].brightness == 63 / 255
