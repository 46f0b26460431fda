"""The nine sequences: orders of the program, subsets, users, bad input."""

import dataclasses
import types

import numpy as np
import pytest
import tensorflow as tf

from tests.testing import golden, image_sets
from tfcl.data.preprocessing import Preprocessing, grey_levels
from tfcl.data.streams import spg_sequences
from tfcl.data.streams.spg_sequences import (
    SEQUENCES,
    STATISTICS,
    class_order,
    spg_sequence,
    user_order,
)
from tfcl.data_builders.imagenet32 import imagenet32_dataset_builder
from tfcl.errors import UserError

_DATA = golden.load("spg/class_order.npz")
_CLASSES = {"cifar100": 100, "tiny_imagenet": 200, "imagenet32": 1000}
_SETS = {
    # Large sets, few images of each class.
    "cifar100": image_sets.MadeUpSet(
        (32, 32, 3), 100, {"train": 12, "test": 4}
    ),
    "tiny_imagenet": image_sets.MadeUpSet(
        (64, 64, 3), 200, {"train": 12, "test": 4}
    ),
    "imagenet32": image_sets.MadeUpSet(
        (32, 32, 3), 1000, {"train": 12, "test": 4}
    ),
    "fceleba": image_sets.MadeUpSet(
        (21, 17, 3), 2, {"train": 300, "test": 120}, users=20
    ),
    "femnist": image_sets.MadeUpSet(
        (28, 28, 1), 62, {"train": 300, "test": 120}, users=21
    ),
}
_FEW = (8, 2, 3)


@pytest.fixture(autouse=True)
def made_up_data(monkeypatch):
    image_sets.replace_open_split(monkeypatch, _SETS)


@pytest.mark.parametrize("key", sorted(_DATA))
def test_orders_are_those_of_the_program(key):
    name, seed, *users = key.split(".")
    assert name in SEQUENCES
    seed = int(seed.removeprefix("seed"))
    if users:
        found = user_order(SEQUENCES[name].num_tasks, seed)
    else:
        made_of = SEQUENCES[name]
        classes = _CLASSES[made_of.dataset]
        found = class_order(classes, made_of.num_tasks, seed)
    np.testing.assert_array_equal(found, _DATA[key])


@pytest.mark.parametrize("name", SEQUENCES)
def test_tasks_have_the_stated_classes_and_sizes(name):
    made_of = SEQUENCES[name]
    stream = spg_sequence(name, 2, batch_size=8, per_class=_FEW)
    assert (stream.name, stream.batch_size) == (name, 8)
    assert len(stream) == made_of.num_tasks
    classes = 2 if "celeba" in name else 62 if "femnist" in name else None
    classes = classes or _CLASSES[made_of.dataset] // len(stream)
    for task in stream:
        assert task.num_classes == classes
        assert task.train.image_shape == made_of.image_shape
        sizes = [len(s) for s in (task.train, task.validation, task.test)]
        assert sizes == [count * classes for count in _FEW]
        mean, std = STATISTICS[made_of.image_shape[-1]]
        np.testing.assert_allclose(task.train.mean[0], np.float32(mean))
        np.testing.assert_allclose(task.test.std[0], np.float32(std))


def test_a_class_split_names_the_classes_of_the_program():
    stream = spg_sequence("cifar100_10", seed=3, per_class=_FEW)
    order = _DATA["cifar100_10.seed3"]
    for task, classes in zip(stream, order):
        assert task.class_names == tuple(f"class_{c}" for c in classes)
    # A column is a label: the images are those of its class.
    source = spg_sequences.tfds_source.open_split("cifar100", "test")
    task = stream.tasks[4]
    for image, label in zip(task.test.images, task.test.labels):
        same = (source.images(np.arange(len(source))) == image).all((1, 2, 3))
        assert set(source.labels[same]) == {order[4][label]}


def test_splits_are_disjoint_mixed_and_stratified():
    sizes = {"train": [30, 10, *[12] * 98], "test": 4}
    sets = {"cifar100": image_sets.MadeUpSet((32, 32, 3), 100, sizes)}
    with pytest.MonkeyPatch.context() as patch:
        image_sets.replace_open_split(patch, sets)
        stream = spg_sequence("cifar100_10", per_class=_FEW)
    for task in stream:
        both = np.concatenate([task.train.images, task.validation.images])
        assert len(np.unique(both, axis=0)) == len(both) == 100
        labels = np.concatenate([task.train.labels, task.validation.labels])
        counts = np.bincount(labels, minlength=10)
        available = [sizes["train"][int(n[6:])] for n in task.class_names]
        share = np.array(available) * 100 / np.sum(available)
        assert (np.abs(counts - share) < 1).all()
        # In stored order, every batch sees many classes.
        assert all(
            len(set(task.train.labels[k : k + 20])) > 5
            for k in range(0, 80, 20)
        )


def test_seeds_decide_everything_and_repeat():
    def stream(seed):
        return spg_sequence("cifar100_20", seed, 8, per_class=_FEW)

    prints = [
        [task.fingerprint() for task in stream(seed)] for seed in (1, 1, 2)
    ]
    assert prints[0] == prints[1]
    assert not set(prints[0]) & set(prints[2])


def test_the_first_tasks_do_not_depend_on_their_number():
    some = spg_sequence("fceleba_10", 1, 8, num_tasks=3, per_class=_FEW)
    every = spg_sequence("fceleba_10", 1, 8, per_class=_FEW)
    assert [t.fingerprint() for t in some] == [
        t.fingerprint() for t in every.tasks[:3]
    ]


def test_several_sequences_make_one_stream():
    names, shape = ("femnist_10", "cifar100_10", "tinyimagenet_20"), (32, 32, 3)
    stream = spg_sequence(
        names, 2, 8, per_class=_FEW, num_tasks=22, image_shape=shape
    )
    assert stream.name == "femnist_10+cifar100_10+tinyimagenet_20"
    assert [t.name for t in stream] == [f"task_{k:02d}" for k in range(22)]
    assert [t.num_classes for t in stream] == 10 * [62] + 10 * [10] + 2 * [10]
    assert [len(t.earlier) for t in stream] == list(range(22))
    alone = [
        task
        for name in names
        for task in spg_sequence(name, 2, 8, per_class=_FEW, image_shape=shape)
    ]
    for task, other in zip(stream, alone):
        assert task.train.image_shape == shape
        assert task.train.digest() == other.train.digest()
        assert task.test.digest() == other.test.digest()
        assert task.preprocessing == other.preprocessing
    # Of one shape already: nothing to say, nothing resized.
    two = ("cifar100_10", "fceleba_10")
    assert len(spg_sequence(two, 1, 8, per_class=_FEW)) == 20


@pytest.mark.parametrize("same_user", [False, True])
def test_a_task_has_images_of_one_user(same_user):
    stream = spg_sequence(
        "femnist_10", seed=4, per_class=(2, 1, 1), same_user=same_user
    )
    train = spg_sequences.tfds_source.open_split("femnist", "train")
    everything = train.images(np.arange(len(train)))
    users = np.array([int(i.partition("/")[0]) for i in train.ids])
    for task, wanted in zip(
        stream, _DATA["femnist_10.seed4.taskorder_if_cached"]
    ):
        for image in task.train.images[:5]:
            same = (everything == image).all((1, 2, 3))
            assert set(users[same]) == {0 if same_user else wanted}
    # Of one user, every task is another subset.
    first = [task.train.images[:4].tobytes() for task in stream]
    assert len(set(first)) == len(first)


def test_images_become_what_the_program_makes_of_them():
    data = golden.load("spg/preprocess.npz")
    shape = data["tiny.out"].shape
    mean, std = STATISTICS[shape[-1]]
    resize = Preprocessing(shape, mean, std)
    found = resize(tf.constant(data["tiny.in"][None]))[0]
    np.testing.assert_allclose(found, data["tiny.out"], atol=1e-6)
    draws = np.random.RandomState(int(data["seed"]) + 1)
    # The size of CelebA's images, which the file does not hold.
    face = draws.randint(0, 256, (218, 178, 3)).astype(np.uint8)
    for image, key in ((data["tiny.in"], "tiny"), (face, "celeba")):
        wanted = data[f"{key}.resized"]
        levels = grey_levels(tf.constant(image[None]), wanted.shape, "stretch")
        np.testing.assert_array_equal(levels[0], wanted)
    shape = data["femnist.out"].shape
    mean, std = STATISTICS[shape[-1]]
    # The builder of femnist truncates; one channel is one number.
    pixels = (255 * data["femnist.in"]).astype(np.uint8).reshape(shape)
    found = Preprocessing(shape, (mean,), (std,))(tf.constant(pixels[None]))[0]
    np.testing.assert_allclose(found, data["femnist.out"], atol=1e-6)


@pytest.mark.parametrize(
    ("reading", "key"), [("scrambled", "reference"), ("planar", "planar")]
)
def test_both_readings_of_imagenet_are_those_of_the_file(reading, key):
    data = golden.load("spg/preprocess.npz")
    config = types.SimpleNamespace(name=reading)
    builder = types.SimpleNamespace(builder_config=config)
    found = imagenet32_dataset_builder.Builder._image(
        builder, data["imagenet32.in"]
    )
    np.testing.assert_array_equal(found, data[f"imagenet32.{key}"])


def test_the_published_sizes():
    """Table 1 of the paper and the program's configurations."""
    wanted = {
        "cifar100_10": (4500, 500, 1000),
        "cifar100_20": (2250, 250, 500),
        "tinyimagenet_10": (9000, 1000, 1000),
        "tinyimagenet_20": (4500, 500, 500),
        "imagenet_100": (10_000, 1_000, 500),
        "fceleba_10": (400, 40, 80),
        "fceleba_20": (400, 40, 80),
        "femnist_10": (3100, 310, 620),
        "femnist_20": (3100, 310, 620),
    }
    for name, sizes in wanted.items():
        made_of = SEQUENCES[name]
        classes = {"fceleba": 2, "femnist": 62}.get(made_of.dataset)
        classes = classes or _CLASSES[made_of.dataset] // made_of.num_tasks
        assert tuple(n * classes for n in made_of.per_class) == sizes
        assert int(name.rpartition("_")[2]) == made_of.num_tasks


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sequence": "cifar100_30"}, "`sequence` must be one of cifar100_10,"),
        ({"num_tasks": 11}, "`num_tasks` must be 1..10"),
        ({"num_tasks": 0}, "`num_tasks` must be 1..10"),
        ({"seed": -1}, "`seed`"),
        ({"per_class": (1, 2)}, "`per_class` must hold three"),
        ({"per_class": (1, 0, 2)}, "`per_class` must hold three"),
        ({"same_user": True}, "`same_user` is for"),
        ({"sequence": "tinyimagenet_10", "dataset": "fceleba"}, "divide the 2"),
        ({"image_shape": (32, 32)}, "`image_shape` must be .height, width"),
        ({"image_shape": (32, 32, 2)}, "1 or 3 channels"),
        (
            {"sequence": ("cifar100_10", "femnist_10")},
            r"cifar100_10 \(32, 32, 3\), femnist_10 \(28, 28, 1\).*stretched",
        ),
        ({"sequence": ("cifar100_10", "mnist_5")}, "one of .*mnist_5"),
        ({"sequence": ()}, "`sequence` must"),
        (
            {"sequence": ("cifar100_10", "fceleba_10"), "num_tasks": 21},
            "`num_tasks` must be 1..20 for cifar100_10, fceleba_10",
        ),
        (
            {"sequence": ("cifar100_10", "fceleba_10"), "same_user": True},
            "`same_user` is for",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    arguments = {"sequence": "cifar100_10", "per_class": _FEW, **options}
    with pytest.raises(ValueError, match=message):
        spg_sequence(**arguments)


def test_classes_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="must divide the 100 classes.*=30"):
        class_order(100, 30, seed=1)


def test_too_few_images_name_class_and_numbers():
    counts = [12] * 100
    counts[_DATA["cifar100_10.seed1"][2][5]] = 3
    sets = {
        "cifar100": image_sets.MadeUpSet(
            (32, 32, 3), 100, {"train": counts, "test": 4}
        )
    }
    with pytest.MonkeyPatch.context() as patch:
        image_sets.replace_open_split(patch, sets)
        with pytest.raises(
            UserError,
            match=r"'task_02', split 'train and validation': 111 images, 120 "
            r"are asked for.*'class_\d+': 3, where 12 per class",
        ):
            spg_sequence("cifar100_10", per_class=(10, 2, 3))
    with pytest.raises(UserError, match="split 'test': 40 images, 50 are"):
        spg_sequence("cifar100_10", per_class=(8, 2, 5))


def test_too_few_users_are_named():
    sets = {"fceleba": dataclasses.replace(_SETS["fceleba"], users=4)}
    with pytest.MonkeyPatch.context() as patch:
        image_sets.replace_open_split(patch, sets)
        with pytest.raises(UserError, match="no images of user 4, 10 users"):
            spg_sequence("fceleba_10", per_class=_FEW)
    with pytest.raises(UserError, match="does not tell users"):
        spg_sequence("fceleba_10", per_class=_FEW, dataset="cifar100")
