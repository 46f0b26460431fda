"""Every shipped gin file builds a run that learns, on made-up pictures."""

import pathlib
import re

import gin
import numpy as np
import pytest

from tfcl import configuration, randomness
from tfcl.data import tfds_source
from tfcl.engine.experiment import Experiment
from tfcl.optimizers.schedules import Clock

_GIN = pathlib.Path(__file__).resolve().parents[1] / "gin"
_RUNS = sorted(p for p in _GIN.glob("*.gin") if p.name != "base.gin")
_PARTS = sorted([*_GIN.glob("methods/*.gin"), *_GIN.glob("streams/*.gin")])
# Of the real data sets: shape of a picture, number of classes.
_SHAPES = {"cifar100": ((32, 32, 3), 100), "digits": ((8, 8, 1), 10)}
_PER_CLASS = {"train": 26, "test": 4}


class MadeUpPictures:
    """Stands for `tfds_source.LabelledImages`: noise, every class alike."""

    def __init__(self, name, split):
        self.image_shape, classes = _SHAPES[name]
        self.class_names = tuple(f"class_{k}" for k in range(classes))
        self.labels = np.tile(np.arange(classes), _PER_CLASS[split])
        self._key = (name, split)

    def images(self, indices):
        noise = randomness.generator(0, *self._key).integers(
            0, 256, (len(self.labels), *self.image_shape), np.uint8
        )
        return noise[indices]


@pytest.fixture(autouse=True)
def made_up_data(monkeypatch):
    monkeypatch.setattr(
        tfds_source,
        "open_split",
        lambda name, split, data_dir=None: MadeUpPictures(name, split),
    )


@pytest.fixture(autouse=True)
def no_bindings_left():
    yield
    gin.clear_config()


@pytest.mark.parametrize("path", _RUNS, ids=lambda path: path.stem)
def test_a_run_of_the_file_takes_two_steps(path, tmp_path):
    configuration.load(
        [f"gin/{path.name}"], ["EPOCHS = 1", "Experiment.exports = False"]
    )
    run = Experiment(model_dir=tmp_path / "run")
    try:
        configuration.check_all_used()
        _take_two_steps(run)
    finally:
        run.close()


def _take_two_steps(run):
    task = run.stream.tasks[0]
    with run.strategy.scope():
        run.method.begin_task(task)
    phase = next(run.method.phases(task))
    assert phase.epochs == 1
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
    assert np.isfinite(sums["loss"]) and sums["loss"] > 0
    after = [v.variable.numpy() for v in owned]
    assert not all(map(np.array_equal, before, after))


@pytest.mark.parametrize("path", _RUNS, ids=lambda path: path.stem)
def test_a_file_begins_by_saying_what_it_is_or_builds_on(path):
    assert re.match(r'# \w|include "gin/', path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", _PARTS, ids=lambda path: path.stem)
def test_a_part_is_included_somewhere(path):
    name = path.relative_to(_GIN.parent).as_posix()
    including = [
        other
        for other in _GIN.rglob("*.gin")
        if f'include "{name}"' in other.read_text(encoding="utf-8")
    ]
    assert including


def test_the_folder_is_no_package_that_hides_gin_config():
    assert not list(_GIN.rglob("*.py"))
