"""Full disks, other configurations, numbers that are not finite."""

import contextlib
import dataclasses
import pathlib
import types
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import toy_run
from tfcl.data.absent import is_lost
from tfcl.data.task import TaskStream
from tfcl.engine.loop import learn_stream
from tfcl.engine.storage.bank import Bank
from tfcl.engine.storage.best_weights import BestWeights
from tfcl.engine.storage.journal import Journal
from tfcl.engine.storage.position import Position
from tfcl.errors import RunError, UserError
from tfcl.files import read_json
from tfcl.learner import runs
from tfcl.methods.baselines.individual import Individual
from tfcl.methods.baselines.joint import Joint
from tfcl.methods.lasem.static_transfer import StaticTransfer
from tfcl.reporting import results
from tfcl.reporting.summaries import Summaries

TWO_TASKS = toy_run.toy_stream((2, 3))


@pytest.fixture(scope="module", autouse=True)
def _no_figures():
    with toy_run.no_figures():
        yield


def best_hps():
    """Several best epochs per task, kept on disk."""
    training = toy_run.toy_training(epochs=3, restore_best=True)
    return StaticTransfer(training, "01")


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A run without faults."""
    folder = tmp_path_factory.mktemp("straight")
    return toy_run.learn(folder, best_hps(), TWO_TASKS)


# F4: a full disk. The limit holds while one kind of call writes.


@contextlib.contextmanager
def full_disk(owner, name, size, when):
    """Limits those calls of `owner.name` for which `when` holds."""
    original = getattr(owner, name)

    def limited(*args, **kwargs):
        if not when(*args, **kwargs):
            return original(*args, **kwargs)
        with toy_run.disk_limit(size):
            return original(*args, **kwargs)

    with mock.patch.object(owner, name, limited):
        yield


def _is_csv(path, content):
    return pathlib.Path(path).name == "accuracy_matrix.csv"


PLACES = {
    "a checkpoint": (
        tf.train.CheckpointManager,
        "save",
        4000,
        lambda manager, checkpoint_number: checkpoint_number == 12,
        "Cannot write a checkpoint to .*checkpoints",
    ),
    "a checkpoint's index": (
        tf.train.CheckpointManager,
        "save",
        100,
        lambda manager, checkpoint_number: checkpoint_number == 12,
        "Cannot write a checkpoint to .*checkpoints",
    ),
    "the matrix": (
        results,
        "write_atomically",
        10,
        _is_csv,
        "Cannot write .*accuracy_matrix.csv",
    ),
    "the bank": (
        Bank,
        "store",
        500,
        lambda bank, visit, *_: visit.number == 1,
        "Cannot write task 'task_01' to .*tasks",
    ),
    "best weights": (
        BestWeights,
        "save",
        500,
        lambda best, journal, *_: len(journal.visits) == 1,
        "Cannot write the best weights to .*best",
    ),
    "TensorBoard": (
        Summaries,
        "flush",
        100,
        lambda summaries: (summaries._folder / "../tasks").exists(),
        "Cannot write TensorBoard files to .*tensorboard",
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_full_disk_ends_in_one_line_and_costs_nothing(
    straight, tmp_path, place
):
    owner, name, size, when, message = PLACES[place]
    with full_disk(owner, name, size, when):
        with pytest.raises(RunError, match=message):
            toy_run.learn(tmp_path, best_hps(), TWO_TASKS)
    assert not list(tmp_path.glob("**/.*.tmp"))
    assert not list(tmp_path.glob("checkpoints/ckpt-12.*"))
    for path in tmp_path.glob("**/*.json"):
        read_json(path)
    found = toy_run.learn(tmp_path, best_hps(), TWO_TASKS)
    toy_run.assert_same_outcome(found, straight)


def test_a_full_disk_at_the_start_is_one_line(tmp_path):
    with toy_run.disk_limit(0):
        run = toy_run.open_run(tmp_path)
        with pytest.raises(RunError, match=f"Cannot write .*{tmp_path}"):
            run.start({"config.gin": "x"})
        run.close()
    toy_run.open_run(tmp_path).close()


def test_a_full_disk_leaves_the_last_export(tmp_path):
    stream = toy_run.toy_stream((2,))
    run = toy_run.learn(tmp_path, stream=stream).run
    entry = run.bank.load(0, "task_00")
    for size in (0, 2000, 20_000):
        with toy_run.disk_limit(size):
            with pytest.raises(RunError, match="Cannot export 'task_00'"):
                run.export(entry)
        assert not list((tmp_path / "export").glob("*"))
    path = run.export(entry)
    before = {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}
    with toy_run.disk_limit(2000), pytest.raises(RunError):
        run.export(entry)
    after = {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}
    assert after == before
    assert [p.name for p in path.parent.iterdir()] == ["1"]


# F6: another configuration, method or class order.


def _reversed_classes(task):
    names = tuple(reversed(task.class_names))
    return dataclasses.replace(task, class_names=names)


def _other_data(task):
    labels = (task.train.labels + 1) % task.num_classes
    train = dataclasses.replace(task.train, labels=labels)
    return dataclasses.replace(task, train=train)


def _renamed(task):
    return dataclasses.replace(task, name="other")


def _changed_stream(changed, number):
    """A stream of two tasks with one of them changed."""

    def stream(data_dir):
        tasks = list(TWO_TASKS(data_dir=data_dir).tasks)
        tasks[number] = changed(tasks[number])
        return TaskStream("synthetic", tasks, 16)

    return stream


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (_reversed_classes, "order of the classes"),
        (_other_data, "train exampl"),
    ],
)
def test_learned_tasks_stay_as_they_were_learned(
    straight, changed, told, number, caplog
):
    stream = _changed_stream(changed, number)
    run = toy_run.open_run(straight.run.model_dir, best_hps(), stream)
    run.close()
    assert [is_lost(task.train) for task in run.stream] == [
        k == number for k in range(2)
    ]
    assert f"'task_0{number}' is learned" in caplog.text
    assert told in caplog.text


@pytest.mark.parametrize("number", [0, 1])
def test_the_same_data_under_another_name_are_known(straight, number):
    stream = _changed_stream(_renamed, number)
    run = toy_run.open_run(straight.run.model_dir, best_hps(), stream)
    run.close()
    assert [task.name for task in run.stream] == ["task_00", "task_01"]
    assert not any(is_lost(task.train) for task in run.stream)


def test_a_task_in_hand_is_compared_too(straight, tmp_path):
    with toy_run.Snapshots(tmp_path / "run", tmp_path / "copies") as copies:
        toy_run.learn(tmp_path / "run", stream=TWO_TASKS)
    # During the last save but one, which ends the phase of task 1.
    saves = [path for label, path in copies.copies if label == "half a save"]
    middle = saves[-2]
    stream = _changed_stream(_reversed_classes, 1)
    assert _learned(middle) == 1
    with pytest.raises(UserError, match="middle of a task .'task_01'"):
        toy_run.open_run(middle, stream=stream)


def _learned(model_dir):
    run = toy_run.open_run(model_dir, stream=TWO_TASKS)
    run.close()
    return len(run.journal.visits)


def test_a_shorter_stream_leaves_what_is_learned(straight):
    folder = straight.run.model_dir
    run = toy_run.open_run(folder, best_hps(), toy_run.toy_stream((2,)))
    run.close()
    assert [is_lost(task.test) for task in run.stream] == [False, True]


BINDINGS = {
    "Experiment.method": "@StaticTransfer()",
    "Experiment.stream": "@synthetic_stream",
    "Experiment.seed": "0",
    "synthetic_stream.class_counts": "(2, 3)",
    "synthetic_stream.batch_size": "16",
    "CheckpointPolicy.every_seconds": "60.0",
}


@pytest.mark.parametrize(
    "name, value",
    [
        ("Experiment.method", "@LASEM()"),
        ("Experiment.seed", "1"),
        ("Experiment.stream", "@class_split_stream"),
        ("StaticTransfer.configuration", "'10'"),
    ],
)
def test_other_bindings_are_refused_by_name(name, value):
    run = _resumed(BINDINGS)
    old = BINDINGS.get(name, "(not set)")
    with pytest.raises(UserError) as error:
        runs.refuse_other_bindings(run, {**BINDINGS, name: value})
    assert f"{name}: {old} -> {value}" in str(error.value)
    assert run.journal.bindings == BINDINGS


def test_how_a_task_is_trained_may_differ_between_tasks_alone():
    new = {**BINDINGS, "synthetic_stream.batch_size": "8"}
    run = _resumed(BINDINGS, 8)
    runs.refuse_other_bindings(run, new)
    assert run.journal.bindings == new
    assert run.journal.settings["synthetic_stream.batch_size"] == "8"
    run = _resumed(BINDINGS, 8)
    run.journal.position = Position(1, 1, "digest", name="task_01")
    with pytest.raises(UserError, match="'task_01', .*batch_size: 16 -> 8"):
        runs.refuse_other_bindings(run, new)
    assert run.journal.bindings == BINDINGS


def test_bindings_that_do_not_touch_learning_may_differ():
    run = _resumed(BINDINGS)
    new = {
        **BINDINGS,
        "synthetic_stream.class_counts": "(2, 3, 2)",
        "CheckpointPolicy.every_seconds": "1.0",
        # What the message of a step that is not finite advises.
        "Experiment.on_nonfinite": "'skip'",
        "Experiment.exports": "False",
    }
    runs.refuse_other_bindings(run, new)
    assert run.journal.bindings == new


def _resumed(bindings, batch_size=16):
    return types.SimpleNamespace(
        resumed=True,
        journal=Journal(bindings),
        model_dir="run",
        stream=types.SimpleNamespace(batch_size=batch_size),
    )


def test_the_bindings_of_a_run_are_in_its_checkpoint(tmp_path):
    learned = toy_run.learn(
        tmp_path, stream=toy_run.toy_stream((2,)), bindings=BINDINGS
    )
    again = toy_run.open_run(tmp_path, stream=TWO_TASKS)
    again.close()
    assert again.journal.bindings == BINDINGS == learned.results["bindings"]


def test_a_method_that_cannot_grow_leaves_the_run_as_it_was(tmp_path):
    toy_run.learn(tmp_path, Joint(toy_run.toy_training()), TWO_TASKS)
    before = _files(tmp_path)
    longer = toy_run.toy_stream((2, 3, 2))
    with pytest.raises(RunError, match="this method cannot go on with it"):
        toy_run.learn(tmp_path, Joint(toy_run.toy_training()), longer)
    assert _files(tmp_path) == before


def test_a_wider_stream_has_to_wait_for_the_end_of_a_task(tmp_path):
    with toy_run.Snapshots(tmp_path / "run", tmp_path / "copies") as copies:
        toy_run.learn(tmp_path / "run", stream=toy_run.toy_stream((2, 2)))
    middle = copies.spread(4)[0][1]
    wider = toy_run.toy_stream((2, 2, 4))
    with pytest.raises(RunError, match="let the old stream's task end first"):
        toy_run.learn(middle, stream=wider)
    toy_run.learn(middle, stream=toy_run.toy_stream((2, 2)))
    assert len(toy_run.learn(middle, stream=wider).results["tasks"]) == 3


def _files(model_dir):
    return {
        path: path.read_bytes()
        for path in model_dir.rglob("*")
        if path.is_file() and "tensorboard" not in path.parts
    }


# F8: numbers that are not finite.


class Poisoned(Individual):
    """Step 2 of every epoch of task 1 has a loss or gradient of `value`.

    Its metric is 1 in every step.
    """

    def __init__(self, where, value, jit_compile=False):
        super().__init__(toy_run.toy_training())
        self.where = where
        self.value = value
        self.jit_compile = jit_compile
        self.poison = None

    def setup(self, spec, seed):
        super().setup(spec, seed)
        self.poison = keras.Variable(0.0, trainable=False, name="poison")
        self.state = [*self.state, self.poison]

    def begin_task(self, task):
        super().begin_task(task)
        self.poison.assign(float(task.index == 1))

    def phases(self, task):
        for phase in super().phases(task):
            phase.jit_compile = self.jit_compile
            yield phase

    def train_step(self, batch):
        update = super().train_step(batch)
        bad = (batch.step == 2) & (self.poison.value > 0.5)
        extra = tf.where(bad, self.value, 0.0)
        update = update._replace(metrics={"accuracy": tf.ones(())})
        if self.where == "loss":
            return update._replace(loss=update.loss + extra)
        name, gradients, variables = update.gradients[0]
        # One entry of the last of all gradients.
        last = gradients[-1] + tf.one_hot(0, gradients[-1].shape[0]) * extra
        return update._replace(
            gradients=[(name, [*gradients[:-1], last], variables)]
        )


POISONS = [
    ("loss", float("nan"), False),
    ("gradient", float("inf"), False),
    ("gradient", float("nan"), True),
]


@pytest.mark.parametrize("poison", POISONS)
def test_a_step_that_is_not_finite_is_not_applied(tmp_path, poison):
    method = Poisoned(*poison)
    run = toy_run.open_run(tmp_path, method)
    run.start({})
    with pytest.raises(RunError) as error:
        learn_stream(run)
    run.close()
    for part in ("'task_01'", "'train'", "epoch 0", "step 2", "0.01"):
        assert part in str(error.value)
    _assert_finite(method)
    # Two steps of the task were applied, the third was not.
    assert int(method.optimizers["main"].iterations.numpy()) == 2
    assert run.bank.names() == {"task_00": 0}


def test_a_run_that_stopped_at_a_bad_step_goes_on_by_skipping(tmp_path):
    poison = POISONS[0]
    with pytest.raises(RunError, match="epoch 0, step 2"):
        toy_run.learn(tmp_path, Poisoned(*poison))
    # The same place again, and then past it, from what is on the disk.
    with pytest.raises(RunError, match="epoch 0, step 2"):
        toy_run.learn(tmp_path, Poisoned(*poison))
    again = toy_run.learn(tmp_path, Poisoned(*poison), on_nonfinite="skip")
    assert again.results["skipped_steps"] == 2


def test_skipped_steps_are_counted_and_have_no_say(tmp_path):
    with toy_run.Snapshots(tmp_path / "run", tmp_path / "copies") as copies:
        skipping = toy_run.learn(
            tmp_path / "run",
            Poisoned("loss", float("nan")),
            on_nonfinite="skip",
        )
    run = skipping.run
    assert run.journal.skipped_steps == 2
    assert skipping.results["skipped_steps"] == 2
    assert skipping.results["global_step"] == 24
    _assert_finite(run.method)
    for index in range(3):
        history = run.bank.history(index, f"task_{index:02d}")
        np.testing.assert_array_equal(history["train/accuracy"], [1.0, 1.0])
        assert np.isfinite(history["train/loss"]).all()
    for moment, folder in copies.spread(5)[1:4]:
        found = toy_run.learn(
            folder, Poisoned("loss", float("nan")), on_nonfinite="skip"
        )
        toy_run.assert_same_outcome(found, skipping, moment)


def test_results_hold_null_for_what_is_not_finite(straight, tmp_path):
    content = straight.run.results()
    phase = content["tasks"][0]["phases"][0]
    phase["validation/loss"] = float("inf")
    results.write_numbers(content, tmp_path)
    found = read_json(tmp_path / "results.json")["tasks"][0]["phases"][0]
    assert found["validation/loss"] is None
    assert found["train/loss"] == phase["train/loss"]


def _assert_finite(method):
    for name, value in toy_run.variables(method).items():
        assert np.isfinite(value).all(), name
