"""Every shipped gin file builds a run that learns, on made-up images."""

import json
import pathlib
import re

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf

from data_builders.skill.tasks import TASKS
from tests.testing import folders, image_sets
from tests.testing.methods import first_training
from tfcl import configuration
from tfcl.data.sources import tfds_source
from tfcl.engine.experiment import Experiment
from tfcl.errors import UserError
from tfcl.methods.work import Scan
from tfcl.optimizers.schedules import Clock

_GIN = pathlib.Path(__file__).resolve().parents[1] / "gin"
_KINDS = ("augmentation", "methods", "streams")
_RUNS = sorted(p for p in _GIN.glob("*.gin") if p.name != "base.gin")
_PARTS = sorted(p for p in _GIN.glob("*/*.gin") if p.parent.name in _KINDS)
# The sequences of SPG, and the methods compared on them.
_SPG = re.compile(r"\w+_(c10|c20|t10|t20|i100|fc10|fc20|fe10|fe20)(_short)?$")
_OFFICE_HOME = image_sets.MadeUpSet((9, 9, 3), 65, {"train": 10})
# Runs with the network that `made_up_applications` stands for.
_OF_KERAS = (
    "cpg_finegrained_imagenet",
    "cpg_finetune_finegrained",
    "cpg_finetune_finegrained_short",
    "packnet_finegrained",
)
_OF_FEATURES = (
    "mh_ns_imagenet",
    "mh_ns_imagenet_resnet18",
    "mh_ci_cifar100",
)
_FINE_LABELS = tuple(
    sorted(
        label
        for line in (_GIN / "streams/cifar100_superclasses.gin")
        .read_text(encoding="utf-8")
        .splitlines()
        if line.startswith("    [")
        for label in re.findall(r'"(\w+)"', line)
    )
)
_ALPHABETS = tuple(
    f"{name}_{k}" for name in ("Greek", "Tifinagh") for k in range(6)
)
# Real shapes, as few images as the streams' percentages and counts allow.
_SETS = {
    "cifar10": image_sets.MadeUpSet(
        (32, 32, 3), 10, {"train": 210, "test": 1000}
    ),
    "cifar100": image_sets.MadeUpSet(
        (32, 32, 3), _FINE_LABELS, {"train": 26, "test": 4}
    ),
    "digits": image_sets.MadeUpSet((8, 8, 1), 10, {"train": 26, "test": 4}),
    "mnist": image_sets.MadeUpSet(
        (28, 28, 1), 10, {"train": 700, "test": 1000}
    ),
    "office_home_product": _OFFICE_HOME,
    "office_home_real_world": _OFFICE_HOME,
    "omniglot": image_sets.MadeUpSet(
        (105, 105, 3), _ALPHABETS, {"train": 20, "test": 20}
    ),
    # Any shape: the stream brings them to its own.
    **{
        name: image_sets.MadeUpSet((8, 8, 3), 3, {"train": 12, "test": 4})
        for name in (
            "adience_age0",
            "adience_age1",
            "adience_age2",
            "adience_age3",
            "adience_age4",
            "affectnet",
            "chalearn_gender",
            "cub_cropped",
            "flowers_cpg",
            "imagenet2012",
            "sketches",
            "stanford_cars_cropped",
            "vggface2_face_verification",
            "wikiart_piggyback",
        )
    },
    "lfw_pairs": image_sets.MadeUpSet((8, 8, 3), 2, {"test": 10}),
    **{
        f"skill_{task.plain_name}": image_sets.MadeUpSet(
            (8, 8, 3), 2, {"train": 20, "test": 2}
        )
        for task in TASKS
    },
    "tiny_imagenet": image_sets.MadeUpSet(
        (64, 64, 3), 200, {"train": 10, "test": 3}
    ),
    "imagenet32": image_sets.MadeUpSet(
        (32, 32, 3), 1000, {"train": 10, "test": 3}
    ),
    "fceleba": image_sets.MadeUpSet(
        (21, 17, 3), 2, {"train": 300, "test": 120}, users=20
    ),
    "femnist": image_sets.MadeUpSet(
        (28, 28, 1), 62, {"train": 300, "test": 120}, users=21
    ),
    **{
        f"mini_imagenet_{version}": image_sets.MadeUpSet(
            (8, 8, 3), 4, {"train": 10, "validation": 4, "test": 4}
        )
        for version in ("original", "noise_1", "noise_2")
    },
    "cars196": image_sets.MadeUpSet((8, 8, 3), 196, {"train": 4, "test": 2}),
    "imagenet_r": image_sets.MadeUpSet((8, 8, 3), 200, {"train": 10}),
    "stl10": image_sets.MadeUpSet((24, 24, 3), 10, {"train": 80, "test": 4}),
}


@pytest.fixture(autouse=True)
def made_up_data(monkeypatch):
    image_sets.replace_open_split(monkeypatch, _SETS)


@pytest.fixture(autouse=True)
def made_up_points(monkeypatch):
    """In place of sets of points, which would be built."""

    def read_columns(name, split, keys, data_dir):
        del name, split, data_dir
        generator = np.random.default_rng(0)
        groups = np.repeat(np.arange(8), 20)
        columns = {
            "point": generator.uniform(-1, 1, (160, 2)),
            "label": groups % 4,
            "domain": groups // 4,
            "distribution": groups,
        }
        return {key: columns[key] for key in keys}, tuple("abcd")

    monkeypatch.setattr(tfds_source, "read_columns", read_columns)


def _made_up_network(module):
    """In place of a network whose weights would be downloaded."""

    def small(include_top=True, weights=None, input_tensor=None, pooling=None):
        assert weights in ("imagenet", None)
        assert pooling == (None if include_top else "avg")
        inputs = input_tensor
        if inputs is None:
            inputs = keras.Input((8, 8, 3))
        hidden = keras.layers.Conv2D(4, 3, name="conv")(inputs)
        hidden = keras.layers.BatchNormalization(name="norm")(hidden)
        hidden = keras.layers.GlobalAveragePooling2D()(hidden)
        if include_top:
            hidden = keras.layers.Dense(3)(hidden)
        return keras.Model(keras.utils.get_source_inputs(hidden), hidden)

    # The module has the rule for images.
    small.__module__ = module
    return small


@pytest.fixture(autouse=True)
def made_up_applications(monkeypatch):
    for name in ("ResNet50", "MobileNetV3Small"):
        module = getattr(keras.applications, name).__module__
        monkeypatch.setattr(keras.applications, name, _made_up_network(module))


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
        _take_two_steps(run)
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
    for name, size in (("birds", (20, 30)), ("cars", (9, 9))):
        folders.draw_task(folder / "my", name, {"x": 15, "y": 15}, size=size)
    return [f"folder_stream.root = '{folder / 'my'}'"]


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
        ]
        if not path.stem.endswith("_features"):
            # Applied in the second step.
            smaller.append("VIRTUAL_BATCH = 16")
    if path.stem.endswith(("_r", "_cars196")):
        smaller.append("class_split_stream.image_size = 32")
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


def _take_two_steps(run):
    # Joint training of a whole stream begins with the last task.
    once = getattr(run.method, "every_task", True) is False
    task = run.stream.tasks[-1 if once else 0]
    with run.strategy.scope():
        run.method.begin_task(task)
    phase = first_training(run.method.phases(task))
    # A task may go without training, and be pruned at once.
    assert (
        isinstance(phase, Scan)
        or phase.epochs == 1
        or phase.name.startswith(("prune", "retrain"))
    )
    for name, schedule in phase.rates.items():
        rate = schedule(Clock(epoch=0, run_epoch=0, epochs=1, history=()))
        run.method.optimizers[name].learning_rate.assign(rate)
    split = phase.data or task.train
    owned = run.method.shared + run.method.slot
    before = [v.variable.numpy() for v in owned]
    sums, done, bad, skipped, _ = run.runner.train(
        phase, split, np.arange(len(split)), 0, 2, 10, [1, 2], False
    )
    assert (done, bad, skipped) == (2, -1, 0)
    if phase.name.startswith("fill"):  # a buffer; it trains later
        assert len(run.method.buffer.kept()) > 1
        return
    assert np.isfinite(sums["loss"]) and sums["loss"] > 0
    after = [v.variable.numpy() for v in owned]
    assert not all(map(np.array_equal, before, after))


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


@pytest.mark.parametrize("path", _RUNS, ids=lambda path: path.stem)
def test_a_file_begins_by_saying_what_it_is_or_builds_on(path):
    assert re.match(r'# \w|include "gin/', path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", _PARTS, ids=lambda path: path.stem)
def test_a_part_is_included_somewhere(path):
    name = path.relative_to(_GIN.parent).as_posix()
    if re.match(r"streams/(modes|moons)_", f"streams/{path.name}"):
        return  # Given as a second file.
    including = [
        other
        for other in _GIN.rglob("*.gin")
        if f'include "{name}"' in other.read_text(encoding="utf-8")
    ]
    assert including


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
    "method", ["online", "mir", "agem", "gdumb", "ensemble"]
)
def test_every_online_method_takes_images_and_a_backbone(method, tmp_path):
    configuration.load(
        [
            "gin/base.gin",
            f"gin/methods/{method}.gin",
            "gin/streams/online_digits.gin",
        ],
        [],
    )
    run = Experiment(model_dir=tmp_path / "run")
    tf.config.run_functions_eagerly(True)
    try:
        configuration.check_all_used()
        _take_two_steps(run)
    finally:
        tf.config.run_functions_eagerly(False)
        run.close()
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
