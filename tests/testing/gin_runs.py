"""Runs of shipped gin files on made-up data of the streams' shapes."""

import gc
import re

import keras
import numpy as np
import tensorflow as tf

from tests.testing import folders, image_sets
from tfcl import configuration
from tfcl.configuration import parts
from tfcl.data.sources import tfds_source
from tfcl.data_builders.skill.tasks import TASKS
from tfcl.engine.experiment import Experiment
from tfcl.methods.work import Accumulate, Scan
from tfcl.optimizers.schedules import Clock
from tfcl.testing import first_training

GIN = parts.FOLDER
_OFFICE_HOME = image_sets.MadeUpSet((9, 9, 3), 65, {"train": 10})
_FINE_LABELS = tuple(
    sorted(
        label
        for line in (GIN / "data/cifar100_superclasses.gin")
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
SETS = {
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
    **{
        f"{name}_{bucket}": image_sets.MadeUpSet(
            (9, 9, 3), classes, {"train": 4, "test": 1}
        )
        for name, classes in (("clear10", 11), ("clear100", 100))
        for bucket in range(1, 11)
    },
    "fashion_mnist": image_sets.MadeUpSet(
        (28, 28, 1), 10, {"train": 12, "test": 4}
    ),
    **{
        f"office_home_{domain}": _OFFICE_HOME
        for domain in ("art", "clipart", "product", "real_world")
    },
    **{
        f"domainnet_{domain}": image_sets.MadeUpSet(
            (9, 9, 3), 345, {"train": 4, "test": 1}
        )
        for domain in (
            *("clipart", "infograph", "painting"),
            *("quickdraw", "real", "sketch"),
        )
    },
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


def stand_in(monkeypatch):
    """Puts made-up data and networks in the place of what is downloaded."""
    image_sets.replace_open_split(monkeypatch, SETS)
    monkeypatch.setattr(tfds_source, "read_columns", _read_columns)
    for name in ("ResNet50", "MobileNetV3Small"):
        module = getattr(keras.applications, name).__module__
        monkeypatch.setattr(keras.applications, name, _made_up_network(module))


def _read_columns(name, split, keys, data_dir):
    """In place of sets of points, which would be built."""
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


def own_images(folder):
    """Draws a user's images, some of any size; returns their folder."""
    for name, size in (("birds", (20, 30)), ("cars", (9, 9))):
        folders.draw_task(folder / "my", name, {"x": 15, "y": 15}, size=size)
    return folder / "my"


def take_two_steps(run):
    """Two steps of the first training; something must have changed."""
    # Joint training of a whole stream begins with the last task.
    once = getattr(run.method, "every_task", True) is False
    task = run.stream.tasks[-1 if once else 0]
    with run.strategy.scope():
        run.method.begin_task(task)
    phase = first_training(run.method.phases(task))
    if isinstance(phase, Accumulate):
        _take_one_pass(run, task, phase)
        return
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
    size = min(10, len(split) // 2)
    sums, done, bad, skipped, _ = run.runner.train(
        phase, split, np.arange(len(split)), 0, 2, size, [1, 2], False
    )
    assert (done, bad, skipped) == (2, -1, 0)
    if phase.name.startswith("fill"):  # a buffer; it trains later
        assert len(run.method.sampler.kept()) > 1
        return
    assert np.isfinite(sums["loss"]) and sums["loss"] > 0
    after = [v.variable.numpy() for v in owned]
    assert not all(map(np.array_equal, before, after))


def _take_one_pass(run, task, work):
    """The pass of a method without training; its classes must be known."""
    head = run.method.head
    weights = [head.kernels[-1], head.biases[-1]]
    before = [v.numpy() for v in weights]
    run.runner.accumulate(work, task.train, 8, np.array([1, 2], np.int32))
    work.then()
    after = [v.numpy() for v in weights]
    assert all(np.isfinite(value).all() for value in after)
    assert not any(map(np.array_equal, before, after))


# What makes a pair small: lines that a run does not ask for are left out.
_SMALL = """
EPOCHS = 1
WEIGHTS = None
IMAGE_SIZE = {side}
VIRTUAL_BATCH = 16
BATCH_SIZE = 8
BATCH_SIZES = [4, 4, 4, 4]
Experiment.exports = False
class_split_stream.image_size = {side}
dataset_stream.image_size = {side}
dataset_stream.batch_size = 4
dataset_stream.validation_fraction = 0.4
folder_stream.image_size = 33
folder_stream.batch_size = 8
feature_stream.cache_dir = '{folder}'
office_home_stream.image_size = 24
spg_sequence.per_class = (8, 2, 3)
cifar_resnet.depth = 8
cpg_resnet.depth = 18
cpg_resnet.width = 0.02
cpg_vgg.layers = (4, 'M', 4, 'M')
cpg_vgg.hidden_units = (8,)
resnet_torchvision.depth = 18
spg_alexnet.channels = (4, 4, 4)
spg_alexnet.hidden_units = (8, 8)
spherenet.channels = (4, 4, 4, 4)
spherenet.units = (1, 1, 1, 1)
vit.width = 8
vit.depth = 1
vit.heads = 2
vit.image_size = 32
GENERAL_BLOCKS = (0,)
EXPERT_BLOCKS = (0,)
"""
_MODULES = (
    *("data.streams.class_split", "data.streams.dataset_stream"),
    *("data.streams.feature_stream", "data.streams.folder_stream"),
    *("data.streams.office_home", "data.streams.spg_sequences"),
    *("engine.experiment", "models.backbones.cifar_resnet"),
    *("models.backbones.cpg_resnet", "models.backbones.cpg_vgg"),
    *("models.backbones.resnet_torchvision", "models.backbones.spg_alexnet"),
    *("models.backbones.spherenet", "models.backbones.vit"),
)


def load_pair(monkeypatch, folder, stream, method, bindings=()):
    """Loads `--stream --method` on small images and networks.

    Args:
        monkeypatch: pytest's.
        folder: Temporary folder.
        stream, method: Names.
        bindings: Further ones.
    """
    side = {"faces": 16, "ns_mi": 8}
    side |= dict.fromkeys(("ci_im", "ci_ca", "ci_ci"), 32)
    text = "".join(f"import tfcl.{module}\n" for module in _MODULES)
    text += _SMALL.format(
        side=side.get(stream[:5], 33), folder=folder / "features"
    )
    resized = ("ci_", "ns_", "fine", "skill", "faces")
    if not stream.startswith((*resized, "office_home_d", "domainnet", "clear")):
        # Sizes that the data have by themselves.
        text = re.sub(r"(class_split|dataset)_stream\.\w+ = .*\n", "", text)
    own_size = stream.startswith(("ci_digits", "ci_cifar"))
    if own_size and stream != "ci_cifar100_224":
        text = re.sub(r"class_split_stream\.\w+ = .*\n", "", text)
    if stream == "skill53":
        # DF-CNN of a ResNet-18 takes gigabytes.
        text += "BACKBONE = @cifar_resnet\nPRETRAINED_BACKBONE = %BACKBONE\n"
    small = folder / "small.gin"
    small.write_text(text)
    part_of = parts.part_of
    monkeypatch.setattr(
        parts,
        "part_of",
        lambda path: (
            parts.Part("schedules", "small.gin")
            if path == str(small)
            else part_of(path)
        ),
    )
    bindings = [*bindings]
    if "folders" in stream:
        bindings.append(f"folder_stream.root = '{own_images(folder)}'")
    # What digits do not bring: a transformer for prompts.
    network = None
    if method in ("l2p", "dualprompt") and "digits" in stream:
        network = "vit_digits"
    files = parts.files([], stream, method, network)
    configuration.load([*files, str(small)], bindings)


def built(folder):
    """The run of what is loaded, whose parts all exist."""
    return Experiment(model_dir=folder / "run")


def run_pair(folder, traced=False):
    """Builds what is loaded and takes two steps; returns the method."""
    run = built(folder)
    # A trace costs more than the steps themselves.
    tf.config.run_functions_eagerly(not traced)
    try:
        configuration.check_all_used()
        take_two_steps(run)
        return run.method
    finally:
        tf.config.run_functions_eagerly(False)
        run.close()
        # Hundreds of pairs in one process.
        keras.backend.clear_session()
        gc.collect()
