"""The README's way to learn own images, with images of four real sets."""

import json
import pathlib
import runpy

import gin
import numpy as np
import pytest
import tensorflow as tf

from tests.data_builders import samples
from tfcl import configuration
from tfcl.data.sources.image_files import read_image
from tfcl.engine.experiment import Experiment
from tfcl.engine.loop import learn_stream
from tfcl.learner import runs

_EXAMPLE = "examples/folders_from_samples.py"
_SOURCES = {
    "birds": "raw/cub_200_2011/CUB_200_2011/images",
    "cars": "raw/stanford_cars_cropped/train",
    "things": "raw/cifar10/cifar-10-batches-bin",
    "tiny": "raw/tiny_imagenet/tiny-imagenet-200/train",
}


@pytest.fixture
def my_tasks(tmp_path):
    root = pathlib.Path(__file__).resolve().parents[1]
    sources = [f"{k}={samples.folder(v)}" for k, v in _SOURCES.items()]
    lay_out = runpy.run_path(str(root / _EXAMPLE))["main"]
    made = lay_out([str(tmp_path / "my_tasks"), *sources, "--per_class=6"])
    assert made == {"birds": 20, "cars": 24, "things": 60, "tiny": 60}
    return tmp_path / "my_tasks"


@pytest.fixture(autouse=True)
def no_bindings_left():
    yield
    gin.clear_config()


def test_four_real_sets_are_learned_as_four_tasks(my_tasks, tmp_path):
    folder = tmp_path / "mine"
    configuration.load(
        ["gin/lasem_folders.gin"],
        [
            f"folder_stream.root = '{my_tasks}'",
            "folder_stream.image_size = 16",
            "folder_stream.batch_size = 8",
            "EPOCHS = 1",
        ],
    )
    run = Experiment(model_dir=folder)
    configuration.check_all_used()
    run.start({"config.gin": configuration.asked()})
    try:
        learn_stream(run)
    finally:
        run.close()
    results = json.loads((folder / "results.json").read_text())
    assert results["task_names"] == list(_SOURCES)
    assert np.isfinite(results["metrics"]["average_accuracy"])
    report = (folder / "report.html").read_text()
    assert all(f">{name}<" in report for name in _SOURCES)
    learned = runs.open_learned(folder)
    for name in _SOURCES:
        # The images of a task differ in size from those of the network.
        path = next((my_tasks / name).glob("*/*"))
        image = read_image(path)[None]
        entry = learned.find(name)
        assert path.parent.name in entry.class_names
        expected = learned.probabilities(entry, image)
        (version,) = (folder / "export" / name).iterdir()
        served = tf.saved_model.load(str(version))
        found = served.signatures["serving_default"](tf.constant(image))
        np.testing.assert_allclose(
            found["probabilities"], expected, rtol=1e-5, atol=1e-6
        )
