"""The example programs, on made-up sources and on points."""

import os
import pathlib
import runpy
import subprocess
import sys

import numpy as np
import pytest

from tests.testing.folders import draw
from tfcl.data.sources.image_files import read_image
from tfcl.data.streams.folder_stream import folder_stream

_EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / "examples"
_CIFAR = _EXAMPLES.parents[1] / "shared" / "tfds"


@pytest.fixture
def lay_out():
    return runpy.run_path(str(_EXAMPLES / "folders_from_samples.py"))["main"]


def test_sources_become_tasks(lay_out, tmp_path):
    for k in range(6):
        draw(tmp_path / f"birds/images/{'ab'[k % 2]}.bird/{k}.jpg", k)
        draw(tmp_path / f"tiny/n{k % 2}/images/{k}.JPEG", k + 10)
    cifar = tmp_path / "cifar"
    cifar.mkdir()
    (cifar / "batches.meta.txt").write_text("cat\ndog\n\n")
    rows = np.random.default_rng(0).integers(0, 256, (8, 3073), np.uint8)
    rows[:, 0] = np.arange(8) % 2
    (cifar / "test_batch.bin").write_bytes(rows.tobytes())
    root = tmp_path / "my"
    made = lay_out(
        [
            str(root),
            f"birds={tmp_path / 'birds/images'}",
            f"tiny={tmp_path / 'tiny'}",
            f"things={cifar}",
            "--per_class=3",
        ]
    )
    assert made == {"birds": 6, "tiny": 6, "things": 6}
    stream = folder_stream(str(root), 16, batch_size=1)
    names = {task.name: task.class_names for task in stream}
    assert names == {
        "birds": ("a.bird", "b.bird"),
        "things": ("cat", "dog"),
        "tiny": ("n0", "n1"),
    }
    # Planes R, G, B of the second row.
    dog = read_image(root / "things/dog/test_batch_00001.png")
    np.testing.assert_array_equal(
        dog, rows[1, 1:].reshape(3, 32, 32).transpose(1, 2, 0)
    )


@pytest.mark.parametrize("source", ["birds", "birds=absent", "=."])
def test_what_is_no_source_is_told(lay_out, tmp_path, source, capsys):
    with pytest.raises(SystemExit):
        lay_out([str(tmp_path / "my"), source])
    assert "TASK=PATH" in capsys.readouterr().err


def test_a_task_is_not_written_over(lay_out, tmp_path, capsys):
    draw(tmp_path / "in/a/1.png")
    arguments = [str(tmp_path / "my"), f"birds={tmp_path / 'in'}"]
    lay_out(arguments)
    with pytest.raises(SystemExit):
        lay_out(arguments)
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["dense_2d", "memory_head_2d"])
def test_an_example_of_a_layer_fits_on_a_page(name):
    lines = (_EXAMPLES / f"{name}.py").read_text().splitlines()
    assert len(lines) <= 40


def _rows_of(name, capsys):
    """Test accuracies (%) of the classes after each, as they are printed."""
    runpy.run_path(str(_EXAMPLES / f"{name}.py"))["main"]()
    lines = capsys.readouterr().out.splitlines()
    rows = [line.partition(":") for line in lines]
    assert [before for before, _, _ in rows] == [
        f"after class {c}" for c in range(4)
    ]
    return np.array([[float(a) for a in row.split()] for _, _, row in rows])


def test_a_dense_layer_forgets_and_a_memory_head_does_not(capsys):
    dense = _rows_of("dense_2d", capsys)
    memory = _rows_of("memory_head_2d", capsys)
    assert np.diag(dense)[:2].min() > 95 and dense[3, :2].max() < 5
    assert np.diag(memory).min() > 95 and memory[3].min() > 95


@pytest.mark.large
@pytest.mark.skipif(
    not (_CIFAR / "cifar100").is_dir(), reason=f"no CIFAR-100 in {_CIFAR}"
)
def test_a_network_in_use_grows(tmp_path):
    """From an own classifier to exports and a bundle, in some minutes."""
    ended = subprocess.run(
        ["bash", str(_EXAMPLES / "grow_a_model.sh"), str(tmp_path / "out")],
        env={
            **os.environ,
            "PYTHON": sys.executable,
            "TFCL": f"{sys.executable} -m tfcl",
            "PYTHONPATH": str(_EXAMPLES.parent),
            "TFDS_DATA_DIR": str(_CIFAR),
        },
        capture_output=True,
        text=True,
        timeout=3600,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "tfcl was not loaded." in ended.stdout
    assert ended.stdout.count("images, differ by") == 13
