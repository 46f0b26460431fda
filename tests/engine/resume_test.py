"""A run killed at any moment ends as one that was never killed (F1, F3)."""

import functools
import os
import pathlib
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from tfcl.methods.hps import HPS

from tests.testing import toy_run
from tfcl.engine.loop import learn_stream
from tfcl.errors import Interrupted
from tfcl.methods.base import Phase, Update
from tfcl.optimizers.schedules import Constant, EarlyStopping


class PruneAndPick(HPS):
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
        return Update(
            update.loss, update.metrics, [(name, masked, variables)]
        )

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
    return HPS(training, "01")


METHODS = {
    "lasem": toy_run.toy_lasem,
    "hps": toy_run.toy_hps,
    "phases": PruneAndPick,
    "best": best_epoch_hps,
}


@pytest.fixture(scope="module", autouse=True)
def _no_pictures():
    with toy_run.no_pictures():
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
    chosen = [*copies.one_of_each(), *copies.spread(4)]
    assert len(chosen) >= 20, [label for label, _ in chosen]
    for moment, folder in chosen:
        found = toy_run.learn(folder, toy_run.toy_lasem())
        toy_run.assert_same_outcome(found, wanted, moment)


@pytest.mark.parametrize("name", ["hps", "phases", "best"])
def test_kills_spread_over_a_run_change_nothing(straight, name):
    wanted, copies = straight(name)
    for moment, folder in copies.spread(6):
        found = toy_run.learn(folder, METHODS[name]())
        toy_run.assert_same_outcome(found, wanted, f"{name}, {moment}")


@pytest.mark.parametrize("name", ["phases", "best"])
def test_a_kill_while_resuming_changes_nothing(straight, name, tmp_path):
    wanted, copies = straight(name)
    folder = copies.spread(5)[0][1]
    for kill in range(1, 4):
        # The same folder goes on three times, each time a bit further.
        with toy_run.Snapshots(folder, tmp_path / str(kill)) as again:
            found = toy_run.learn(folder, METHODS[name]())
        toy_run.assert_same_outcome(found, wanted, f"kill {kill}")
        moment, folder = again.spread(4)[0]
    found = toy_run.learn(folder, METHODS[name]())
    toy_run.assert_same_outcome(found, wanted, moment)


def test_a_request_to_stop_saves_and_goes_on(straight, tmp_path):
    wanted, _ = straight("hps")
    stops = 0
    while True:
        run = toy_run.open_run(tmp_path)
        train = run.runner.train
        calls = iter(range(100))

        def train_some(*args, run=run, train=train, calls=calls):
            run.stop_wished |= next(calls) == 4
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
    toy_run.assert_same_outcome(toy_run.learn(tmp_path), wanted)


GIN = """
include "gin/base.gin"
include "gin/methods/lasem_training.gin"
include "gin/methods/lasem.gin"
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
CheckpointPolicy.steps_per_call = 2
"""


def test_killed_processes_end_as_one_that_was_not(tmp_path):
    config = tmp_path / "toy.gin"
    config.write_text(GIN)
    straight = _process(config, tmp_path / "straight", hash_seed=1)
    assert straight.wait() == 0

    # Neither the order of hashes nor the locale matters.
    killed = _process(config, tmp_path / "run", 2, LC_ALL="C")
    _wait_for_checkpoint(tmp_path / "run", 9, killed)
    killed.kill()
    killed.wait()

    stopped = _process(config, tmp_path / "run", 3, LC_ALL="C.UTF-8")
    _wait_for_checkpoint(tmp_path / "run", 20, stopped)
    stopped.terminate()
    assert stopped.wait(timeout=60) == 75
    assert "tfcl: stopped:" in _output(tmp_path / "run")

    resumed = _process(config, tmp_path / "run", 4, LC_ALL="C")
    assert resumed.wait() == 0
    assert _csv(tmp_path / "run") == _csv(tmp_path / "straight")
    banks = [toy_run.bank_files(tmp_path / n) for n in ("run", "straight")]
    assert banks[0] == banks[1]


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


def _csv(model_dir):
    return (model_dir / "accuracy_matrix.csv").read_bytes()
