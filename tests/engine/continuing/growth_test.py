"""A run goes on with a new task when the data of the learned ones are gone."""

import dataclasses
import pathlib

import numpy as np
import pytest

from tests.methods.cpg.masked_training import masked_training
from tests.testing import toy_run
from tests.testing.toy_run import learn, open_run, toy_training
from tfcl.data.absent import is_lost
from tfcl.data.task import TaskStream
from tfcl.engine.continuing.growth import complete_last_row, grown
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.engine.storage.checkpoints import newest_journal
from tfcl.errors import Interrupted, UserError
from tfcl.learner.task_list import TaskList
from tfcl.methods import EWC, Individual, Joint, Rehearsal
from tfcl.methods.cpg.accuracy_goals import SameGoal
from tfcl.methods.cpg.cpg import CPG
from tfcl.methods.cpg.cpg_phases import PickAgain, PruningLadder
from tfcl.methods.expansion.den import DEN
from tfcl.methods.expansion.prognn import ProgNN
from tfcl.methods.masks.hat import HAT
from tfcl.methods.masks.supsup import SupSup
from tfcl.methods.protocols import structure_of
from tfcl.methods.spg.spg import SPG
from tfcl.optimizers.schedules import Constant
from tfcl.testing import undrawn_figures

# Equal, since start values of a head depend on the widest task known.
_COUNTS = (2, 2, 2)


def stream_of(*numbers, change=None):
    """Function to a stream of some tasks of the toy stream."""

    def make(data_dir=None):
        whole = toy_run.toy_stream(_COUNTS)(data_dir=data_dir)
        tasks = []
        for number in numbers:
            task = whole.tasks[number]
            if number == change:
                kept = np.arange(1, len(task.train))
                task = dataclasses.replace(task, train=task.train.taken(kept))
            place = {"index": len(tasks), "earlier": tuple(tasks)}
            tasks.append(dataclasses.replace(task, **place))
        return TaskStream(whole.name, tasks, whole.batch_size)

    return make


@pytest.fixture(scope="module", autouse=True)
def _no_figures():
    with undrawn_figures():
        yield


def individual():
    return Individual(toy_training())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return learn(
        tmp_path_factory.mktemp("whole"), individual(), stream_of(0, 1, 2)
    )


@pytest.fixture
def one_learned(tmp_path):
    learn(tmp_path / "run", individual(), stream_of(0))
    return tmp_path / "run"


def test_tasks_come_one_by_one_and_end_in_the_same_matrix(whole, one_learned):
    learn(one_learned, individual(), stream_of(1))
    last = learn(one_learned, individual(), stream_of(2))
    assert (last.csv, last.bank) == (whole.csv, whole.bank)
    wanted = dict(whole.results["metrics"])
    # What old images are answered without their task takes these images.
    assert wanted.pop("task_aware_accuracy")
    del wanted["task_agnostic_accuracy"]
    assert last.results["metrics"] == wanted
    assert last.found == 2


def test_a_kill_in_the_new_task_changes_nothing(whole, one_learned):
    learn(one_learned, individual(), stream_of(1))
    run = open_run(one_learned, individual(), stream_of(2))
    run.start({})
    run.stop_wished = True
    with pytest.raises(Interrupted):
        toy_run.learn_stream(run)
    run.close()
    with pytest.raises(UserError, match="in the middle of a task .'task_02'"):
        open_run(one_learned, individual(), stream_of(0))
    last = learn(one_learned, individual(), stream_of(2))
    assert (last.csv, last.bank) == (whole.csv, whole.bank)


def test_what_comes_back_is_known_by_its_data_wherever_it_stands(one_learned):
    learn(one_learned, individual(), stream_of(1))
    run = open_run(one_learned, individual(), stream_of(2, 1, 0))
    run.close()
    assert [task.name for task in run.stream] == [
        "task_00",
        "task_01",
        "task_02",
    ]
    assert not any(is_lost(task.test) for task in run.stream)
    assert [task.index for task in run.stream] == [0, 1, 2]


def _names(folder):
    return [record.name for record in newest_journal(folder).visits]


def test_data_come_before_names(one_learned):
    """Two tasks that have changed their names are known all the same."""
    learn(one_learned, individual(), stream_of(1))
    tasks = TaskList(one_learned, individual)
    tasks.rename("task_00", "other")
    tasks.rename("task_01", "task_00")
    tasks.rename("other", "task_01")
    run = open_run(one_learned, individual(), stream_of(0, 1))
    run.close()
    assert [task.name for task in run.stream] == ["task_01", "task_00"]
    assert not any(is_lost(task.test) for task in run.stream)


def test_a_name_that_a_learned_task_took_is_not_learned_twice(
    one_learned, caplog
):
    TaskList(one_learned, individual).rename("task_00", "task_01")
    learn(one_learned, individual(), stream_of(0, 1))
    assert _names(one_learned) == ["task_01"]
    assert "To learn them, give them another name" in caplog.text


def test_a_renamed_task_of_an_older_version_is_known_by_its_first_name(
    one_learned,
):
    TaskList(one_learned, individual).rename("task_00", "digits")
    run = open_run(one_learned, individual(), stream_of(0))
    run.close()
    record = run.journal.visits[0]
    record.split_digests = {}
    named = dataclasses.replace(stream_of(0)().tasks[0], name="digits")
    stream = TaskStream("toy", [named], 16)
    found = grown(stream, run.journal, run.bank, one_learned)
    assert len(found) == 1 and not is_lost(found.tasks[0].test)


def test_a_removed_task_is_learned_anew_by_the_same_data(whole, one_learned):
    TaskList(one_learned, individual).remove("task_00")
    learn(one_learned, individual(), stream_of(0, 1))
    wanted = ["task_00.removed0", "task_00", "task_01"]
    assert _names(one_learned) == wanted
    run = open_run(one_learned, individual(), stream_of(0, 1, 2))
    run.close()
    # Learned once more, and measured with the data of the new one.
    assert [task.name for task in run.stream] == [*wanted, "task_02"]
    assert not any(is_lost(task.test) for task in run.stream)


def test_changed_data_of_a_learned_task_are_told_and_not_used(
    one_learned, caplog
):
    run = open_run(one_learned, individual(), stream_of(0, 1, change=0))
    run.close()
    assert is_lost(run.stream.tasks[0].test)
    size = len(stream_of(0)().tasks[0].train)
    assert f"train examples ({size} -> {size - 1})" in caplog.text


def test_tasks_that_share_weights_are_not_known_until_measured(tmp_path):
    """And the last row is completed as soon as their images are back."""

    def make():
        return EWC(toy_training(), strength=1.0)

    full = learn(tmp_path / "full", make(), stream_of(0, 1))
    learn(tmp_path / "run", make(), stream_of(0))
    grown_run = learn(tmp_path / "run", make(), stream_of(1))
    matrix = grown_run.results["accuracy_matrix"]
    assert matrix[1][0] is None and matrix[1][1] is not None
    assert grown_run.results["metrics"]["forgetting"] is None
    reason = grown_run.results["metrics"]["undefined"]["forgetting"]
    assert "test images" in reason
    again = learn(tmp_path / "run", make(), stream_of(0, 1))
    assert again.csv == full.csv
    wanted = full.results["metrics"]
    assert again.results["metrics"] == wanted


def _growing_cpg():
    """Whose network becomes wider with every task."""
    once = PickAgain(Constant(1e-3), Constant(1e-3), epochs=1)
    return CPG(
        masked_training(1, 0.02),
        SameGoal(1.0),
        PruningLadder(Constant(1e-3), (0.5,), epochs=1, ramp_epochs=1),
        picking_schedule=Constant(1e-2),
        pick_again=once,
        max_width=3.0,
    )


# Whether old tasks keep their logits to the bit.
_KINDS = {
    "CPG": (_growing_cpg, True),
    "DEN": (lambda: DEN(_once(), expansion=2, loss_threshold=0.0), False),
    "HAT": (lambda: HAT(_once()), False),
    "ProgNN": (lambda: ProgNN(_once()), True),
    "SPG": (lambda: SPG(_once(hidden_units=())), False),
    "SupSup": (lambda: SupSup(_once()), True),
}


def _once(**options):
    return toy_training(epochs=1, **options)


def _logits(folder, make, names):
    """Of some images, and the shape of the network."""
    learned = LearnedTasks(folder, make())
    images = np.random.default_rng(0).integers(256, size=(8, 8, 8, 3))
    found = []
    for name in names:
        entry = learned.find(name)
        learned.method.activate(entry.values, entry.index)
        pixels = entry.preprocessing(images.astype(np.uint8))
        found.append(np.asarray(learned.method.predict(pixels)).tolist())
    return found, structure_of(learned.method)


@pytest.mark.parametrize("kind", _KINDS)
def test_every_kind_grows_and_its_tasks_are_renamed_and_removed(kind, tmp_path):
    make, keeps = _KINDS[kind]
    learn(tmp_path, make(), stream_of(0, 1))
    names = ["task_00", "task_01"]
    before, structure = _logits(tmp_path, make, names)
    learn(tmp_path, make(), stream_of(2))
    after, grown_structure = _logits(tmp_path, make, names)
    assert (after == before) or not keeps
    if structure is not None:
        assert grown_structure != structure
    tasks = TaskList(tmp_path, make)
    tasks.rename("task_00", "first")
    tasks.remove("task_01")
    assert LearnedTasks(tmp_path, make()).names == ["first", "task_02"]
    assert _logits(tmp_path, make, ["first"])[0] == after[:1]
    # The freed name is learned anew, and what is removed is no hindrance.
    learn(tmp_path, make(), stream_of(1))
    assert LearnedTasks(tmp_path, make()).names == [
        "first",
        "task_02",
        "task_01",
    ]
    last, _ = _logits(tmp_path, make, ["first"])
    assert last == after[:1] or not keeps


def test_a_run_of_an_older_version_grows_too(whole, one_learned):
    run = open_run(one_learned, individual(), stream_of(1))
    run.journal.visits[0].read_digests = []
    run.evaluator._noted.clear()
    run.start({})
    assert run.journal.visits[0].read_digests
    toy_run.learn_stream(run)
    run.close()
    journal = newest_journal(one_learned)
    wanted = whole.results["accuracy_matrix"]
    assert journal.visits[1].row == wanted[1][:2]


@pytest.mark.parametrize("kind", [Joint, Rehearsal])
def test_methods_that_need_earlier_data_say_so(kind, tmp_path):
    learn(tmp_path / "run", kind(toy_training()), stream_of(0))
    before = (tmp_path / "run/results.json").read_bytes()
    with pytest.raises(UserError) as caught:
        run = open_run(tmp_path / "run", kind(toy_training()), stream_of(1))
        try:
            run.start({})
        finally:
            run.close()
    assert "task_00" in str(caught.value)
    assert (tmp_path / "run/results.json").read_bytes() == before


def test_common_classes_need_all_tasks(one_learned):
    def with_own_classes(data_dir=None):
        found = stream_of(1)(data_dir)
        names = found.tasks[0].class_names
        task = dataclasses.replace(found.tasks[0], own_classes=names)
        return TaskStream(found.name, [task], found.batch_size)

    with pytest.raises(UserError, match="classes of all tasks.*task_00"):
        open_run(one_learned, individual(), with_own_classes)


def test_a_stream_that_begins_with_the_learned_tasks_is_itself(one_learned):
    run = open_run(one_learned, individual(), stream_of(0, 1))
    run.close()
    stream = stream_of(0, 1)()
    folder = pathlib.Path("run")
    assert grown(stream, run.journal, run.bank, folder) is stream


def test_a_complete_row_stays(one_learned):
    run = open_run(one_learned, individual(), stream_of(0))
    run.close()
    row = list(run.journal.visits[0].row)
    complete_last_row(run.journal, run.stream, run.evaluator)
    assert run.journal.visits[0].row == row
