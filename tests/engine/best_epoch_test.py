"""Which epoch a phase keeps, and how it goes on after NaN."""

from unittest import mock

import numpy as np
import pytest
import tensorflow as tf

from tests.testing import golden, toy_run
from tfcl.engine.evaluator import EvaluationPolicy
from tfcl.engine.loop import learn_stream
from tfcl.engine.measurement import Evaluation
from tfcl.engine.runtime import Runtime
from tfcl.engine.training.fitting import Fitting
from tfcl.errors import Interrupted, RunError
from tfcl.methods.lasem.static_transfer import StaticTransfer
from tfcl.methods.work import Phase
from tfcl.optimizers.loss_plateau import LossPlateauDecay, LossPlateauStop
from tfcl.optimizers.schedules import Constant
from tfcl.testing import two_replicas

_DATA = golden.load("spg/schedule.npz")
_NAMES = sorted(
    key.removesuffix(".train_loss")
    for key in _DATA
    if key.endswith(".train_loss")
)
_ONE_TASK = toy_run.toy_stream((2,))


class _Weights:
    """Takes the place of training: after epoch e the weights are e.

    The losses are those of a golden sequence.
    """

    def __init__(self, run, name):
        self.run = run
        self.losses = _DATA[f"{name}.val_loss"]
        self.train_losses = _DATA[f"{name}.train_loss"]
        self.variable = run.method.shared[0].variable
        self.variable.assign(np.full(self.variable.shape, -1.0))
        self.at_start, self.rates = [], []

    @property
    def tag(self):
        return float(self.variable.numpy().ravel()[0])

    def train(self, phase, split, order, first, last, *rest):
        epoch = len(self.at_start)
        self.at_start.append(self.tag)
        rate = self.run.method.optimizers["main"].learning_rate
        self.rates.append(float(rate.numpy()))
        self.variable.assign(np.full(self.variable.shape, float(epoch)))
        # A NaN among the golden losses is that of a whole epoch.
        loss = np.float32(self.train_losses[epoch])
        return {"loss": loss}, last, -1, 0, False

    def running(self, split, batch_size=None, logits=None):
        assert batch_size in (64, None)
        loss = self.losses[len(self.at_start) - 1]
        return Evaluation(float(loss), 0.5, float(loss))


@pytest.mark.parametrize("name", _NAMES)
def test_a_phase_keeps_and_restores_what_the_program_does(name, tmp_path):
    training = toy_run.toy_training(
        epochs=len(_DATA[f"{name}.val_loss"]),
        schedule=LossPlateauDecay(),
        stop=LossPlateauStop(),
        restore_best=True,
        best_by="validation/batch_losses",
        validation_batch_size=64,
        on_nonfinite="restore",
    )
    run = toy_run.open_run(tmp_path, StaticTransfer(training, "01"), _ONE_TASK)
    run.start({})
    run.policy.steps_per_call = 1000
    task = run.stream.tasks[0]
    run.journal.begin_task(task)
    run.journal.position.begin_phase()
    run.method.begin_task(task)
    weights = _Weights(run, name)
    phase = training.phase()
    with (
        mock.patch.object(run.runner, "train", weights.train),
        mock.patch.object(run.evaluator, "running", weights.running),
    ):
        run.trainer.perform(task, phase)
    run.close()
    np.testing.assert_allclose(weights.rates, _DATA[f"{name}.lr"], rtol=1e-6)
    np.testing.assert_array_equal(
        weights.at_start, _DATA[f"{name}.weights_tag_at_epoch_start"]
    )
    assert phase.result["epochs"] == _DATA[f"{name}.last_epoch"] + 1
    assert phase.result["best_epoch"] == weights.tag + 1
    assert weights.tag == _DATA[f"{name}.final_weights_epoch"]


class _Breaking(StaticTransfer):
    """Its loss is NaN once it has taken some steps."""

    def __init__(self, training, after):
        super().__init__(training, "01")
        self.after = after

    def train_step(self, batch):
        update = super().train_step(batch)
        steps = self.optimizers["main"].iterations.value
        factor = tf.where(steps == self.after, np.nan, 1.0)
        return update._replace(loss=update.loss * tf.cast(factor, tf.float32))


def _breaking(after, **kwargs):
    settings = {"restore_best": True, "on_nonfinite": "restore"}
    training = toy_run.toy_training(
        epochs=3, schedule=Constant(0.01), **{**settings, **kwargs}
    )
    return _Breaking(training, after)


@pytest.mark.parametrize("after", [0, 6])
def test_a_real_phase_goes_on_from_its_best_weights(after, tmp_path):
    """A step that is never applied comes again in every epoch that follows."""
    with toy_run.no_figures():
        found = toy_run.learn(tmp_path, _breaking(after), _ONE_TASK)
    losses = found.run.bank.history(0, "task_00")["train/loss"]
    history = found.run.bank.history(0, "task_00")
    np.testing.assert_array_equal(
        np.isnan(history["validation/loss"]), np.isnan(losses)
    )
    whole = after // 4
    assert np.isfinite(losses[:whole]).all() and np.isnan(losses[whole:]).all()
    (record,) = found.results["tasks"]
    assert record["phases"][0]["epochs"] == 3
    assert found.variables["shared/0"].std() > 0
    assert all(np.isfinite(v).all() for v in found.variables.values())


@pytest.mark.parametrize(
    "options", [{"distribution": "mirrored"}, {"on_nonfinite": "skip"}]
)
def test_nothing_else_takes_the_place_of_the_best_weights(options, tmp_path):
    """Neither several replicas nor a run that would skip such steps."""
    strategy = mock.patch.object(Runtime, "strategy", _strategy)
    with toy_run.no_figures(), strategy:
        found = toy_run.learn(tmp_path, _breaking(6), _ONE_TASK, **options)
    history = found.run.bank.history(0, "task_00")
    assert np.isfinite(history["train/loss"]).tolist() == [True, False, False]
    (phase,) = found.results["tasks"][0]["phases"]
    assert (phase["epochs"], phase["best_epoch"]) == (3, 1)
    assert found.run.runner.replicas == 1 + ("distribution" in options)
    with toy_run.no_figures():
        wanted = toy_run.learn(tmp_path / "1", _breaking(6), _ONE_TASK)
    for name, value in wanted.variables.items():
        if name.startswith(("shared", "slot")):
            np.testing.assert_allclose(
                found.variables[name], value, atol=1e-5, err_msg=name
            )


def _strategy(runtime, distribution):
    del runtime
    if distribution == "none":
        return tf.distribute.get_strategy()
    return two_replicas()


def test_a_wish_to_stop_at_the_bad_step_does_not_lose_the_rule(tmp_path):
    def method():
        return _breaking(6, best_by="validation/loss")

    with toy_run.no_figures():
        wanted = toy_run.learn(tmp_path / "straight", method(), _ONE_TASK)
        run = toy_run.open_run(tmp_path / "stopped", method(), _ONE_TASK)
        train = run.runner.train

        def train_some(*args):
            sums, done, bad, skipped, _ = train(*args)
            run.stop_wished |= bad >= 0
            return sums, done, bad, skipped, run.stop_wished

        run.start({})
        with mock.patch.object(run.runner, "train", train_some):
            with pytest.raises(Interrupted):
                learn_stream(run)
        run.close()
        found = toy_run.learn(tmp_path / "stopped", method(), _ONE_TASK)
    toy_run.assert_same_outcome(found, wanted)


def test_a_broken_epoch_is_a_bad_one(tmp_path):
    """However good the weights before the bad step are."""
    method = _breaking(
        0, best_by="validation/batch_losses", validation_batch_size=10
    )
    run = toy_run.open_run(tmp_path, method, _ONE_TASK)
    run.start({})
    with (
        toy_run.no_figures(),
        mock.patch.object(Fitting, "_validate_epoch") as validate,
    ):
        learn_stream(run)
    run.close()
    assert not validate.called
    history = run.bank.history(0, "task_00")
    assert np.isnan(history["validation/batch_losses"]).tolist() == [True] * 3
    (phase,) = run.results()["tasks"][0]["phases"]
    assert phase["best_epoch"] == 0
    assert np.isnan(phase["validation/accuracy"])


def test_the_result_is_that_of_the_best_epoch(tmp_path):
    accuracies = iter([0.5, 0.75, 0.25])

    def running(split, batch_size=None, logits=None):
        accuracy = next(accuracies)
        return Evaluation(1.0 - accuracy, accuracy, 1.0)

    training = toy_run.toy_training(epochs=3, restore_best=True)
    run = toy_run.open_run(
        tmp_path,
        StaticTransfer(training, "01"),
        _ONE_TASK,
        evaluation=EvaluationPolicy(record_peak=False),
    )
    run.start({})
    with (
        toy_run.no_figures(),
        mock.patch.object(run.evaluator, "running", running),
    ):
        learn_stream(run)
    run.close()
    (phase,) = run.results()["tasks"][0]["phases"]
    found = [phase[f"validation/{name}"] for name in ("loss", "accuracy")]
    assert (phase["best_epoch"], found) == (2, [0.25, 0.75])


def test_without_the_rule_such_a_step_ends_the_run(tmp_path):
    run = toy_run.open_run(
        tmp_path,
        _breaking(2, restore_best=False, on_nonfinite="run"),
        _ONE_TASK,
    )
    run.start({})
    with pytest.raises(RunError, match="not finite"):
        learn_stream(run)
    run.close()


def test_kills_change_nothing_where_the_loss_decides(tmp_path):
    def method():
        return _breaking(
            9, best_by="validation/batch_losses", validation_batch_size=10
        )

    toy_run.assert_kills_change_nothing(tmp_path, method, moments=2)


def test_the_sum_of_batch_losses_counts_a_small_batch_fully(tmp_path):
    run = toy_run.open_run(tmp_path, stream=_ONE_TASK)
    task = run.stream.tasks[0]
    run.method.begin_task(task)
    split = task.test.taken(np.arange(25))
    found = run.evaluator.running(split, 10)
    parts = [
        run.evaluator.running(split.taken(np.arange(*ends)))
        for ends in ((0, 10), (10, 20), (20, 25))
    ]
    run.close()
    np.testing.assert_allclose(
        found.batch_losses, sum(part.loss for part in parts), rtol=1e-5
    )
    weighted = np.average([p.loss for p in parts], weights=[10, 10, 5])
    np.testing.assert_allclose(found.loss, weighted, rtol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"best_by": "validation/f1"},
        {"best_by": "validation/batch_losses"},
        {"on_nonfinite": "ignore"},
        {"on_nonfinite": "restore"},
    ],
)
def test_phases_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Phase("train", 1, {}, **wrong)
