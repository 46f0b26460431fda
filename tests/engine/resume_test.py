"""A run killed at any moment ends as one that was never killed (F1, F3)."""

import functools
import os
import pathlib
import subprocess
import sys
import time

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import toy_run
from tfcl import configuration
from tfcl.data.synthetic import synthetic_stream
from tfcl.engine.loop import learn_stream
from tfcl.engine.storage.checkpoints import CheckpointPolicy
from tfcl.errors import Interrupted, RunError
from tfcl.methods.base import Update
from tfcl.methods.baselines.individual import Individual
from tfcl.methods.lasem.static_transfer import StaticTransfer
from tfcl.methods.work import Accumulate, Phase, Scan
from tfcl.optimizers.schedules import Constant, EarlyStopping


class PruneAndPick(StaticTransfer):
    """Two or three phases with host code between them that changes weights.

    The code is not idempotent (it prunes and rescales), and the number of
    phases depends on a result.
    """

    def __init__(self):
        super().__init__(toy_run.toy_training(), "11")
        self.kept = None

    def setup(self, spec, seed):
        super().setup(spec, seed)
        kernel = self.shared[0].variable
        self.kept = keras.Variable(
            np.ones(kernel.shape, "float32"), trainable=False, name="kept"
        )
        self.state = [*self.state, self.kept]

    def begin_task(self, task):
        super().begin_task(task)
        self.kept.assign(np.ones(self.kept.shape))

    def phases(self, task):
        result = yield self._phase("train", 2, self.train_step)
        self._prune(0.5)
        if result["validation/accuracy"] > 0.0:
            result = yield self._phase("pick", 1, self.masked_step)
            self._prune(0.75)
        if result["validation/accuracy"] > 2.0:
            raise AssertionError("A result is not what it was.")
        yield self._phase("polish", 1, self.masked_step)
        kernel = self.shared[0].variable
        kernel.assign(kernel * 1.25)

    def masked_step(self, batch):
        update = self.train_step(batch)
        name, gradients, variables = update.gradients[0]
        kernel = self.shared[0].variable.value
        masked = [
            g * self.kept.value if v is kernel else g
            for g, v in zip(gradients, variables)
        ]
        return Update(update.loss, update.metrics, [(name, masked, variables)])

    def _phase(self, name, epochs, step):
        rates = {"main": Constant(0.01)}
        return Phase(name, epochs, rates, steps=(step,))

    def _prune(self, part):
        kernel = self.shared[0].variable
        size = np.abs(kernel.numpy())
        self.kept.assign((size > np.quantile(size, part)).astype("float32"))
        kernel.assign(kernel * self.kept * 1.5)
        self.reset_optimizers()


def best_epoch_hps():
    """Stops early and goes back to its best epoch."""
    stop = EarlyStopping(2, monitor="validation/accuracy", mode="max")
    training = toy_run.toy_training(
        epochs=7, stop=stop, restore_best=True, schedule=Constant(0.03)
    )
    return StaticTransfer(training, "01")


METHODS = {
    "lasem": toy_run.toy_lasem,
    "phases": PruneAndPick,
    "best": best_epoch_hps,
}


@pytest.fixture(scope="module", autouse=True)
def _no_figures():
    with toy_run.no_figures():
        yield


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """Function from a name of `METHODS` to (`Learned`, `Snapshots`)."""

    @functools.cache
    def learned(name):
        folder = tmp_path_factory.mktemp(name)
        with toy_run.Snapshots(folder / "run", folder / "copies") as copies:
            outcome = toy_run.learn(folder / "run", METHODS[name]())
        return outcome, copies

    return learned


def test_a_kill_at_any_moment_changes_nothing(straight):
    wanted, copies = straight("lasem")
    # A layer was dropped after it had been kept: it takes old kernels back.
    notes = [task["method"] for task in wanted.results["tasks"]]
    assert any("0" in note["configuration"] for note in notes[1:]), notes
    chosen = [*copies.one_of_each(), *copies.spread(3)[:2]]
    # All tasks are learned, but results do not say so yet.
    chosen.append(copies.last("after save"))
    assert len(chosen) >= 20, [label for label, _ in chosen]
    for moment, folder in chosen:
        found = toy_run.learn(folder, toy_run.toy_lasem())
        toy_run.assert_same_outcome(found, wanted, moment)


@pytest.mark.parametrize("name", ["phases", "best"])
def test_kills_spread_over_a_run_change_nothing(straight, name):
    wanted, copies = straight(name)
    for moment, folder in copies.spread(5)[:4]:
        found = toy_run.learn(folder, METHODS[name]())
        toy_run.assert_same_outcome(found, wanted, f"{name}, {moment}")


class OnlineHead(Individual):
    """Learns a stream in one pass, example by example, compiled by XLA.

    Counts the examples of each class that it has seen.
    """

    def __init__(self):
        super().__init__(toy_run.toy_training(backbone=flat))
        self.seen = None

    def setup(self, spec, seed):
        super().setup(spec, seed)
        self.seen = _state((spec.max_classes,), "seen")
        self.state = [*self.state, self.seen]

    def begin_task(self, task):
        super().begin_task(task)
        self.seen.assign(np.zeros(self.seen.shape))

    def phases(self, task):
        rates = {"main": Constant(0.003)}
        yield Scan("stream", rates, boundaries=(16, 40, 64))

    def train_step(self, batch):
        update = super().train_step(batch)
        one = tf.one_hot(batch.labels[0], self.seen.shape[0])
        return update._replace(
            after_apply=lambda: self.seen.assign(self.seen + one)
        )

    def bank_notes(self):
        return {"seen": self.seen.numpy().tolist()}


class CountedData(Individual):
    """Trains, then adds up images and classes of the task's data."""

    def __init__(self):
        super().__init__(toy_run.toy_training(backbone=flat, epochs=1))
        self.images = self.classes = self.powers = None

    def setup(self, spec, seed):
        super().setup(spec, seed)
        self.images = _state(spec.image_shape, "images")
        self.classes = _state((spec.max_classes,), "classes")
        self.powers = {2: _state((), "squares"), 4: _state((), "fourths")}
        self.state = [
            *self.state,
            self.images,
            self.classes,
            *self.powers.values(),
        ]

    def phases(self, task):
        yield from super().phases(task)
        into = [self.images, self.classes]
        # 64 examples in batches of 10: the last one is smaller.
        yield Accumulate("sums", self.sums, into, batch_size=10)
        for exponent, variable in self.powers.items():
            step = functools.partial(self.power, exponent=exponent)
            yield Accumulate("powers", step, [variable], data=task.test)
        yield from super().phases(task)

    def sums(self, batch):
        classes = tf.one_hot(batch.labels, self.classes.shape[0])
        return [tf.reduce_sum(batch.images, 0), tf.reduce_sum(classes, 0)]

    def power(self, batch, exponent):
        return [tf.reduce_sum(batch.images**exponent)]


def flat(image_shape):
    """A backbone that only flattens."""
    inputs = keras.Input(image_shape)
    features = keras.layers.Flatten(name="features")(inputs)
    return keras.Model(inputs, features)


def _state(shape, name):
    return keras.Variable(np.zeros(shape, "float32"), False, name=name)


def test_a_stream_scanned_online_resumes_in_its_middle(tmp_path):
    options = {
        "stream": toy_run.toy_stream((2, 3)),
        "checkpoints": CheckpointPolicy(every_seconds=0.0, steps_per_call=12),
    }
    with toy_run.Snapshots(tmp_path / "run", tmp_path / "copies") as copies:
        wanted = toy_run.learn(tmp_path / "run", OnlineHead(), **options)
    assert wanted.run.runner.traces["train_step"] == 1
    for task, record in zip(wanted.run.stream, wanted.results["tasks"]):
        marks = [v["examples"] for v in record["phases"][0]["validations"]]
        assert marks == [16, 40, 64]
        assert record["steps"] == 64
        counts = np.bincount(task.train.labels, minlength=3)
        assert record["method"] == {"seen": counts.tolist()}
        assert record["test_accuracy"] > 0.9
    for moment, folder in copies.spread(3)[:2]:
        found = toy_run.learn(folder, OnlineHead(), **options)
        toy_run.assert_same_outcome(found, wanted, moment)


def test_sums_over_data_are_right_and_survive_kills(tmp_path):
    method = CountedData()
    with toy_run.Snapshots(tmp_path / "run", tmp_path / "copies") as copies:
        wanted = toy_run.learn(tmp_path / "run", method)
    task = wanted.run.stream.tasks[-1]
    split = task.train
    images = (split.images / np.float32(255) - split.mean) / split.std
    np.testing.assert_allclose(method.images, images.sum(0), rtol=1e-4)
    counts = np.bincount(split.labels, minlength=3)
    np.testing.assert_array_equal(method.classes, counts)
    test = (task.test.images / np.float32(255) - split.mean) / split.std
    for exponent, variable in method.powers.items():
        total = (test**exponent).sum()
        np.testing.assert_allclose(variable, total, rtol=1e-4)
    for moment, folder in copies.spread(4)[:3]:
        found = toy_run.learn(folder, CountedData())
        toy_run.assert_same_outcome(found, wanted, moment)


class Drawing(Individual):
    """Two passes that write down a random number of every batch."""

    def __init__(self):
        super().__init__(toy_run.toy_training(backbone=flat, epochs=1))
        self.numbers, self.found = None, []

    def setup(self, spec, seed):
        super().setup(spec, seed)
        self.numbers = _state((4,), "numbers")

    def phases(self, task):
        yield from super().phases(task)
        for _ in range(2):
            yield Accumulate("draws", self.draw, [self.numbers], then=self.keep)

    def draw(self, batch):
        number = tf.random.stateless_uniform((), batch.seed)
        return [number * tf.one_hot(batch.step, 4)]

    def keep(self):
        self.found += self.numbers.numpy().tolist()


def test_every_pass_draws_numbers_of_its_own(tmp_path):
    found = []
    for seed in (1, 2, 1):
        method, folder = Drawing(), tmp_path / str(len(found))
        toy_run.learn(folder, method, toy_run.toy_stream((2, 2)), seed=seed)
        found.append(method.found)
    # Batches, passes, tasks, and seeds.
    assert len(set(found[0] + found[1])) == 2 * 2 * 2 * 4
    assert found[0] == found[2]


@pytest.mark.parametrize("name", ["phases", "best"])
def test_a_kill_while_resuming_changes_nothing(straight, name, tmp_path):
    wanted, copies = straight(name)
    folder = copies.spread(5)[0][1]
    for kill in (1, 2):
        # The same run goes on again and again, each time a bit further.
        with toy_run.Snapshots(folder, tmp_path / str(kill)) as again:
            found = toy_run.learn(folder, METHODS[name]())
        toy_run.assert_same_outcome(found, wanted, f"kill {kill}")
        moment, folder = again.spread(3)[0]
    found = toy_run.learn(folder, METHODS[name]())
    toy_run.assert_same_outcome(found, wanted, moment)


def test_a_request_to_stop_saves_and_goes_on(straight, tmp_path):
    wanted, _ = straight("best")
    stops, seconds = 0, 0.0
    while True:
        run = toy_run.open_run(tmp_path, best_epoch_hps())
        # Working time is kept, too.
        assert run.journal.seconds > seconds or not stops
        seconds = run.journal.seconds
        train = run.runner.train
        calls = iter(range(100))

        def train_some(*args, run=run, train=train, calls=calls):
            run.stop_wished |= next(calls) == 8
            return train(*args[:-1], run.stop_wished)

        run.runner.train = train_some
        run.start({})
        before = run.journal.global_step
        try:
            learn_stream(run)
            break
        except Interrupted:
            stops += 1
            assert run.journal.global_step > before
        finally:
            run.close()
    assert stops >= 2
    found = toy_run.learn(tmp_path, best_epoch_hps())
    toy_run.assert_same_outcome(found, wanted)


def test_the_epoch_of_an_early_stop_is_validated(tmp_path):
    training = toy_run.toy_training(
        epochs=9, validate_every=4, stop=lambda clock: clock.epoch >= 2
    )
    stream = toy_run.toy_stream((2,))
    learned = toy_run.learn(tmp_path, StaticTransfer(training, "01"), stream)
    (phase,) = learned.results["tasks"][0]["phases"]
    assert phase["epochs"] == 2
    assert phase["validation/accuracy"] > 0.0


GIN = """
include "gin/base.gin"
include "gin/methods/lasem_training.gin"
include "gin/methods/lasem.gin"
include "gin/transfers/hard.gin"
import tfcl.data.synthetic

Experiment.stream = @synthetic_stream
Experiment.exports = False
synthetic_stream.class_counts = (2, 3, 2)
synthetic_stream.image_shape = (8, 8, 3)
synthetic_stream.test_size = 32
synthetic_stream.data_seed = %SEED

BACKBONE = @lasem_cnn
lasem_cnn.channels = (4, 5)
lasem_cnn.kernel_sizes = (3, 3)
lasem_cnn.pool_sizes = (2, 2)
HIDDEN_UNITS = (6,)
LEARNING_RATE = 0.01
DECAY = 0.01
EPOCHS = 4
CheckpointPolicy.every_seconds = 0.0
Runtime.threads = 1   # as in this process: sums over threads round apart
CheckpointPolicy.steps_per_call = 2
"""


def test_killed_processes_end_as_one_that_was_not(tmp_path):
    config = tmp_path / "toy.gin"
    config.write_text(GIN)
    wanted = _straight(config, tmp_path / "straight")

    # Neither the order of hashes nor the locale matters.
    killed = _process(config, tmp_path / "run", 1, LC_ALL="POSIX")
    _wait_for_checkpoint(tmp_path / "run", 9, killed)
    killed.kill()
    killed.wait()

    stopped = _process(config, tmp_path / "run", 2, LC_ALL="C.UTF-8")
    _wait_for_checkpoint(tmp_path / "run", 20, stopped)
    stopped.terminate()
    assert stopped.wait(timeout=60) == 75
    assert "tfcl: stopped:" in _output(tmp_path / "run")

    resumed = _process(config, tmp_path / "run", 3, LC_ALL="C")
    assert resumed.wait() == 0
    csv = (tmp_path / "run" / "accuracy_matrix.csv").read_bytes()
    assert csv == wanted.csv
    assert toy_run.bank_files(tmp_path / "run") == wanted.bank


def _straight(config, model_dir):
    """What the processes should come to, learned in this one."""
    configuration.load([str(config)], [])
    try:
        method = configuration.build("Experiment.method")
        return toy_run.learn(model_dir, method, synthetic_stream, seed=0)
    finally:
        gin.clear_config()


def _process(config, model_dir, hash_seed, **environment):
    command = [sys.executable, "-m", "tfcl.train", f"--gin_file={config}"]
    with open(f"{model_dir}.log", "a", encoding="utf-8") as log:
        return subprocess.Popen(
            [*command, f"--model_dir={model_dir}"],
            cwd=pathlib.Path(__file__).parents[2],
            env={
                **os.environ,
                "PYTHONHASHSEED": str(hash_seed),
                **environment,
            },
            stdout=log,
            stderr=log,
        )


def _wait_for_checkpoint(model_dir, number, process):
    for _ in range(20_000):
        files = (model_dir / "checkpoints").glob("ckpt-*.index")
        if any(int(f.stem.split("-")[1]) >= number for f in files):
            return
        assert process.poll() is None, _output(model_dir)
        time.sleep(0.005)
    process.kill()
    raise AssertionError(_output(model_dir))


def _output(model_dir):
    return pathlib.Path(f"{model_dir}.log").read_text(encoding="utf-8")


def _broken_stream(data_dir):
    raise RunError("no such data")


def test_a_start_that_fails_leaves_no_folder(tmp_path):
    with pytest.raises(RunError, match="no such data"):
        toy_run.open_run(tmp_path / "run", stream=_broken_stream)
    assert not (tmp_path / "run").exists()
    # One that was there stays.
    (tmp_path / "mine").mkdir()
    with pytest.raises(RunError, match="no such data"):
        toy_run.open_run(tmp_path / "mine", stream=_broken_stream)
    assert (tmp_path / "mine").exists()
    # And one that holds something.
    toy_run.learn(tmp_path / "run", stream=toy_run.toy_stream((2,)))
    with pytest.raises(RunError, match="no such data"):
        toy_run.open_run(tmp_path / "run", stream=_broken_stream)
    assert (tmp_path / "run" / "results.json").exists()
