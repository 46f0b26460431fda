"""`tfcl.Learner`: learn, kill, go on, serve, and meet the commands."""

import itertools
import shutil
import signal
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfcl
from tests.learner.programs import SIZE, examples, method, model
from tests.testing.damage import damaged
from tests.testing.forked_commands import ForkedCommands
from tests.testing.recorded import Recorder
from tfcl import configuration
from tfcl.engine.steps import StepRunner
from tfcl.engine.storage.checkpoints import CheckpointPolicy, newest_journal
from tfcl.engine.storage.lock import DirectoryLock
from tfcl.engine.training.trainer import Trainer
from tfcl.errors import RunError, UserError
from tfcl.learner import kept_tasks
from tfcl.learner.learner import Experiment
from tfcl.methods import CLR, EWC, HAT, LASEM, Rehearsal
from tfcl.models.model_pixels import RAW
from tfcl.testing import undrawn_figures

TEST = examples(9, 20)
SHOES = tfcl.Task(
    "shoes", train=examples(1), test=TEST, class_names=["boot", "sneaker"]
)
BAGS = tfcl.Task("bags", train=examples(2, classes=3))


@pytest.fixture(autouse=True)
def _no_figures():
    with undrawn_figures():
        yield


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder in which two tasks are learned; not to be changed."""
    folder = tmp_path_factory.mktemp("shop")
    with undrawn_figures():
        learner = tfcl.Learner(folder, method())
        learner.learn(SHOES)
        learner.learn(BAGS)
    return folder


@pytest.fixture
def copied(shop, tmp_path):
    shutil.copytree(shop, tmp_path / "shop")
    return tmp_path / "shop"


def test_it_learns_and_tells(shop):
    learner = tfcl.Learner(shop, method())
    assert learner.tasks == ["shoes", "bags"]
    R = learner.accuracy_matrix
    assert R.shape == (2, 2) and np.isnan(R[0, 1])
    assert R[1, 0] == R[0, 0] > 0.9 and R[1, 1] > 0.9
    assert learner.evaluate() == {"shoes": R[1, 0], "bags": R[1, 1]}
    assert learner.class_names("shoes") == ("boot", "sneaker")
    assert learner.class_names("bags") == ("0", "1", "2")
    images, labels = TEST
    probabilities = learner.predict("shoes", images)
    assert probabilities.shape == (20, 2) and probabilities.dtype == np.float32
    assert (probabilities.argmax(1) == labels).mean() == R[0, 0]
    assert learner.report().read_text().startswith("<!DOCTYPE html>")
    assert repr(learner) == f"<Learner {shop}: shoes, bags>"


def test_tasks_that_come_one_by_one_are_as_in_one_program(shop, tmp_path):
    tfcl.Learner(tmp_path, method()).learn(SHOES)
    # Another process would have no data of the first one.
    learner = tfcl.Learner(tmp_path, method())
    learner.learn(BAGS)
    together = tfcl.Learner(shop, method())
    np.testing.assert_array_equal(
        learner.accuracy_matrix, together.accuracy_matrix
    )
    images = examples(5, 6)[0]
    for name in ("shoes", "bags"):
        np.testing.assert_array_equal(
            learner.predict(name, images), together.predict(name, images)
        )


def test_learned_tasks_are_passed_over(copied, monkeypatch):
    def fail(*args):
        raise AssertionError("it trains")

    monkeypatch.setattr(Trainer, "perform", fail)
    learner = tfcl.Learner(copied, method())
    nothing = tfcl.Task("shoes", train="no such folder")
    assert learner.learn(nothing) == learner.learn(BAGS)
    assert list(learner.learn(SHOES)) == ["shoes", "bags"]


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("make", [CLR, LASEM])
def test_a_killed_program_goes_on_with_the_same_numbers(
    make, tmp_path, monkeypatch
):
    def program(folder):
        learner = tfcl.Learner(folder, method(4, make, norm=make is CLR))
        learner.learn(SHOES)
        learner.learn(BAGS)
        return learner.accuracy_matrix

    whole = program(tmp_path / "whole")
    count = 0
    finish = Experiment.finish_visit

    def killed(run, visit):
        nonlocal count
        count += 1
        if count == 2:  # The second task is trained, but not noted.
            raise _Killed
        finish(run, visit)

    monkeypatch.setattr(Experiment, "finish_visit", killed)
    with pytest.raises(_Killed):
        program(tmp_path / "killed")
    monkeypatch.undo()
    broken = tfcl.Learner(
        tmp_path / "killed", method(4, make, norm=make is CLR)
    )
    assert broken.tasks == ["shoes"]
    with pytest.raises(UserError, match="in the middle of task 'bags'"):
        broken.learn(tfcl.Task("hats", train=examples(3)))
    with pytest.raises(UserError, match="begun with other train and valida"):
        broken.learn(tfcl.Task("bags", train=examples(4, classes=3)))
    np.testing.assert_array_equal(program(tmp_path / "killed"), whole)


def test_load_serves_and_learns_without_the_program(shop, copied):
    learner = tfcl.Learner.load(copied)
    images = examples(5, 6)[0]
    expected = tfcl.Learner(shop, method()).predict("bags", images)
    np.testing.assert_array_equal(learner.predict("bags", images), expected)
    before = learner.evaluate()
    after = learner.learn(tfcl.Task("hats", train=examples(3)))
    assert list(after) == ["shoes", "bags", "hats"]
    assert {name: after[name] for name in before} == before
    np.testing.assert_array_equal(learner.predict("bags", images), expected)


def test_images_may_be_files(shop, tmp_path):
    learner = tfcl.Learner.load(shop)
    image = examples(5, 1, size=30)[0][0]
    path = tmp_path / "new.png"
    keras.utils.save_img(path, image, scale=False)
    (by_path,) = learner.predict("bags", path)
    np.testing.assert_array_equal(learner.predict("bags", [path])[0], by_path)
    np.testing.assert_array_equal(
        learner.predict("bags", image[None])[0], by_path
    )
    with pytest.raises(UserError, match="No such image"):
        learner.predict("bags", "nothing.png")
    with pytest.raises(UserError, match="No learned task 'hats'.*shoes, bags"):
        learner.predict("hats", path)


def test_it_exports(shop, tmp_path):
    learner = tfcl.Learner(shop, method())
    paths = learner.export(tmp_path / "exports")
    assert [path.parent.name for path in paths] == ["shoes", "bags"]
    images = examples(5, 6)[0]
    served = tf.saved_model.load(str(paths[0])).signatures["serving_default"]
    found = served(images=tf.constant(images))
    np.testing.assert_allclose(
        found["probabilities"], learner.predict("shoes", images), atol=1e-6
    )
    assert found["class_names"].numpy()[5].tolist() == [b"boot", b"sneaker"]
    (bundle,) = learner.export(tmp_path / "exports", bundle=True)
    assert bundle.parent.name == "bundle" and bundle.is_dir()
    assert learner.export(tmp_path / "one", tasks=["bags"])[0].is_dir()
    (path,) = learner.export(tmp_path / "one", tasks=["bags"], form="keras")
    images = examples(5, 6)[0]
    np.testing.assert_allclose(
        keras.models.load_model(path).predict(images, verbose=0),
        learner.predict("bags", images),
        atol=1e-5,
    )


def test_commands_open_what_a_program_has_learned(copied, tmp_path):
    path = tmp_path / "new.png"
    keras.utils.save_img(path, examples(5, 1)[0][0], scale=False)
    place = f"--model_dir={copied}"
    expected = tfcl.Learner(copied, method()).predict("bags", path)[0]
    with ForkedCommands(tmp_path, seconds=120) as run:
        told = run("predict", place, "--task=bags", "--top=1", path)
        assert f"{expected.argmax()} {expected.max():.4f}" in told.out, told
        told = run("evaluate", place)
        assert told.code == 0 and "shoes" in told.out, told
        told = run("export", place, "--bundle")
        assert told.code == 0 and "export/bundle" in told.out, told
        # Nothing is left to learn, so the commands can go on.
        config = f"--gin_file={copied / 'config.gin'}"
        told = run("train", config, place)
        assert told.code == 0 and "2 of 2 tasks" in told.out, told


def test_a_command_says_who_has_the_data(tmp_path, monkeypatch):
    train, steps = StepRunner.train, itertools.count()

    def killed(*args, **kwargs):
        if next(steps) == 6:
            raise _Killed
        return train(*args, **kwargs)

    monkeypatch.setattr(StepRunner, "train", killed)
    often = CheckpointPolicy(every_seconds=0, steps_per_call=1)
    learner = tfcl.Learner(tmp_path / "run", method(), checkpoints=often)
    with pytest.raises(_Killed):
        learner.learn(SHOES)
    config = f"--gin_file={tmp_path / 'run' / 'config.gin'}"
    with ForkedCommands(tmp_path, seconds=120) as run:
        told = run("train", config, f"--model_dir={tmp_path / 'run'}")
    assert told.code == 2
    assert "images of task 'shoes' were given by a Python program" in told.err


def test_rehearsal_asks_for_former_data(tmp_path):
    learner = tfcl.Learner(tmp_path, method(2, Rehearsal, capacity=20))
    learner.learn(SHOES)
    learner.learn(tfcl.Task("hats", train=examples(3)))  # It has them.
    later = tfcl.Learner(tmp_path, method(2, Rehearsal, capacity=20))
    with pytest.raises(UserError, match="train images of task 'shoes' were gi"):
        later.learn(tfcl.Task("caps", train=examples(4)))
    later.learn(SHOES)
    later.learn(tfcl.Task("hats", train=examples(3)))
    later.learn(tfcl.Task("caps", train=examples(4)))
    assert later.tasks == ["shoes", "hats", "caps"]


def test_other_data_of_a_learned_task_are_refused_when_they_are_read(tmp_path):
    tfcl.Learner(tmp_path, method(1, Rehearsal, capacity=20)).learn(SHOES)
    learner = tfcl.Learner(tmp_path, method(1, Rehearsal, capacity=20))
    learner.learn(tfcl.Task("shoes", train=examples(8), test=TEST))
    with pytest.raises(UserError, match="'shoes': its train examples are not"):
        learner.learn(tfcl.Task("hats", train=examples(3)))


def test_a_method_that_forgets_is_measured_on_kept_test_images(tmp_path):
    tfcl.Learner(tmp_path, method(3, EWC)).learn(SHOES)
    learner = tfcl.Learner(tmp_path, method(3, EWC))
    learner.learn(tfcl.Task("hats", train=examples(3)))
    images, labels = TEST
    right = learner.predict("shoes", images).argmax(1) == labels
    assert learner.accuracy_matrix[1, 0] == right.mean()


def test_another_method_or_setting_is_refused(copied):
    for other, said in (
        (method(mode="full"), r"CLR.mode: \(not set\) -> 'full'"),
        (method(make=EWC), "Experiment.method: @CLR"),
    ):
        with pytest.raises(UserError, match=said):
            tfcl.Learner(copied, other).learn(
                tfcl.Task("hats", train=examples(3))
            )
        with pytest.raises(UserError, match=said):
            tfcl.Learner(copied, other).predict("shoes", TEST[0])
    for name, value in (("image_size", 30), ("channels", 1)):
        with pytest.raises(UserError, match=f"begun with {name}=.*{name}="):
            tfcl.Learner(copied, method(), **{name: value}).learn(
                tfcl.Task("hats", train=examples(3))
            )
    learner = tfcl.Learner(copied, method(), image_size=SIZE, batch_size=32)
    assert "hats" in learner.learn(tfcl.Task("hats", train=examples(3)))


def test_a_later_task_may_be_trained_otherwise(copied):
    later = tfcl.Learner(copied, method(epochs=7), batch_size=8)
    later.learn(tfcl.Task("hats", train=examples(3)))
    journal = newest_journal(copied)
    assert [record.epochs for record in journal.visits] == [6, 6, 7]
    settings = [record.settings for record in journal.visits]
    assert settings[0] == settings[1]
    assert {k for k in settings[2] if settings[2][k] != settings[0].get(k)} == {
        "TaskTraining.epochs",
        "kept_stream.batch_size",
    }


def test_a_refused_task_leaves_no_trace(copied):
    learner = tfcl.Learner(copied, method())
    with pytest.raises(UserError, match="a task name holds"):
        learner.learn(tfcl.Task("a/b", train=examples(3)))
    one_class = tfcl.Task("hats", train=(TEST[0], np.zeros(20, int)))
    with pytest.raises((UserError, ValueError), match="at least two classes"):
        learner.learn(one_class)
    learner.learn(tfcl.Task("caps", train=examples(3)))
    assert learner.tasks == ["shoes", "bags", "caps"]
    assert kept_tasks.KeptTasks(copied).names == learner.tasks


def test_a_second_process_changes_nothing(copied, monkeypatch):
    """It is refused before it writes what it would keep."""
    lock = DirectoryLock(copied)
    try:
        with pytest.raises(UserError, match="in use|another process"):
            tfcl.Learner(copied, method()).learn(
                tfcl.Task("hats", train=examples(3))
            )
    finally:
        lock.release()
    assert kept_tasks.KeptTasks(copied).names == ["shoes", "bags"]


def test_a_run_of_a_command_is_served_and_learns_on(tmp_path):
    with ForkedCommands(tmp_path, seconds=300) as run:
        told = run(
            "train",
            "--gin_file=gin/lasem_digits.gin",
            "--gin_bindings=EPOCHS = 1",
            f"--model_dir={tmp_path / 'run'}",
            f"--data_dir={tmp_path}",
        )
    assert told.code == 0, told.err
    learner = tfcl.Learner.load(tmp_path / "run")
    assert learner.predict("two_three", examples(1, 3)[0]).shape == (3, 2)
    row = learner.accuracy_matrix[-1]
    assert list(learner.evaluate().values()) == row.tolist()
    found = learner.learn(tfcl.Task("hats", train=examples(3)))
    assert list(found) == learner.tasks and learner.tasks[-1] == "hats"


def test_arguments_of_training_are_sent_to_the_method(tmp_path):
    with pytest.raises(TypeError, match="no argument `epochs`.*CLR.backbone"):
        tfcl.Learner(tmp_path, method(), epochs=5)


def test_a_new_or_foreign_folder_says_so(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        tfcl.Learner.load(tmp_path / "new")
    learner = tfcl.Learner(tmp_path / "new", method())
    assert learner.tasks == [] and learner.accuracy_matrix.shape == (0, 0)
    assert repr(learner).endswith(": new>")
    with pytest.raises(UserError, match="has not learned a task yet"):
        learner.predict("shoes", TEST[0])
    with pytest.raises(UserError, match="has not learned a task yet"):
        learner.evaluate()
    with pytest.raises(UserError, match="no report yet"):
        learner.report()
    with pytest.raises(UserError, match=r"tfcl.Task\(name.*tuple"):
        learner.learn(TEST)
    with pytest.raises(UserError, match="method=CLR"):
        tfcl.Learner(tmp_path / "new", CLR)


def test_a_refused_first_try_settles_nothing(tmp_path):
    """Neither how images are read nor anything else comes from it."""
    with pytest.raises(ValueError, match="BatchNormalization"):
        tfcl.Learner(tmp_path, method(make=HAT), preprocessing="train").learn(
            BAGS
        )
    kept = kept_tasks.KeptTasks(tmp_path)
    assert kept.settings["statistics"] == "train"
    tfcl.Learner(tmp_path, method(epochs=1)).learn(BAGS)
    settings = kept_tasks.KeptTasks(tmp_path).settings
    assert tuple(settings["statistics"]) == RAW


def test_damaged_files_are_named(copied):
    path = copied / "learner" / "000_shoes.npz"
    content = path.read_bytes()
    path.write_bytes(damaged(content, ("flip", 2**15, 0)))
    learner = tfcl.Learner(copied, method())
    with pytest.raises(RunError, match="000_shoes.npz is damaged"):
        learner.learn(tfcl.Task("hats", train=examples(3)))
    path.write_bytes(content)
    (copied / "learner" / "tasks.json").write_text("{")
    with pytest.raises(RunError, match="tasks.json cannot be read"):
        learner.learn(tfcl.Task("hats", train=examples(3)))


def test_what_gin_cannot_name_stays_with_the_program(tmp_path, monkeypatch):
    class Own(CLR):
        """Has no name in gin."""

    learner = tfcl.Learner(tmp_path, method(1, Own))
    learner.learn(SHOES)
    assert learner.predict("shoes", TEST[0]).shape == (20, 2)
    with pytest.raises(UserError, match="made by a Python program.*Own"):
        tfcl.Learner.load(tmp_path).predict("shoes", TEST[0])
    again = tfcl.Learner(tmp_path, method(1, Own))
    assert "hats" in again.learn(tfcl.Task("hats", train=examples(3)))


def test_the_model_of_the_program_is_not_changed(tmp_path):
    mine = model()
    before = mine.get_weights()
    training = tfcl.methods.TaskTraining(backbone=mine, epochs=1)
    tfcl.Learner(tmp_path, EWC(training)).learn(SHOES)
    for old, new in zip(before, mine.get_weights()):
        np.testing.assert_array_equal(old, new)


@pytest.fixture
def _hears_ctrl_c():
    """Tests may run where it is ignored (`nohup`, `&`)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_hears_ctrl_c")
def test_ctrl_c_interrupts_a_program_and_keeps_what_is_saved(shop, tmp_path):
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    train, calls = StepRunner.train, itertools.count()

    def interrupted(*args):
        assert [signal.getsignal(number) for number in numbers] == before
        if next(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return train(*args)

    saved_often = CheckpointPolicy(every_seconds=0.0, steps_per_call=1)
    learner = tfcl.Learner(tmp_path, method(), checkpoints=saved_often)
    with mock.patch.object(StepRunner, "train", interrupted):
        with pytest.raises(KeyboardInterrupt):
            learner.learn(SHOES)
    steps = []
    with mock.patch.object(
        StepRunner, "train", lambda *a: (steps.append(a[4]), train(*a))[1]
    ):
        learner.learn(SHOES)  # In the next cell of the notebook.
    assert steps[0] == 3, "the steps before are not made again"
    np.testing.assert_array_equal(
        learner.accuracy_matrix,
        tfcl.Learner(shop, method()).accuracy_matrix[:1, :1],
    )


def test_what_a_program_binds_for_itself_is_none_of_a_runs(tmp_path):
    with configuration.apart():
        configuration.load([], ["OF_THE_PROGRAM = 3"])
        learner = tfcl.Learner(tmp_path, method(1))
        assert "shoes" in learner.learn(SHOES)


def test_loggers_are_told_of_each_task_as_one_run(tmp_path):
    recorder = Recorder()
    learner = tfcl.Learner(tmp_path / "shop", method(), loggers=(recorder,))
    learner.learn(SHOES)
    count = len(recorder.told)
    learner.learn(BAGS)
    learner.learn(BAGS)
    learner.evaluate()
    first, second = recorder.runs
    assert first.id == second.id and first.name == "shop"
    assert recorder.ends == [True, True]
    # None of the first task's points is told again.
    last = max(step for _, _, step, _ in recorder.told[:count])
    assert last < min(step for _, _, step, _ in recorder.told[count:])
    assert recorder.points()["metrics/average_accuracy"][-1][1] > 0.9


@pytest.mark.parametrize("wrong", [Recorder, Recorder()])
def test_loggers_that_are_none_are_refused(tmp_path, wrong):
    given = (wrong,) if isinstance(wrong, type) else wrong
    learner = tfcl.Learner(tmp_path / "shop", method(), loggers=given)
    with pytest.raises((UserError, ValueError), match="loggers"):
        learner.learn(SHOES)
