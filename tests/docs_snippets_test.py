"""Python that a reader can paste is run as it is printed.

Whole programs only: docs/own_loop.md, docstrings of classes that it shows, and
the ten lines of README, with stand-ins for what the reader has.
"""

import inspect
import os
import pathlib
import re
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import tensorflow as tf

from tfcl.layers import MemoryDense
from tfcl.metrics import from_csv
from tfcl.replay import ReplayBuffer
from tfcl.tapes import SoftMaskGradientTape

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
_CHAPTER = re.compile(r"^## (.*)$", re.M)
_MOST_LINES = 29  # Of a snippet, without imports and empty lines.


def _blocks(page):
    return _PYTHON.findall((_ROOT / page).read_text(encoding="utf-8"))


# The page on loops of one's own


def _lines(code):
    lines = [line for line in code.splitlines() if line.strip()]
    return [line for line in lines if not re.match("(import|from) ", line)]


@pytest.mark.parametrize("code", _blocks("docs/own_loop.md"))
def test_a_snippet_for_an_own_loop_runs_and_shows_something(code, capsys):
    assert 10 <= len(_lines(code)) <= _MOST_LINES
    exec(compile(code, "docs/own_loop.md", "exec"), {"__name__": "snippet"})
    # It prints what the part does, and would end if it did not.
    assert "assert" in code and capsys.readouterr().out.strip()


def test_every_chapter_of_the_page_has_one_snippet():
    text = (_ROOT / "docs/own_loop.md").read_text(encoding="utf-8")
    chapters = _CHAPTER.split(text)[2::2]
    assert [len(_PYTHON.findall(chapter)) for chapter in chapters] == [1] * 6


@pytest.mark.parametrize(
    "documented", [MemoryDense, ReplayBuffer, SoftMaskGradientTape]
)
def test_the_example_of_a_docstring_runs(documented):
    text = inspect.getdoc(documented)
    example = re.search(r"^    (?:import|from) .*?(?=^\S)", text, re.M | re.S)
    code = textwrap.dedent(example[0])
    assert documented.__name__ in code
    exec(compile(code, documented.__name__, "exec"), {})


# The ten lines

# What the reader has: images in arrays and in a folder, and the weights that
# Keras would download. Figures are built and not drawn.
_READER = """
import os
import sys

import keras
import numpy as np

from tfcl.testing import undrawn_figures

undrawn_figures().__enter__()

def drawn(seed, count=16):
    labels = np.arange(count) % 2
    images = np.random.default_rng(seed).integers(60, size=(count, 24, 24, 3))
    images[np.arange(count), :, :, labels] += 120
    return images.astype(np.uint8), labels

(images, labels), (x, y), (new_images, _) = map(drawn, range(3))
for number, (image, label) in enumerate(zip(*drawn(3))):
    folder = f"pictures/bags/{'ab'[label]}"
    os.makedirs(folder, exist_ok=True)
    keras.utils.save_img(f"{folder}/{number}.png", image, scale=False)

def small(include_top, input_shape):
    # In seconds, and without a download.
    keras.utils.set_random_seed(0)
    inputs = keras.Input(input_shape)
    hidden = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
    hidden = keras.layers.Conv2D(8, 3, strides=4, activation="relu")(hidden)
    hidden = keras.layers.BatchNormalization()(hidden)
    return keras.Model(inputs, hidden, name="MobileNetV3Small")

keras.applications.MobileNetV3Small = small
exec(compile(open(sys.argv[1]).read(), sys.argv[1], "exec"))
np.savez("seen.npz", R=learner.accuracy_matrix,
         answers=learner.predict("shoes", new_images))
"""
_SECONDS = 600  # Enough on a machine that has much else to do.
_LEARNED = "Task '{}' is learned already."


@pytest.fixture(scope="module")
def ten_lines():
    code, *_ = _blocks("README.md")
    assert code == _blocks("docs/python.md")[0]
    return code


def test_the_ten_lines_are_few(ten_lines):
    assert len(ten_lines.splitlines()) <= 15


def _process(words, folder, **more):
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    return subprocess.Popen(
        [sys.executable, *words], cwd=folder, env=environment, **more
    )


def _killed_after_the_first_task(process, folder):
    """Waits until the second task has begun, of a run in a folder."""
    second = folder / "runs/shop/learner/001_bags.npz"
    deadline = time.monotonic() + _SECONDS
    while not second.exists():
        assert process.poll() is None, "It ended before the second task."
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_the_ten_lines_run_and_a_killed_script_is_started_again(
    ten_lines, tmp_path
):
    script = tmp_path / "shop.py"
    script.write_text(ten_lines.replace("epochs=5", "epochs=1"))
    program = ["-c", _READER, str(script)]
    log = (tmp_path / "log").open("w+")
    first = _process(program, tmp_path, stdout=log, stderr=log)
    _killed_after_the_first_task(first, tmp_path)
    learned = tmp_path / "runs/shop/tasks/000_shoes/values.npz"
    before = learned.stat().st_mtime_ns, learned.read_bytes()
    assert not (tmp_path / "exports").exists()

    log.truncate(0)
    again = _process(program, tmp_path, stdout=log, stderr=log)
    assert again.wait(_SECONDS) == 0, (tmp_path / "log").read_text()
    told = (tmp_path / "log").read_text()
    assert _LEARNED.format("shoes") in told
    assert _LEARNED.format("bags") not in told
    assert "shoes, phase train" not in told and "bags, phase train" in told
    assert (learned.stat().st_mtime_ns, learned.read_bytes()) == before
    _holds_what_is_promised(tmp_path)


def _holds_what_is_promised(folder):
    seen = np.load(folder / "seen.npz")
    assert seen["answers"].shape == (16, 2)
    np.testing.assert_allclose(seen["answers"].sum(1), 1.0, 1e-5)
    assert seen["R"].shape == (2, 2) and seen["R"][1, 0] == seen["R"][0, 0]
    run = folder / "runs/shop"
    R, names = from_csv((run / "accuracy_matrix.csv").read_text())
    assert names == ["shoes", "bags"]
    np.testing.assert_allclose(R, seen["R"], atol=1e-6)
    assert (run / "report.html").exists()
    assert (folder / "exports/bags/2/saved_model.pb").exists()

    # The commands open it, too.
    words = ["-m", "tfcl", "export", "--model_dir=runs/shop", "--task=shoes"]
    assert _process(words, folder).wait(_SECONDS) == 0
    served = tf.saved_model.load(str(run / "export/shoes/2"))
    outputs = served.signatures["serving_default"](
        tf.zeros((1, 30, 40, 3), tf.uint8)
    )
    assert outputs["class_names"].numpy().tolist() == [[b"boot", b"sneaker"]]
