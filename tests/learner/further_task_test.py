"""A run of gin files learns a further task without its former data.

From a terminal tfcl.add does it.
"""

import contextlib
import html
import json
import math
import os
import pathlib
import pty
import re
import shlex
import shutil
import signal
import sys
from unittest import mock

import keras
import numpy as np
import pytest

import tfcl
from tests.learner.programs import examples, method
from tests.testing.forked_commands import ForkedCommands
from tfcl.engine.outputs import Outputs
from tfcl.engine.storage.checkpoints import CheckpointPolicy, newest_journal
from tfcl.engine.storage.saver import Saver
from tfcl.errors import Interrupted, UserError
from tfcl.learner import runs
from tfcl.learner.further_task import further_stream
from tfcl.learner.method_source import OfFolder
from tfcl.testing import undrawn_figures

_TRAIN = (
    "--gin_file=gin/packnet_digits.gin",
    "--gin_bindings=EPOCHS = 2",
    "--gin_bindings=RETRAINING_EPOCHS = 1",
    "--gin_bindings=class_split_stream.num_tasks = 2",
)


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    with ForkedCommands(tmp_path_factory.mktemp("commands"), 240) as run:
        yield run


@pytest.fixture(scope="module")
def begun(tmp_path_factory, commands):
    """A run of two tasks of digits, whose data are gone."""
    folder = tmp_path_factory.mktemp("begun")
    ended = commands(
        "train",
        *_TRAIN,
        f"--model_dir={folder / 'run'}",
        f"--data_dir={folder / 'data'}",
    )
    assert ended.code == 0, ended
    shutil.rmtree(folder / "data")
    return folder / "run"


@pytest.fixture
def run(begun, tmp_path):
    shutil.copytree(begun, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Folders of images of two classes."""
    folder = tmp_path_factory.mktemp("pictures") / "boats"
    images, labels = examples(3, 60)
    for number, (image, label) in enumerate(zip(images, labels)):
        place = folder / ("ferry" if label else "canoe")
        place.mkdir(parents=True, exist_ok=True)
        keras.utils.save_img(place / f"{number}.png", image, scale=False)
    return folder


def _matrix(folder):
    return json.loads((folder / "results.json").read_text())["accuracy_matrix"]


def test_the_command_adds_a_task_with_its_own_settings(run, pictures, commands):
    before = _matrix(run)
    words = (
        f"--model_dir={run}",
        "--task=boats",
        f"--images={pictures}",
        "--batch_size=8",
        "--gin_bindings=EPOCHS = 3",
    )
    ended = commands("add", *words)
    assert ended.code == 0, ended
    after = _matrix(run)
    assert after[0][:2] == before[0] and after[1][:2] == before[1]
    # Unchanged tasks keep what was measured, and the new one has learned.
    assert after[2][:2] == before[1] and after[2][2] > 0.5
    tasks = json.loads((run / "results.json").read_text())["tasks"]
    assert [task["epochs"] for task in tasks] == [3, 3, 4]
    settings = [task["settings"] for task in tasks]
    assert settings[0] == settings[1]
    assert settings[2]["TaskTraining.epochs"] == "3"
    sizes = [each["class_split_stream.batch_size"] for each in settings]
    assert sizes == ["16", "16", "8"]
    # All that was exported is brought up to date.
    assert (run / "export/boats/3").is_dir()
    assert (run / "export/zero_one/3").is_dir()
    # The commands that have learned them, in their order.
    page = html.unescape((run / "report.html").read_text())
    lines = [
        re.sub("<[^>]*>", "", line)
        for line in re.findall('<pre class="command">(.*?)</pre>', page)
    ]
    assert lines[0].startswith("python -m tfcl.train --gin_file=")
    assert lines[1] == shlex.join(["python", "-m", "tfcl.add", *words])
    again = commands("add", *words)
    assert again.code == 0 and "boats' is learned already" in again.err
    assert "have changed" not in again.err
    assert _matrix(run) == after


def test_a_program_adds_a_task(run, begun):
    with undrawn_figures():
        learner = tfcl.Learner.load(run, gin_bindings=["EPOCHS = 1"])
        images = np.repeat(examples(5, 40, size=8)[0], 1, axis=0)
        before = learner.predict("zero_one", images)
        found = learner.learn(tfcl.Task("boats", train=examples(3, 60)))
    assert list(found) == ["zero_one", "two_three", "boats"]
    assert [found[n] for n in learner.tasks[:2]] == _matrix(begun)[1]
    np.testing.assert_array_equal(learner.predict("zero_one", images), before)


@pytest.mark.parametrize(
    ("binding", "named"),
    [
        ("Experiment.seed = 7", "Experiment.seed: 0 -> 7"),
        ("HIDDEN_UNITS = (8,)", "`HIDDEN_UNITS` has no effect"),
        ("lasem_cnn.channels = (4,)", "`lasem_cnn.channels` has no effect"),
        ("PackNet.pruned = 0.3", "PackNet.pruned: 0.6 -> 0.3"),
    ],
)
def test_what_the_run_is_made_of_stays(binding, named, run, pictures):
    before = _matrix(run)
    with pytest.raises(UserError) as caught:
        tfcl.Learner.load(run, gin_bindings=[binding]).learn(
            tfcl.Task("boats", train=pictures)
        )
    assert named in str(caught.value)
    assert _matrix(run) == before


def test_a_kill_before_the_report_is_made_up_for(run, pictures, caplog):
    """And data that have changed since are told."""
    task = tfcl.Task("boats", train=pictures)
    with (
        mock.patch.object(Outputs, "finish", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        tfcl.Learner.load(run).learn(task)
    assert newest_journal(run).visits[-1].name == "boats"
    assert not (run / "export/zero_one/3").exists()
    before = _matrix(run)
    with undrawn_figures():
        tfcl.Learner.load(run).learn(task)
        assert (run / "export/boats/3").is_dir()
        assert (run / "export/zero_one/3").is_dir()
        other = tfcl.Task("boats", train=examples(9, 60))
        tfcl.Learner.load(run).learn(other)
    assert "'boats' is learned, and its data have changed" in caplog.text
    assert _matrix(run) == before


def test_other_data_of_any_learned_task_are_told(run, pictures, caplog):
    """And which files they are, a few and the count."""
    with undrawn_figures():
        tfcl.Learner.load(run).learn(tfcl.Task("boats", train=pictures))
        later = tfcl.Task("ships", train=examples(4, 60))
        tfcl.Learner.load(run).learn(later)
    before = _matrix(run)
    other = shutil.copytree(pictures, run.parent / "other")
    gone, changed = sorted(other.glob("ferry/*"))[:2]
    gone.unlink()
    shutil.copy(next(other.glob("canoe/*")), changed)
    learner = tfcl.Learner.load(run)
    for task, told in (
        (tfcl.Task("boats", train=pictures), ""),
        (
            tfcl.Task("boats", train=other),
            f"files (1 gone: ferry/{gone.name}; 1 changed: "
            f"ferry/{changed.name}). It stays",
        ),
        (
            tfcl.Task("boats", train=other, class_names=["a", "ferry"]),
            "since: classes (1 gone: canoe; 1 new: a), files",
        ),
        (later, ""),
        (
            tfcl.Task("zero_one", train=examples(3, 60)),
            "classes (2 gone: zero, one; 2 new: 0, 1), train examples (",
        ),
        (tfcl.Task("zero_one", train=run / "nothing"), None),
    ):
        caplog.clear()
        with caplog.at_level("INFO", logger="absl"):
            learner.learn(task)
        assert f"'{task.name}' is learned already" in caplog.text
        if told:
            assert told in caplog.text and "--remove=" in caplog.text
        else:
            assert "have changed" not in caplog.text
        assert ("were not compared" in caplog.text) is (told is None)
    assert _matrix(run) == before


def test_a_wish_to_stop_before_the_run_is_open_counts(run, pictures):
    learner = tfcl.Learner.load(run)

    def opened(*arguments):
        learner.stop()
        return further_stream(*arguments)

    with (
        undrawn_figures(),
        mock.patch("tfcl.learner.learner.further_stream", opened),
        pytest.raises(Interrupted),
    ):
        learner.learn(tfcl.Task("boats", train=pictures))
    assert newest_journal(run).position.name == "boats"
    with undrawn_figures():  # It was a wish for that time alone.
        assert "boats" in learner.learn(tfcl.Task("boats", train=pictures))


def test_ctrl_c_at_a_terminal_saves_and_the_same_command_goes_on(
    run, pictures, commands
):
    words = [f"--model_dir={run}", "--task=boats", f"--images={pictures}"]
    words.append("--gin_bindings=EPOCHS = 40")
    process, terminal = pty.fork()
    if process == 0:  # The child: its terminal is the other end.
        os.chdir(pathlib.Path(__file__).parents[2])
        # Tests in the background ignore it, and so would their children.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        argv = [sys.executable, "-m", "tfcl.add", *words]
        os.execv(sys.executable, argv)
    told = b""
    while b"Task 3/3 boats, phase" not in told:
        told += os.read(terminal, 1000)
    os.write(terminal, b"\x03")
    with contextlib.suppress(OSError):  # It ends with its other end.
        while part := os.read(terminal, 1000):
            told += part
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    assert b"the state is saved" in told
    assert newest_journal(run).position.name == "boats"
    ended = commands("add", *words)
    assert ended.code == 0, ended
    assert newest_journal(run).visits[-1].name == "boats"


def test_a_task_keeps_its_batch_size_to_its_end(run, pictures):
    def learner(size):
        return tfcl.Learner.load(
            run,
            batch_size=size,
            checkpoints=CheckpointPolicy(every_seconds=0.0, steps_per_call=2),
        )

    task, first = tfcl.Task("boats", train=pictures), learner(8)
    with (
        undrawn_figures(),
        mock.patch.object(Saver, "save", _saves_and_stops(first)),
        pytest.raises(Interrupted),
    ):
        first.learn(task)
    assert newest_journal(run).position is not None
    with pytest.raises(UserError, match="batch_size: 8 -> 4"):
        learner(4).learn(task)
    with undrawn_figures():
        assert "boats" in learner(None).learn(task)  # That of the task.
    settings = newest_journal(run).visits[-1].settings
    assert settings["class_split_stream.batch_size"] == "8"


def _saves_and_stops(learner):
    save = Saver.save

    def saves(self, *arguments, **named):
        learner.stop()
        return save(self, *arguments, **named)

    return saves


def test_what_does_not_fit_is_refused(run, pictures, commands):
    task = tfcl.Task("boats", train=pictures)
    with pytest.raises(UserError, match="by tfcl.Learner.load"):
        tfcl.Learner(run, method()).learn(task)
    with pytest.raises(UserError, match=r"`image_size`.*\(8, 8, 1\)"):
        tfcl.Learner.load(run, image_size=16).learn(task)
    place = (f"--model_dir={run}", "--task=boats")
    ended = commands("add", *place)
    assert ended.code == 2 and "either --images" in ended.err
    ended = commands("add", *place, "--images=nothing")
    assert ended.code == 2 and "'nothing' is no folder" in ended.err


def test_images_are_read_as_those_of_the_other_tasks(run, pictures):
    wishes = dict.fromkeys(
        (
            *("image_size", "channels", "batch_size", "preprocessing"),
            *("resize", "validation_fraction", "test_fraction"),
        )
    )
    task, journal = tfcl.Task("boats", train=pictures), newest_journal(run)
    source = OfFolder(run)

    def stream(**given):
        found = {**wishes, **given}
        with source.configured():
            return further_stream(source, task, journal, run, found, None)(None)

    found = stream()
    assert found.spec().image_shape == (8, 8, 1)
    assert (found.name, found.batch_size) == ("digits_5", 16)
    assert stream(batch_size=4).batch_size == 4
    # Digits have statistics of their own, each; constants can be wished.
    own = found.tasks[0].preprocessing
    raw = stream(preprocessing="none").tasks[0].preprocessing
    assert own.mean != raw.mean and raw.mean == (0.0,)
    # What a function of gin's has said is seen from the learned tasks.
    bound = "class_split_stream.statistics"
    journal.bindings[bound] = "@keras_file_statistics()"
    assert stream().tasks[0].preprocessing.mean == own.mean
    journal.bindings[bound] = "((0.5,), (0.25,))"
    assert stream().tasks[0].preprocessing.mean == (0.5,)


@pytest.mark.parametrize(
    ("measured", "recorded", "wanted"),
    [
        ([0.5, 0.7], [0.5, 0.7], False),
        ([0.5, 0.7], [0.5, 0.6], True),
        # Not known then, measured by images that are here again.
        ([0.5, 0.7], [math.nan, 0.7], False),
        ([math.nan, 0.7], [math.nan, 0.7], False),
        # Changed since, without images.
        ([math.nan, 0.7], [0.5, 0.7], True),
    ],
)
def test_what_was_not_known_does_not_differ(measured, recorded, wanted):
    assert bool(runs.difference(measured, recorded)) is wanted


def test_the_old_stream_still_opens_the_run(run, begun, pictures, commands):
    """With its data back, the run has all tasks, and nothing to learn."""
    with undrawn_figures():
        tfcl.Learner.load(run).learn(tfcl.Task("boats", train=pictures))
    before = _matrix(run)
    ended = commands(
        "train",
        *_TRAIN,
        f"--model_dir={run}",
        f"--data_dir={begun.parent / 'data'}",
    )
    assert ended.code == 0, ended
    assert _matrix(run) == before
    ended = commands(
        "evaluate", f"--model_dir={run}", f"--data_dir={begun.parent / 'data'}"
    )
    assert ended.code == 0 and "boats" in ended.out, ended
