"""The commands as a user starts them, in processes of their own.

One folder goes through a life: a run of two tasks, the same command with a
third, then the commands that serve it. Each start takes seconds, so the tests
share what a start has shown.
"""

import csv
import hashlib
import json
import logging
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import typing
import zlib
from unittest import mock

import gin
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from absl import flags
from absl.testing import flagsaver

from tfcl import commands, configuration, predict
from tfcl.configuration import command_flags
from tfcl.data.preprocessing import Preprocessing
from tfcl.data.sources.image_files import check_image, read_image
from tfcl.data_builders.image_folders import image_file
from tfcl.data_builders.image_folders.image_file import DEFAULT_RULES
from tfcl.errors import RunError, UserError
from tfcl.learner import runs

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_NAMES = ["zero_one", "two_three", "four_five"]
# What TensorFlow's C++ says to stderr when it is loaded.
_START_UP = re.compile(
    r"WARNING: All log messages before absl|[IWE]0000 00:00|"
    "To enable the following instructions"
)
# A program of somebody who has TensorFlow and the exported folder only.
_SERVE = """
import json, sys
import numpy, PIL.Image, tensorflow
served = tensorflow.saved_model.load(sys.argv[1])
image = numpy.asarray(PIL.Image.open(sys.argv[2]).convert("RGB"))
found = served.signatures["serving_default"](tensorflow.constant(image[None]))
assert not [name for name in sys.modules if name.startswith("tfcl")]
print(json.dumps({
    "classes": [name.decode() for name in found["class_names"].numpy()[0]],
    "probabilities": found["probabilities"].numpy().tolist(),
    "labels": [name.decode() for name in found["labels"].numpy()],
}))
"""


class Ended(typing.NamedTuple):
    """A process that has ended."""

    code: int
    out: str
    err: str

    def own_lines(self):
        """Lines on stderr without TensorFlow's start-up remarks."""
        return [x for x in self.err.splitlines() if not _START_UP.match(x)]


class Life(typing.NamedTuple):
    """What the two training commands left behind."""

    folder: pathlib.Path
    data_dir: pathlib.Path
    first: Ended
    first_results: dict
    first_tasks: dict
    second: Ended
    second_results: dict
    second_tasks: dict


def started(*arguments, cwd=_ROOT):
    """Runs python with arguments as a shell would, without our settings."""
    own = ("TF_CPP_MIN_LOG_LEVEL", "TF_CONFIG", "TFDS_DATA_DIR")
    ended = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={k: v for k, v in os.environ.items() if k not in own},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def trained(folder, data_dir, *bindings):
    """Starts training on a short version of the demonstration."""
    return started(
        "-m",
        "tfcl.train",
        "--gin_file=gin/lasem_digits.gin",
        f"--model_dir={folder}",
        f"--data_dir={data_dir}",
        *(f"--gin_bindings={each}" for each in ("EPOCHS = 3", *bindings)),
    )


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    folder = tmp_path_factory.mktemp("life") / "run"
    data_dir = folder.with_name("data")
    shown = []
    for count in (2, 3):
        ended = trained(
            folder, data_dir, f"class_split_stream.num_tasks = {count}"
        )
        assert ended.code == 0, ended.err
        results = json.loads((folder / "results.json").read_text())
        shown += [ended, results, files_below(folder / "tasks")]
    return Life(folder, data_dir, *shown)


def files_below(folder):
    """`{path: (content, time of the last change)}`."""
    return {
        str(path.relative_to(folder)): (
            path.read_bytes(),
            path.stat().st_mtime_ns,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """The same grey noise, stored in several kinds of PNG."""
    folder = tmp_path_factory.mktemp("images")
    grey = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    plain = PIL.Image.fromarray(grey)
    plain.convert("RGB").save(folder / "rgb.png")
    plain.convert("RGBA").save(folder / "rgba.png")
    plain.convert("P").save(folder / "palette.png")
    PIL.Image.fromarray(grey.astype(np.uint16) * 257).save(
        folder / "grey16.png"
    )
    return folder


@pytest.fixture(scope="module")
def predictions(life, images):
    """`{file name: {class: probability}}`, all printed by one command."""
    ended = started(
        "-m",
        "tfcl.predict",
        f"--model_dir={life.folder}",
        "--task=two_three",
        *sorted(images.iterdir()),
    )
    assert ended.code == 0, ended.err
    found = {}
    for line in ended.out.splitlines():
        path, _, told = line.partition(": ")
        pairs = (each.split() for each in told.split(", "))
        name = pathlib.Path(path).name
        found[name] = {cls: float(value) for cls, value in pairs}
    return found


@pytest.fixture
def no_bindings_left():
    yield
    gin.clear_config()


# Training


def test_training_ends_with_the_table_and_the_place_of_the_report(life):
    shown = life.first.out
    for name in _NAMES[:2]:
        row = next(line for line in shown.splitlines() if name in line)
        accuracy = life.first_results["tasks"][_NAMES.index(name)]
        assert f"{100 * accuracy['test_accuracy']:.1f}" in row
    assert f"{life.folder}/report.html" in shown
    assert _NAMES[2] not in shown
    assert "Traceback" not in life.first.err


@pytest.mark.skipif(os.name != "posix", reason="has no such signals")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGHUP, 75)]
)
def test_a_signal_saves_a_run_that_goes_on(life, tmp_path, number, code):
    arguments = [
        *("-m", "tfcl.train", "--gin_file=gin/lasem_digits.gin"),
        *(f"--model_dir={tmp_path / 'run'}", f"--data_dir={life.data_dir}"),
        "--gin_bindings=EPOCHS = 100000",
    ]
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=_ROOT,
        stderr=subprocess.PIPE,
        text=True,
        # Tests themselves may run where it is ignored (`nohup`, `&`).
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )
    try:
        for line in process.stderr:
            if "phase train" in line:
                break
        process.send_signal(number)
        told = process.communicate(timeout=120)[1].splitlines()
    finally:
        process.kill()
    assert process.returncode == code, told
    assert [line for line in told if line.startswith("tfcl: ")] == [
        "tfcl: stopping and saving behind the steps in hand; once more: at "
        "once.",
        "tfcl: stopped: Stopped on request; the state is saved. Start the "
        "same command again to go on.",
    ]
    assert not any("Traceback" in line for line in told)
    assert list((tmp_path / "run" / "checkpoints").glob("ckpt-*.index"))


def test_results_hold_the_run(life):
    results = life.second_results
    assert results["finished"] and results["method"] == "LASEM-HPS"
    assert results["task_names"] == _NAMES
    assert [task["epochs"] for task in results["tasks"]] == [3, 3, 3]
    for i, row in enumerate(results["accuracy_matrix"]):
        assert all(0.0 <= value <= 1.0 for value in row[: i + 1])
        assert row[i + 1 :] == [None] * (2 - i)
    assert "--gin_file=gin/lasem_digits.gin" in results["command"]
    assert results["versions"]["tensorflow"] == tf.__version__
    assert results["seeds"]["run"] == 0
    metrics = json.loads((life.folder / "metrics.json").read_text())
    assert metrics["metrics"] == results["metrics"]


def test_the_matrix_is_also_a_table_of_text(life):
    with open(life.folder / "accuracy_matrix.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["after_task", *_NAMES]
    assert [row[0] for row in rows] == _NAMES
    last = life.second_results["accuracy_matrix"][-1]
    np.testing.assert_allclose([float(x) for x in rows[-1][1:]], last, 0, 1e-6)


def test_the_report_shows_every_task_and_needs_no_other_file(life):
    page = (life.folder / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and page.endswith("</html>\n")
    assert all(name in page for name in _NAMES)
    assert "data:image/png;base64," in page
    assert not re.search(r"(src|href)=.(https?:|[\w./]+\.(png|css|js))", page)
    figures = sorted((life.folder / "figures").glob("*.png"))
    assert "accuracy_matrix.png" in [path.name for path in figures]
    for path in figures:
        with PIL.Image.open(path) as image:
            image.verify()


def test_tensorboard_can_read_the_events_of_every_task(life):
    tags = set()
    for path in (life.folder / "tensorboard").iterdir():
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            tags |= {value.tag for value in event.summary.value}
    assert {f"train/{name}/loss" for name in _NAMES} <= tags
    assert {f"test_accuracy/{name}" for name in _NAMES} <= tags
    assert {"config.gin", "operative_config.gin"} <= tags


def test_the_bank_holds_every_task_with_its_checksum(life):
    folders = sorted((life.folder / "tasks").iterdir())
    assert [each.name for each in folders] == [
        f"{k:03d}_{name}" for k, name in enumerate(_NAMES)
    ]
    for folder in folders:
        note = json.loads((folder / "task.json").read_text())
        content = (folder / "values.npz").read_bytes()
        assert note["sha256"] == hashlib.sha256(content).hexdigest()
        with np.load(folder / "history.npz") as history:
            assert all(len(history[name]) == 3 for name in history.files)


def test_checkpoints_can_be_read(life):
    path = tf.train.latest_checkpoint(str(life.folder / "checkpoints"))
    assert tf.train.load_checkpoint(path).get_variable_to_shape_map()


@pytest.mark.parametrize("name", ["config.gin", "operative_config.gin"])
def test_saved_configurations_load_again(life, no_bindings_left, name):
    configuration.load([str(life.folder / name)], [])
    found = configuration.bindings()
    asked = life.second_results["bindings"]
    # What gin calls for a macro it notes with the macro as scope.
    found |= {k.removeprefix("TRAINING/"): v for k, v in found.items()}
    assert found["TaskTraining.epochs"] == "3"
    assert {key: found[key] for key in asked} == asked


def test_an_exported_task_serves_without_this_program(
    life, images, predictions, tmp_path
):
    ended = started(
        "-c",
        _SERVE,
        life.folder / "export" / "two_three" / "3",
        images / "rgb.png",
        cwd=tmp_path,
    )
    assert ended.code == 0, ended.err
    served = json.loads(ended.out)
    assert served["classes"] == ["two", "three"]
    wanted = predictions["rgb.png"]
    assert served["labels"] == [max(wanted, key=wanted.get)]
    np.testing.assert_allclose(
        served["probabilities"],
        [[wanted[name] for name in served["classes"]]],
        atol=1e-4,  # Four decimals were printed.
    )
    exported = sorted(p.name for p in (life.folder / "export").iterdir())
    assert exported == sorted(_NAMES)


# A longer stream


def test_the_same_command_with_more_tasks_learns_only_those(life):
    before, after = life.first_results, life.second_results
    # The seconds too: nothing was learned again to the same numbers. What
    # tasks answer at the end is another end's.
    known = [
        [{k: v for k, v in task.items() if k != "answers"} for task in tasks]
        for tasks in (before["tasks"], after["tasks"][:2])
    ]
    assert known[0] == known[1]
    assert after["seconds"] > before["seconds"]
    matrices = before["accuracy_matrix"], after["accuracy_matrix"]
    assert [row[:2] for row in matrices[1][:2]] == matrices[0]
    assert "Task 3/3 four_five" in life.second.err
    assert "Task 1/3" not in life.second.err
    assert "Task 2/3" not in life.second.err


def test_learned_tasks_are_never_written_again(life):
    kept = {k: v for k, v in life.second_tasks.items() if "four_five" not in k}
    assert kept == life.first_tasks
    assert len(life.second_tasks) > len(kept)


# Serving


def test_predict_tells_the_same_of_every_kind_of_image(predictions):
    assert sorted(predictions) == [
        "grey16.png",
        "palette.png",
        "rgb.png",
        "rgba.png",
    ]
    for found in predictions.values():
        assert set(found) == {"two", "three"}
        assert sum(found.values()) == pytest.approx(1.0, abs=2e-4)
        assert found == predictions["rgb.png"]


def test_predict_refuses_what_is_no_image_in_one_line(life, tmp_path):
    wrong = tmp_path / "notes.txt"
    wrong.write_text("no image")
    ended = started(
        "-m",
        "tfcl.predict",
        f"--model_dir={life.folder}",
        "--task=two_three",
        wrong,
    )
    assert (ended.code, ended.out) == (2, "")
    (line,) = ended.own_lines()
    assert line.startswith("tfcl: error: ") and str(wrong) in line


def test_predict_answers_by_all_tasks_and_reads_folders(life, images):
    ended = started(
        *("-m", "tfcl.predict", f"--model_dir={life.folder}"),
        *("--output_format=csv", "--top=1", images),
    )
    assert ended.code == 0, ended.err
    rows = list(csv.DictReader(ended.out.splitlines()))
    names = ["grey16.png", "palette.png", "rgb.png", "rgba.png"]
    wanted = [(str(images / n), task) for n in names for task in _NAMES]
    assert [(row["file"], row["task"]) for row in rows] == wanted
    assert all(row["class"] in row["task"].split("_") for row in rows)
    assert any("every task's head" in line for line in ended.own_lines())


def test_evaluate_measures_new_images(life, images, predictions, tmp_path):
    for name in ("two", "three"):
        (tmp_path / name).mkdir()
        shutil.copy(images / "rgb.png", tmp_path / name)
    # Its own data are not needed, and not looked for.
    ended = started(
        *("-m", "tfcl.evaluate", f"--model_dir={life.folder}"),
        *(f"--images={tmp_path}", "--task=two_three"),
    )
    assert ended.code == 0, ended.err
    best = max(predictions["rgb.png"], key=predictions["rgb.png"].get)
    for name in ("two", "three"):
        part = "100.00" if name == best else "0.00"
        assert re.search(rf"│ {name} +│ 1 +│ \d +│ {part} +│", ended.out)
    assert re.search(r"│ all +│ 2 +│ 1 +│ 50.00 +│", ended.out)
    ended = started(
        *("-m", "tfcl.evaluate", f"--model_dir={life.folder}"),
        *(f"--images={tmp_path}", "--task=zero_one"),
    )
    assert (ended.code, ended.out) == (2, "")
    (line,) = [x for x in ended.own_lines() if "error" in x]
    assert "Task 'zero_one' has no class 'three', 'two'" in line
    assert "Known: zero_one: zero, one" in line


def test_a_quantised_file_is_measured_by_the_test_images(life, tmp_path):
    ended = started(
        *("-m", "tfcl.export", f"--model_dir={life.folder}"),
        *(f"--export_dir={tmp_path}", "--task=two_three"),
        *("--format=litert", "--quantize=int8"),
    )
    assert ended.code == 0, ended.err
    assert ended.out.strip() == str(tmp_path / "two_three.int8.tflite")
    (line,) = [x for x in ended.own_lines() if "MB before" in x]
    recorded = life.second_results["accuracy_matrix"][-1][1]
    assert f"test images {100 * recorded:.2f} % before" in line


def test_evaluate_measures_what_was_recorded(life):
    # The run remembers where its data sets are.
    ended = started("-m", "tfcl.evaluate", f"--model_dir={life.folder}")
    assert ended.code == 0, ended.err
    last = life.second_results["accuracy_matrix"][-1]
    for name, accuracy in zip(_NAMES, last):
        row = next(x for x in ended.out.splitlines() if name in x)
        assert row.count(f"{100 * accuracy:.2f}") == 2


def test_numbers_of_an_earlier_state_are_told_and_end_non_zero(life, tmp_path):
    folder = shutil.copytree(life.folder, tmp_path / "run")
    newest = pathlib.Path(tf.train.latest_checkpoint(folder / "checkpoints"))
    (path,) = newest.parent.glob(f"{newest.name}.data*")
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    ended = started(
        "-m",
        "tfcl.evaluate",
        f"--model_dir={folder}",
        f"--data_dir={life.data_dir}",
    )
    assert ended.code == 1
    assert "EARLIER STATE, after 2 tasks" in " ".join(ended.out.split())
    assert _NAMES[1] in ended.out and _NAMES[2] not in ended.out
    line = ended.own_lines()[-1]
    assert line.startswith("tfcl: error: These numbers are not of the run")
    assert f"checkpoint {newest.name}, the newest, is damaged" in line


def test_answers_of_the_newest_state_end_in_silence():
    commands.refuse_earlier_state(None, "These answers")
    with pytest.raises(RunError, match="These answers are not .* ckpt-3 is"):
        commands.refuse_earlier_state("ckpt-3 is damaged", "These answers")


@pytest.mark.parametrize(
    "command", [["predict", "--task=two_three"], ["evaluate"], ["export"]]
)
def test_a_changed_configuration_does_not_serve(
    life, images, tmp_path, command
):
    folder = tmp_path / "run"
    shutil.copytree(life.folder, folder)
    config = folder / "config.gin"
    text = config.read_text()
    changed = re.sub(r"(?m)^(TaskTraining\.dropout = ).*", r"\g<1>0.25", text)
    assert changed != text
    config.write_text(changed)
    name, *flags_of_it = command
    ended = started(
        "-m",
        f"tfcl.{name}",
        f"--model_dir={folder}",
        *flags_of_it,
        *([images / "rgb.png"] if name == "predict" else []),
        *([f"--data_dir={life.data_dir}"] if name == "evaluate" else []),
    )
    assert ended.code == 2 and not ended.out
    (line,) = [x for x in ended.own_lines() if x.startswith("tfcl: ")]
    assert f"{config} is not as the run was learned with" in line
    assert "TaskTraining.dropout" in line and "0.25" in line


def test_export_writes_the_task_that_is_named(life, tmp_path):
    ended = started(
        "-m",
        "tfcl.export",
        f"--model_dir={life.folder}",
        "--task=four_five",
        f"--export_dir={tmp_path}",
    )
    assert ended.code == 0, ended.err
    assert ended.out.split() == [str(tmp_path / "four_five" / "3")]
    assert [each.name for each in tmp_path.iterdir()] == ["four_five"]
    assert tf.saved_model.contains_saved_model(
        str(tmp_path / "four_five" / "3")
    )


def test_tasks_without_a_common_network_make_a_bundle(life, tmp_path):
    ended = started(
        "-m",
        "tfcl.export",
        f"--model_dir={life.folder}",
        "--bundle",
        f"--export_dir={tmp_path}",
    )
    assert (ended.code, ended.out) == (0, f"{tmp_path}/bundle/3\n")
    bundle = tf.saved_model.load(str(tmp_path / "bundle/3"))
    found = bundle.signatures["serving_default"](
        images=tf.zeros((3, 8, 8, 1), tf.uint8), tasks=tf.range(3)
    )
    names = found["class_names"].numpy()[:, 0]
    assert names.tolist() == [b"zero", b"two", b"four"]


def test_a_misspelt_binding_ends_in_one_line(tmp_path):
    ended = trained(tmp_path / "run", tmp_path, "TaskTraining.epoch = 3")
    assert (ended.code, ended.out) == (2, "")
    (line,) = ended.own_lines()
    assert line.startswith("tfcl: error: ") and "'epochs'" in line
    assert not (tmp_path / "run").exists()


# What is refused before anything is written


def test_a_flag_that_counts_once_is_refused_when_given_twice(tmp_path):
    ended = started(
        "-m",
        "tfcl.train",
        "--stream=digits_5",
        "--method=clr",
        "--method=lasem",
        f"--model_dir={tmp_path / 'run'}",
    )
    assert (ended.code, ended.out) == (2, "")
    (line,) = ended.own_lines()
    assert line.startswith("tfcl: error: --method is given 2 times")
    assert "'lasem'" in line
    assert not (tmp_path / "run").exists()


def test_flags_that_may_repeat_do():
    given = flags.FlagValues()
    flags.DEFINE_multi_string("gin_file", [], "", flag_values=given)
    flags.DEFINE_string("stream", None, "", flag_values=given)
    flags.DEFINE_integer("top", 3, "", flag_values=given)
    given(["train", "--gin_file=a", "--gin_file=b", "--stream=c"])
    with mock.patch.object(flags, "FLAGS", given):
        command_flags.refuse_repeated_flags()
        given.unparse_flags()
        given(["train", "--stream=c", "--top=1", "--top=1"])
        with pytest.raises(UserError, match="--top is given 2 times"):
            command_flags.refuse_repeated_flags()


def test_missing_weights_are_refused_before_the_data_are_prepared(
    tmp_path, no_bindings_left
):
    absent = tmp_path / "absent.npz"
    configuration.load(
        ["gin/networks/cifar_resnet20.gin"], [f"WEIGHTS = '{absent}'"]
    )
    with pytest.raises(UserError, match="`cifar_resnet.weights`: no file"):
        commands.refuse_missing_files(tmp_path / "run")
    # A run that goes on has a copy; the file may come, or be a download.
    (tmp_path / "old" / "checkpoints").mkdir(parents=True)
    commands.refuse_missing_files(tmp_path / "old")
    absent.touch()
    commands.refuse_missing_files(tmp_path / "run")
    configuration.load(
        ["gin/networks/keras_resnet50.gin"],
        ["WEIGHTS = 'imagenet'", "PICTURE_MEAN = 0.0", "PICTURE_STD = 1.0"],
    )
    commands.refuse_missing_files(tmp_path / "run")


# Kinds of images, in this process


def saved(image, path, **options):
    image.save(path, **options)
    return path


def noise(*shape):
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


def test_opacity_is_dropped(tmp_path):
    pixels = noise(5, 4, 4)
    path = saved(PIL.Image.fromarray(pixels), tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(path), pixels[..., :3])


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P"])
def test_grey_images_get_three_equal_channels(tmp_path, mode):
    grey = np.where(noise(5, 4) < 128, 0, 255).astype(np.uint8)
    image = PIL.Image.fromarray(grey).convert(mode)
    read = read_image(saved(image, tmp_path / "a.png"))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, np.repeat(grey[..., None], 3, -1))


def test_a_palette_becomes_its_colours(tmp_path):
    image = PIL.Image.fromarray(np.array([[0, 1], [2, 0]], np.uint8), "P")
    colours = [[255, 0, 0], [0, 128, 0], [1, 2, 3]]
    image.putpalette(sum(colours, []))
    read = read_image(saved(image, tmp_path / "a.png", transparency=1))
    expected = [[colours[0], colours[1]], [colours[2], colours[0]]]
    np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_16_bit_grey_keeps_its_brightness(tmp_path, kind):
    wanted = np.array([[0, 1, 128], [200, 254, 255]])
    pixels = (wanted * 257).astype(np.uint16)
    path = saved(PIL.Image.fromarray(pixels), tmp_path / f"a.{kind}")
    np.testing.assert_array_equal(read_image(path)[..., 0], wanted)


def test_cmyk_becomes_rgb(tmp_path):
    image = PIL.Image.new("CMYK", (3, 2), (0, 255, 255, 0))
    read = read_image(saved(image, tmp_path / "a.tiff"))
    np.testing.assert_array_equal(read, np.full((2, 3, 3), [255, 0, 0]))


def test_an_image_is_turned_as_its_camera_noted(tmp_path):
    pixels = noise(5, 4, 3)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # Orientation: turn by 90 degrees, clockwise.
    image = PIL.Image.fromarray(pixels)
    read = read_image(saved(image, tmp_path / "a.png", exif=exif))
    np.testing.assert_array_equal(read, np.rot90(pixels, -1))


def test_the_first_image_of_an_animation_counts(tmp_path):
    images = [PIL.Image.new("L", (3, 2), grey) for grey in (7, 200)]
    path = tmp_path / "a.gif"
    images[0].save(path, save_all=True, append_images=images[1:])
    assert read_image(path).tolist() == np.full((2, 3, 3), 7).tolist()


def test_an_image_is_read_by_the_white_of_its_task(tmp_path):
    pixels = (noise(5, 4).astype(np.uint16) << 4) | 0xF
    path = saved(PIL.Image.fromarray(pixels), tmp_path / "a.png")
    read = read_image(path, DEFAULT_RULES._replace(white=4095.0))
    np.testing.assert_array_equal(
        read[..., 0], np.rint(pixels * (255.0 / 4095.0))
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"no image", b"P6\n1x 2\n255\n" + bytes(6), b"\x89PNG\r\n\x1a\n"],
    ids=["empty", "text", "damaged header", "only a signature"],
)
def test_what_is_no_image_is_named(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match="a.png is no readable image"):
        read_image(path)


def test_half_an_image_is_refused(tmp_path):
    path = saved(PIL.Image.fromarray(noise(40, 40, 3)), tmp_path / "a.png")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="no readable image"):
        read_image(path)


def test_messages_and_logs_cannot_control_the_terminal(capsys):
    with pytest.raises(SystemExit), commands.one_line_errors():
        raise UserError("class 'a\x1b]0;b\x07' of\ntwo lines")
    told = capsys.readouterr().err
    assert told == "tfcl: error: class 'a\\x1b]0;b\\x07' of two lines\n"
    record = logging.LogRecord("x", 20, "f.py", 1, "a\x1b[2J\nb", (), None)
    shown = commands.SafeFormatter().format(record)
    assert "\x1b" not in shown and shown.endswith("a\\x1b[2J\nb")


def test_predict_reads_images_as_those_of_the_task_were_read(tmp_path, capsys):
    task = Preprocessing((4, 4, 3), (0.0,), (1.0,), "stretch", 4095.0, "grey")
    entry = mock.Mock(class_names=("a\x1b[31m", "b"), preprocessing=task)
    learned = mock.Mock(earlier_state=None)
    learned.find.return_value = entry
    learned.probabilities_of_each.return_value = np.array([[0.75, 0.25]] * 2)
    pixels = (noise(5, 4).astype(np.uint16) << 4) | 0xF
    path = saved(PIL.Image.fromarray(pixels), tmp_path / "a.png")
    two = saved(PIL.Image.fromarray(noise(5, 4, 2)), tmp_path / "b.png")
    flags.FLAGS.mark_as_parsed()
    decoded = mock.patch.object(
        image_file, "open_image", wraps=image_file.open_image
    )
    with (
        mock.patch.object(runs, "open_learned", return_value=learned),
        flagsaver.flagsaver(task="t", model_dir="m"),
        decoded as counted,
    ):
        predict.main(["predict", str(path), str(two)])
    assert counted.call_count == 2  # Each image once.
    (call,) = learned.probabilities_of_each.call_args_list
    given = call.args[1]
    wanted = np.rint(pixels * (255.0 / 4095.0))
    np.testing.assert_array_equal(given[0][..., 0], wanted)
    np.testing.assert_array_equal(given[1][..., 0], noise(5, 4, 2)[..., 0])
    assert capsys.readouterr().out.startswith(f"{path}: a\\x1b[31m 0.7500, b")


def test_what_is_no_image_is_refused_before_the_network_is_built(tmp_path):
    """By its header: a damaged one is refused when it is decoded."""
    half = saved(PIL.Image.fromarray(noise(40, 40, 3)), tmp_path / "a.png")
    half.write_bytes(half.read_bytes()[:900])
    for name, content in (("b.png", b"no image"), ("c.png", b"")):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(UserError, match=f"{name} is no readable image"):
            check_image(path, 10_000)
    huge = tmp_path / "d.png"
    head = bytearray(half.read_bytes())
    head[16:24] = (20_000).to_bytes(4, "big") * 2
    head[29:33] = zlib.crc32(head[12:29]).to_bytes(4, "big")
    huge.write_bytes(head)
    with pytest.raises(UserError, match="d.png is no readable image"):
        check_image(huge, 10_000)
    with pytest.raises(UserError, match="No such image"):
        check_image(tmp_path / "absent.png", 10_000)
    check_image(half, 10_000)
    learned = mock.Mock(earlier_state=None)
    task = Preprocessing((4, 4, 3), (0.0,), (1.0,))
    learned.find.return_value = mock.Mock(preprocessing=task)
    flags.FLAGS.mark_as_parsed()
    with (
        mock.patch.object(runs, "open_learned", return_value=learned),
        flagsaver.flagsaver(task="t", model_dir="m"),
        pytest.raises(UserError, match="a.png is no readable image"),
    ):
        predict.main(["predict", str(half)])
    learned.probabilities_of_each.assert_not_called()


@pytest.mark.skipif(os.name != "posix", reason="has no such files")
def test_a_pipe_and_an_endless_device_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("/dev/zero")
    for name, kind in (("a.png", "a named pipe"), ("b.png", "a device")):
        with pytest.raises(UserError, match=f"no readable image: it is {kind}"):
            read_image(tmp_path / name)


def test_a_missing_image_and_a_folder_are_refused(tmp_path):
    with pytest.raises(UserError, match="No such image: .*absent.png"):
        read_image(tmp_path / "absent.png")
    with pytest.raises(UserError, match="no readable image"):
        read_image(tmp_path)
