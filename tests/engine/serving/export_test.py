"""A task as servers take it: signatures, versions, facts, files as bytes."""

import dataclasses
import io
import json

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from tfcl.engine.serving.learned import LearnedTasks
from tfcl.errors import RunError
from tfcl.methods import EWC
from tfcl.testing import learned, tiny_training, undrawn_figures


def _method():
    return EWC(tiny_training(epochs=2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    with undrawn_figures():
        learned(folder, _method(), class_counts=(2, 3))
    return folder


@pytest.fixture(scope="module")
def tasks(folder):
    return LearnedTasks(folder, _method())


@pytest.fixture(scope="module")
def path(tasks, tmp_path_factory):
    return tasks.export(
        tasks.find(tasks.names[1]), tmp_path_factory.mktemp("export")
    )


@pytest.fixture(scope="module")
def signatures(path):
    return tf.saved_model.load(str(path)).signatures


IMAGES = np.random.default_rng(0).integers(0, 256, (5, 11, 9, 3), np.uint8)


def test_every_output_has_the_images_as_its_first_axis(signatures):
    assert sorted(signatures) == [
        "embeddings",
        "serving_bytes",
        "serving_default",
    ]
    for name, signature in signatures.items():
        for key, spec in signature.structured_outputs.items():
            assert spec.shape[0] is None, (name, key)
    found = signatures["serving_default"](images=tf.constant(IMAGES))
    assert {key: len(value) for key, value in found.items()} == dict.fromkeys(
        ("probabilities", "class_names", "labels", "embeddings"), 5
    )
    assert found["class_names"].shape == (5, 3)
    embedded = signatures["embeddings"](images=tf.constant(IMAGES))
    np.testing.assert_array_equal(embedded["embeddings"], found["embeddings"])


def _file(image, form, **options):
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, form, **options)
    return file.getvalue()


def test_files_are_answered_like_their_pixels(signatures):
    grey, opaque = IMAGES[0, ..., 0], np.dstack([IMAGES[1], IMAGES[1, ..., 0]])
    files = [
        _file(IMAGES[2], "PNG"),
        _file(IMAGES[3], "BMP"),
        _file(grey, "PNG"),
        _file(opaque, "PNG"),
        _file(IMAGES[4], "JPEG", quality=90),
    ]
    found = signatures["serving_bytes"](files=tf.constant(files))
    for row, file in enumerate(files):
        pixels = np.asarray(PIL.Image.open(io.BytesIO(file)))
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        one = signatures["serving_default"](images=tf.constant(pixels[None]))
        np.testing.assert_allclose(
            found["probabilities"][row], one["probabilities"][0], atol=1e-6
        )
        assert found["labels"][row] == one["labels"][0]


def test_files_are_cut_once(tasks, tmp_path):
    """Ways to resize that cut an image of the network's size, too."""
    entry = tasks.find(tasks.names[1])
    entry.preprocessing = dataclasses.replace(
        entry.preprocessing, resize="centre_crop"
    )
    path = tasks.export(entry, tmp_path)
    signatures = tf.saved_model.load(str(path)).signatures
    files = tf.constant([_file(image, "PNG") for image in IMAGES])
    np.testing.assert_allclose(
        signatures["serving_bytes"](files=files)["probabilities"],
        signatures["serving_default"](images=IMAGES)["probabilities"],
        atol=1e-6,
    )


def test_facts_stand_beside_the_model(path, tasks, folder):
    entry = tasks.find(tasks.names[1])
    labels = (path / "assets" / "labels.txt").read_text().splitlines()
    assert tuple(labels) == entry.class_names
    about = json.loads((path / "assets" / "model.json").read_text())
    results = json.loads((folder / "results.json").read_text())
    assert about["task"] == entry.name and about["method"] == "EWC"
    assert about["class_names"] == list(entry.class_names)
    assert about["test_accuracy"] == results["accuracy_matrix"][-1][1]
    assert about["learned_tasks"] == 2
    assert about["preprocessing"] == entry.preprocessing.to_json()


def test_versions_go_up_with_the_run_and_former_ones_go(tasks, tmp_path):
    entry = tasks.find(tasks.names[0])
    place = tmp_path / entry.name
    (place / "1").mkdir(parents=True)  # Of when there was one task.
    (place / "saved_model.pb").write_bytes(b"of tfcl 0.1")
    for _ in range(2):
        assert tasks.export(entry, tmp_path) == place / "2"
        assert [each.name for each in place.iterdir()] == ["2"]


def test_what_no_export_has_written_stays(tasks, tmp_path):
    """A folder of images may be called like the task that it taught."""
    entry = tasks.find(tasks.names[0])
    images = tmp_path / entry.name / "magpie"
    images.mkdir(parents=True)
    (images / "1.jpg").write_bytes(b"mine")
    (images.parent / "notes.txt").write_text("mine")
    tasks.export(entry, tmp_path)
    assert (images / "1.jpg").exists()
    assert sorted(each.name for each in images.parent.iterdir()) == [
        *("2", "magpie", "notes.txt"),
    ]


def test_a_full_disk_leaves_the_former_version(tasks, tmp_path, monkeypatch):
    entry = tasks.find(tasks.names[0])
    (tmp_path / entry.name / "1").mkdir(parents=True)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", full)
    with pytest.raises(RunError, match="Make room"):
        tasks.export(entry, tmp_path)
    names = [each.name for each in (tmp_path / entry.name).iterdir()]
    assert names == ["1"]
