"""Whatever the commands are given: one line, in time, and no silent numbers.

Images, lists, names and folders of runs are damaged as hypothesis draws it, and
the commands are run on them. Each ends by itself, without a traceback; what it
answers is what it answers without the damage, or it says something. A few
examples of each, always the same ones; many more with `-m large`.
"""

import json
import os
import pathlib
import re
import shutil
import time
import typing

import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from tests.testing import damage, folders
from tests.testing.forked_commands import ForkedCommands

_HANG = 20.0  # Seconds longer than without a damage.
_SMALL = (
    "EPOCHS = 1",
    "LEARNING_RATE = 0.02",
    "HIDDEN_UNITS = (4,)",
    "folder_stream.image_size = 12",
    "folder_stream.batch_size = 4",
    "folder_stream.test_fraction = 0.6",
    "lasem_cnn.channels = (4,)",
    "lasem_cnn.kernel_sizes = (3,)",
    "lasem_cnn.pool_sizes = (2,)",
    "Experiment.exports = False",
)
_FORMATS = ("png", "jpeg", "bmp", "gif", "webp", "tiff")
_CLASSES = {"birds": ("jay", "wren"), "cars": ("van", "truck")}
_IMAGES = np.random.default_rng(0).integers(0, 256, (3, 9, 12, 3), np.uint8)
_COMMANDS = ("evaluate", "predict", "export", "train", "compare", "goals")


class World(typing.NamedTuple):
    """What is damaged copies of, and what the commands answer without.

    Attributes:
        folder: With `my` (images), `listed` (images and lists), `run` (on
            `my`) and a `work` in which an example may do what it likes.
        run: `ForkedCommands`.
        answers: `{command: answer}` on the run.
        seconds: How long the first training took.
    """

    folder: pathlib.Path
    run: ForkedCommands
    answers: dict
    seconds: float


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    for task, names in _CLASSES.items():
        for kind, name in enumerate(names):
            for k in range(10):
                key = [*task.encode(), kind, k]
                # Every format, and for most of them a checksum inside.
                ending = _FORMATS[k] if k < len(_FORMATS) else "png"
                path = folder / "my" / task / name / f"{k}.{ending}"
                folders.draw(path, key, size=(9, 12))
    _write_lists(folder / "my", folder / "listed")
    for k, ending in enumerate(_FORMATS):
        folders.save(folder / f"image.{ending}", _IMAGES[k % 3])
    (folder / "work").mkdir()
    with ForkedCommands(folder, 120.0) as run:
        begun = time.monotonic()
        ended = _train(run, folder / "my", folder / "run")
        assert ended.code == 0, ended.err
        seconds = time.monotonic() - begun
        run.seconds = _HANG + seconds
        world = World(folder, run, {}, seconds)
        for command in _COMMANDS:
            ended, world.answers[command] = _answer(world, command, folder)
            assert ended.code == 0 and not ended.words, ended
        yield world


def _write_lists(images, listed):
    """The same tasks again, as lists."""
    shutil.copytree(images, listed)
    for task, names in _CLASSES.items():
        lines = [
            f"{name}/{path.name} {name}"
            for name in names
            for path in sorted((listed / task / name).iterdir())
        ]
        (listed / task / "train.txt").write_text("\n".join(lines) + "\n")


def _train(run, root, model_dir, *bindings):
    bindings = (*_SMALL, f"folder_stream.root = {os.fspath(root)!r}", *bindings)
    return run(
        "train",
        "--stream=folders",
        "--method=hps",
        f"--model_dir={model_dir}",
        *(f"--gin_bindings={each}" for each in bindings),
    )


def _answer(world, command, place):
    """Runs a command on `<place>/run`; returns its end and its answer."""
    model_dir, image = place / "run", world.folder / "image.png"
    written = world.folder / "work" / "written"
    shutil.rmtree(written, ignore_errors=True)
    written.mkdir()
    if command == "train":
        ended = _train(world.run, world.folder / "my", model_dir)
        matrix = model_dir / "accuracy_matrix.csv"
        return ended, matrix.read_text() if ended.code == 0 else None
    if command == "predict":
        ended = world.run(
            command, f"--model_dir={model_dir}", "--task=birds", image
        )
        return ended, ended.out
    if command == "export":
        ended = world.run(
            command, f"--model_dir={model_dir}", f"--export_dir={written}"
        )
        return ended, _served(written) if ended.code == 0 else None
    if command == "goals":
        goals = written / "goals.json"
        ended = world.run(command, model_dir, f"--output={goals}")
        return ended, json.loads(goals.read_text()) if ended.code == 0 else None
    if command == "compare":
        ended = world.run(command, model_dir, f"--output={written}")
        table = written / "compare.csv"
        return ended, _without_paths(table, place) if ended.code == 0 else None
    ended = world.run(command, f"--model_dir={model_dir}")
    return ended, re.findall(r"│ (\w+) +│ ([\d.]+) +│ ([\d.]+)", ended.out)


def _without_paths(table, place):
    return table.read_text().replace(str(place), "")


def _served(folder):
    """What exported tasks say of an image, `{task: probabilities}`."""
    found = {}
    for path in sorted(folder.iterdir()):
        (version,) = path.iterdir()
        served = tf.saved_model.load(str(version))
        signature = served.signatures["serving_default"]
        answers = signature(tf.constant(_IMAGES[:1]))["probabilities"]
        found[path.name] = np.round(answers.numpy(), 6).tolist()
    return found


def _check_end(ended, told):
    """By itself, and in one line."""
    assert ended.code is not None, f"hangs on {told}"
    assert ended.code in (0, 1, 2), f"{ended.code} on {told}: {ended}"
    assert "Traceback" not in ended.err, f"on {told}: {ended.err}"
    if ended.code:
        lines = [x for x in ended.err.splitlines() if x.startswith("tfcl: ")]
        flags = "Flags parsing error" in ended.err
        assert len(lines) == 1 or flags, f"on {told}: {ended}"


def _check_answer(ended, found, wanted, told):
    """The wanted one, or it says that it is another."""
    if ended.code == 0 and not ended.words:
        assert found == wanted, f"silently on {told}: {ended}"


def _property(few, many, *strategies):
    """A property that holds for a few examples, or many with `-m large`.

    Its function takes the `World` and what is drawn.
    """

    def wrap(check):
        counts = [
            pytest.param(few, id="few"),
            pytest.param(many, id="many", marks=pytest.mark.large),
        ]

        @pytest.mark.parametrize("examples", counts)
        def test(world, examples):
            @hypothesis.settings(
                max_examples=examples,
                derandomize=True,
                database=None,
                deadline=None,  # Each command has one.
                # To look for a smaller example takes a command each.
                phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
                suppress_health_check=list(hypothesis.HealthCheck),
            )
            @hypothesis.given(st.tuples(*strategies))
            def hold(drawn):
                check(world, *drawn)

            hold()

        test.__doc__ = check.__doc__
        return test

    return wrap


# Images


@_property(
    4,
    250,
    st.sampled_from(_FORMATS),
    st.lists(damage.damages_of_content(), min_size=1, max_size=2),
)
def test_an_image_is_classified_as_it_was_or_refused(world, ending, damages):
    told = ending, damages
    content = (world.folder / f"image.{ending}").read_bytes()
    for each in damages:
        content = damage.damaged(content, each)
    path = world.folder / "work" / f"image.{ending}"
    path.write_bytes(content)
    model_dir = f"--model_dir={world.folder / 'run'}"
    ended = world.run("predict", model_dir, "--task=birds", path)
    _check_end(ended, told)
    if ending == "png":  # The only one with a checksum of everything.
        found = ended.out.replace(str(path), str(world.folder / "image.png"))
        _check_answer(ended, found, world.answers["predict"], told)


@_property(
    2,
    120,
    st.sampled_from(["train", "evaluate"]),
    st.integers(0, 39),
    damage.damages(),
    st.sampled_from(["error", "skip"]),
)
def test_damaged_data_give_the_same_numbers_or_a_word(
    world, command, number, damages, on_bad_image
):
    told = command, number, damages, on_bad_image
    work = world.folder / "work"
    kept = damage.copy_of(world.folder / "my", work / "kept")
    run = damage.copy_of(world.folder / "run", work / "run")
    try:
        files = damage.files_of(world.folder / "my")
        damage.damage_file(files[number], damages, files)
        if command == "train":
            shutil.rmtree(run)
            binding = f"folder_stream.on_bad_image = '{on_bad_image}'"
            ended = _train(world.run, world.folder / "my", run, binding)
            _check_end(ended, told)
            # Files that are gone or others are another set of data.
            same = damages[0] not in ("delete", "swap", "copy")
            if same and files[number].suffix == ".png" and ended.code == 0:
                found = (run / "accuracy_matrix.csv").read_text()
                _check_answer(ended, found, world.answers["train"], told)
        else:
            ended, found = _answer(world, command, work)
            _check_end(ended, told)
            _check_answer(ended, found, world.answers[command], told)
    finally:
        damage.copy_of(kept, world.folder / "my")


# Lists


_PATHS = st.one_of(
    st.sampled_from(
        [
            *("jay/0.png", "jay/1.jpeg", "wren/2.bmp", "jay", "", "."),
            *("../cars/van/0.png", "/etc/passwd", "/dev/zero", "~/a.png"),
            *("gs://bucket/a.png", "jay/0.png\0", "jay\\0.png", "a" * 300),
        ]
    ),
    st.text(max_size=12),
)
_LABELS = st.one_of(
    st.sampled_from(["jay", "wren", "", "0", "-1", "1e9", "<b>", "\x1b[31m"]),
    st.text(max_size=12),
)
_LINES = st.lists(
    st.tuples(_PATHS, st.sampled_from([" ", "\t", "", "  ", ","]), _LABELS).map(
        "".join
    ),
    max_size=4,
)
_ENCODINGS = st.sampled_from(["utf-8", "latin-1", "utf-16", "utf-8-sig"])


@_property(
    2,
    120,
    st.one_of(damage.damages_of_content(), damage.damages()),
    _LINES,
    _ENCODINGS,
    st.sampled_from(["train.txt", "test.txt", "validation.txt"]),
)
def test_every_list_is_learned_from_or_refused(
    world, damages, lines, encoding, name
):
    told = damages, lines, encoding, name
    work = world.folder / "work"
    root = damage.copy_of(world.folder / "listed", work / "listed")
    path = root / "birds" / name
    if path.exists():
        lines = [*path.read_text().splitlines(), *lines]
    path.write_bytes("\n".join(lines).encode(encoding, "replace"))
    if damages[0] not in ("swap", "copy"):
        damage.damage_file(path, damages, [])
    shutil.rmtree(work / "run", ignore_errors=True)
    _check_end(_train(world.run, root, work / "run"), told)


# Names


_NAMES = st.one_of(
    st.sampled_from(
        [
            *(b"na\xc3\xafve", b"nai\xcc\x88ve", b"na\xefve", b"\xff\xfe"),
            *(b"a" * 250, b"-x", b"--model_dir=x", b"~", b"a b", b" ", b"."),
            *(b"<script>", b"$\\alpha_$", b"100%", b"\x1b[31mred", b"a\nb"),
            *(b"train", b"test.txt", b"gs:", b"'\"", b"{}", b"%s", b"CON"),
            *("\u202egnp".encode(), "鳥".encode(), "🐦".encode(), b"a.tmp"),
        ]
    ),
    st.binary(min_size=1, max_size=20),
    st.text(min_size=1, max_size=20).map(
        lambda text: text.encode("utf-8", "surrogatepass")
    ),
)


@_property(
    2,
    100,
    st.one_of(st.just(b"birds"), _NAMES),  # Most others are refused at once.
    st.tuples(_NAMES, _NAMES),
    _NAMES,
)
def test_every_name_is_learned_and_served_or_refused(
    world, task, classes, image
):
    told = task, classes, image
    work = world.folder / "work"
    for name in ("named", "run"):
        shutil.rmtree(work / name, ignore_errors=True)
    sources = (world.folder / "my" / "birds").iterdir()
    try:
        for source, name in zip(sorted(sources), classes):
            place = os.path.join(os.fsencode(work / "named"), task, name)
            shutil.copytree(os.fsencode(source), place)
            moved = os.path.join(place, image[:240] + b".png")
            shutil.move(os.path.join(place, b"9.png"), moved)
    except (OSError, ValueError):
        hypothesis.reject()  # No file can be called so.
    ended = _train(world.run, work / "named", work / "run")
    _check_end(ended, told)
    if ended.code:
        return
    results = json.loads((work / "run" / "results.json").read_text())
    model_dir = f"--model_dir={work / 'run'}"
    name = f"--task={results['task_names'][0]}"
    served = world.run("predict", model_dir, name, os.fsdecode(moved))
    for ended in (
        served,
        world.run("evaluate", model_dir),
        world.run("export", model_dir, name),
    ):
        _check_end(ended, told)
        assert ended.code == 0, f"learned and not served: {told}, {ended}"


@_property(1, 60, _NAMES.map(os.fsdecode), _NAMES.map(os.fsdecode))
def test_every_name_on_the_command_line_is_known_or_refused(world, task, path):
    told = task, path
    arguments = (f"--model_dir={world.folder / 'run'}", f"--task={task}")
    hypothesis.assume("\0" not in task + path)
    # A flag of another name is no matter of a path's.
    image = world.folder / "work" / path.replace("/", "_")
    _check_end(world.run("predict", *arguments, image), told)
    _check_end(world.run("export", *arguments), told)


# Folders of runs


# Half of all damages would else go to figures and TensorBoard.
_PARTS = ("checkpoints", "tasks", "config.gin", "results", "")


@_property(
    8,
    400,
    st.lists(
        st.tuples(
            st.sampled_from(_PARTS), st.integers(0, 2**10), damage.damages()
        ),
        min_size=1,
        max_size=2,
    ),
    st.lists(st.sampled_from(_COMMANDS), min_size=1, max_size=2),
)
def test_a_damaged_run_answers_as_it_did_or_says_a_word(
    world, damages, commands
):
    work = world.folder / "work"
    run = damage.copy_of(world.folder / "run", work / "run")
    files = damage.files_of(run)
    told = []
    for part, number, each in damages:
        names = [p for p in files if str(p.relative_to(run)).startswith(part)]
        path = names[number % len(names)]
        damage.damage_file(path, each, files)
        told.append((str(path.relative_to(run)), each))
    for command in commands:
        told.append(command)
        ended, found = _answer(world, command, work)
        _check_end(ended, told)
        _check_answer(ended, found, world.answers[command], told)
        if command == "train" and ended.code == 0:
            assert found == world.answers["train"], f"resumed: {told}"
