"""Tasks that share images of some classes."""

import functools

import numpy as np
import pytest

from tests.testing import image_sets, toy_run
from tfcl.data.scenario import CLASS, ONLINE, announced_to
from tfcl.data.scenarios.blurry_stream import blurry_stream
from tfcl.data.scenarios.online_stream import online_stream
from tfcl.data.scenarios.repeated_stream import repeated_stream
from tfcl.data.streams.class_split import class_split_stream
from tfcl.engine.task_agnostic import _owners
from tfcl.errors import UserError
from tfcl.methods import ClassIncremental, FineTuning, Rehearsal
from tfcl.models import pixels
from tfcl.testing import tiny_training

_SETS = {
    "cifar10": image_sets.MadeUpSet((8, 8, 3), 10, {"train": 60, "test": 8}),
}
_SPLITS = ("train", "validation", "test")


@pytest.fixture(autouse=True)
def made_up_data(monkeypatch):
    image_sets.replace_open_split(monkeypatch, _SETS)


def _inner(data_dir=None, **kwargs):
    settings = {"num_tasks": 5, "statistics": "none"}
    settings |= {"data_dir": data_dir, "batch_size": 10}
    return class_split_stream("cifar10", **{**settings, **kwargs})


def _images(stream, split):
    """`{image as bytes: (task, name of its class)}`."""
    found = {}
    for task in stream:
        part = task.splits[split]
        for image, label in zip(part.images[:], part.labels):
            assert image.tobytes() not in found
            found[image.tobytes()] = (task.index, task.class_names[label])
    return found


def _digests(stream):
    return [task.fingerprint() for task in stream]


def _shares(stream):
    """`{class: part of its training images that is not in its old task}`."""
    before, after = _images(_inner(), "train"), _images(stream, "train")
    moved = {}
    for image, (task, name) in before.items():
        moved.setdefault(name, []).append(after[image][0] != task)
    return {name: float(np.mean(each)) for name, each in moved.items()}


@pytest.mark.parametrize("seed", range(3))
def test_no_image_is_lost_doubled_or_takes_another_class(seed):
    stream = blurry_stream(_inner, seed=seed)
    assert (stream.name, stream.scenario) == ("cifar10_5_blurry", CLASS)
    for split in _SPLITS:
        before, after = _images(_inner(), split), _images(stream, split)
        assert before.keys() == after.keys()
        for image, (_, name) in before.items():
            assert after[image][1] == name


@pytest.mark.parametrize("blurred", [0.1, 0.3])
def test_half_of_the_classes_share_some_of_their_images(blurred):
    shares = _shares(blurry_stream(_inner, 0.5, blurred))
    assert sorted(shares.values()) == [0.0] * 5 + [blurred] * 5
    # One of each former task.
    for first in range(0, 10, 2):
        pair = [shares[f"class_{first + k}"] for k in range(2)]
        assert sorted(pair) == [0.0, blurred]


def test_shared_images_are_dealt_to_the_other_tasks_evenly():
    before = _images(_inner(), "train")
    after = _images(blurry_stream(_inner, 0.5, 0.32), "train")
    counts = {}
    for image, (task, name) in before.items():
        if after[image][0] != task:
            row = counts.setdefault(name, [0] * 5)
            row[after[image][0]] += 1
    for name, row in counts.items():
        own = int(name.partition("_")[2]) // 2
        assert row.pop(own) == 0
        assert row == [4] * 4  # 32 % of 50 images.


def test_a_class_belongs_to_the_task_that_trains_on_it_first():
    stream = blurry_stream(_inner)
    assert all(task.own_classes for task in stream)
    names = sum((task.own_classes for task in stream), ())
    assert len(names) == 10
    seen = set()
    for task in stream:
        assert task.class_names == names
        own = {names.index(name) for name in task.own_classes}
        trained = set(task.train.labels.tolist())
        # Its labels are behind those of all tasks before.
        assert own == set(range(len(seen), len(seen) + len(own)))
        assert own <= trained <= own | seen
        for split in (task.validation, task.test):
            assert set(split.labels.tolist()) == own
        seen |= own
    # All that is shared comes in the first task already, some of it.
    assert len(stream.tasks[0].own_classes) == 6
    assert len(stream.tasks[2].earlier) == 2


def test_whoever_asks_for_a_class_s_task_is_right():
    stream = blurry_stream(_inner)
    learned = [(task, task.index) for task in stream]
    owners = _owners(learned)
    for task in stream:
        for label in np.unique(task.test.labels):
            assert owners[label] == task.index
    method = FineTuning(tiny_training(1))
    method.spec = stream.spec()
    seen = [method.classes_of(stream.tasks[: k + 1]) for k in range(5)]
    assert seen == [6, 7, 8, 9, 10]
    for count, task in zip(seen, stream):
        assert task.train.labels.max() < count


def test_nothing_is_shared_if_nothing_is_to_be():
    for shares in ((1.0, 0.5), (0.5, 0.0)):
        stream = blurry_stream(_inner, *shares)
        for task, before in zip(stream, _inner()):
            assert task.own_classes == before.class_names
            for name, split in task.splits.items():
                own = before.splits[name]
                np.testing.assert_array_equal(split.images[:], own.images[:])


def test_seeds():
    heard = []
    with announced_to(lambda *told: heard.append(told)):
        digests = _digests(blurry_stream(_inner))
    assert heard == [(CLASS, "blurry_stream")]
    assert digests == _digests(blurry_stream(_inner))
    assert digests != _digests(blurry_stream(_inner, seed=1))
    assert digests != _digests(blurry_stream(_inner, blurred_share=0.2))


@pytest.mark.parametrize(
    "make",
    [FineTuning, functools.partial(Rehearsal, capacity=20)],
)
def test_methods_with_one_head_learn_it(make, tmp_path):
    method = make(tiny_training(1))
    run = toy_run.learn(tmp_path, method, lambda data_dir: _few()).run
    results = run.results()
    assert results["scenario"] == CLASS
    assert np.isfinite(results["accuracy_matrix"][-1]).all()
    assert sum(map(sum, results["task_agnostic"]["believed"])) == 10 * 8


def _few():
    return blurry_stream(_inner)


def test_a_head_per_task_cannot_learn_it(tmp_path):
    method = ClassIncremental(
        backbone=pixels,
        classes_per_task=1,
        first_classes=6,
        head="linear",
        alignment=None,
    )
    with pytest.raises(UserError, match="method with one head"):
        toy_run.learn(tmp_path, method, lambda data_dir: _few())


def test_it_can_be_seen_once():
    stream = online_stream(lambda data_dir: _few(), "domain", batch_size=5)
    (task,) = stream.tasks
    assert stream.scenario == ONLINE
    assert task.class_names == _few().tasks[0].class_names
    assert len(task.test) == 80


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (functools.partial(_inner, statistics="train"), "standardise all im"),
        (functools.partial(_inner, num_tasks=1), "two tasks or more"),
        (
            functools.partial(repeated_stream, _inner, [0, 1, 0, 2, 3, 4]),
            "each once",
        ),
    ],
)
def test_other_streams_are_refused(stream, message):
    with pytest.raises(ValueError, match=f"`stream` must .*{message}"):
        blurry_stream(stream)


@pytest.mark.parametrize(
    "share", [{"disjoint_share": 0.0}, {"blurred_share": 1.0}]
)
def test_shares_out_of_range_are_refused(share):
    (name,) = share
    with pytest.raises(ValueError, match=f"`{name}` must be float in"):
        blurry_stream(_inner, **share)
