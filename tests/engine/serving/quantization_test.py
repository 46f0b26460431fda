"""Smaller LiteRT files, read by LiteRT's own interpreter."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from tfcl.data.absent import AbsentImages
from tfcl.data.split import Split
from tfcl.engine.serving import formats, litert
from tfcl.engine.serving.export_options import ExportOptions
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.engine.serving.quantization import (
    Change,
    Examples,
    Measured,
    change,
    examples_of,
)
from tfcl.errors import UserError
from tfcl.methods import EWC
from tfcl.testing import learned, tiny_training, undrawn_figures


def _method():
    # Wide enough that int8 is worth it: small layers stay as they are.
    return EWC(tiny_training(1, 0.001, hidden_units=(512,)))


@pytest.fixture(name="run", scope="module")
def _run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    with undrawn_figures():
        run = learned(folder, _method(), class_counts=(3, 2))
    return run, LearnedTasks(folder, _method())


def _answers(path, images):
    signature = Interpreter(str(path)).get_signature_runner()
    found = np.concatenate(
        [signature(pixels=image[None])["probabilities"] for image in images]
    )
    return found / np.float32(256) if found.dtype == np.uint8 else found


@pytest.mark.parametrize(
    ("quantize", "close", "part"),
    [("float16", 2e-3, 0.7), ("int8", 5e-2, 0.6), ("full_integer", 5e-2, 0.5)],
)
def test_a_smaller_file_answers_nearly_the_same(
    run, tmp_path, monkeypatch, quantize, close, part
):
    told = []
    monkeypatch.setattr(
        formats.logging, "info", lambda text, *args: told.append(args[-1])
    )
    run, tasks = run
    entry, split = tasks.find(tasks.names[1]), run.stream.tasks[1].test
    options = ExportOptions("litert", quantize)
    examples = examples_of(run.stream.tasks[1], options, seed=0)
    path = tasks.export(entry, tmp_path, options, examples)
    assert path == tmp_path / f"{entry.name}.{quantize}.tflite"
    wanted = tasks.probabilities(entry, split.images)
    found = _answers(path, split.images)
    np.testing.assert_allclose(found, wanted, atol=close)
    assert np.abs(found - wanted).max() > 1e-7
    plain = tasks.export(entry, tmp_path, ExportOptions("litert"))
    assert path.stat().st_size < part * plain.stat().st_size
    (noted,) = [each for each in told if isinstance(each, Change)]
    # Names of the graph's parts differ.
    assert noted.bytes_before == pytest.approx(plain.stat().st_size, rel=0.02)
    assert noted.bytes_after == path.stat().st_size
    right = [
        (rows.argmax(-1) == split.labels).mean() for rows in (wanted, found)
    ]
    assert noted.accuracies == pytest.approx(right)
    assert noted.images == len(split.labels)
    assert noted.largest == pytest.approx(
        np.abs(found - wanted).max(), abs=1e-5
    )


def test_without_test_images_random_ones_are_said_to_be_such(run, tmp_path):
    _, tasks = run
    entry = tasks.find(tasks.names[0])
    model = formats.pixels_to_probabilities(tasks.method, entry)
    content = litert.converted(model)
    found = change(model, content, content, None)
    assert found.largest == 0.0 and found.accuracies is None
    assert "images of random pixels" in str(found)
    assert "no test images are at hand" in str(found)


def test_what_has_changed_is_told():
    found = Change(2_000_000, 500_000, 71, 0.125, (0.95, 0.9375))
    assert str(found) == (
        "2 MB before, 0.5 MB after; accuracy on 71 test images 95.00 % before, "
        "93.75 % after; probabilities differ by at most 0.12"
    )


def test_a_file_of_keras_is_as_before(run, tmp_path):
    _, tasks = run
    entry = tasks.find(tasks.names[0])
    path = tasks.export(entry, tmp_path, "keras")
    images = np.zeros((2, 8, 8, 3), np.float32)
    wanted = tasks.probabilities(entry, images.astype(np.uint8))
    found = keras.models.load_model(path).predict(images, verbose=0)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


class _Images:
    """Stands for a task: numbered images in its splits."""

    def __init__(self, **lost):
        self.index, self.name = 1, "bags"
        for number, name in enumerate(("train", "validation", "test")):
            images = np.full((30, 2, 2, 3), 100 * number, np.uint8)
            images[:, 0, 0, 0] += np.arange(30, dtype=np.uint8)
            if name in lost:
                images = AbsentImages(30, (2, 2, 3), None, "gone")
            labels = np.zeros(30, np.int32)
            zeros, ones = np.zeros((1, 3)), np.ones((1, 3))
            setattr(self, name, Split(images, labels, zeros, ones))


def _drawn(task, count, seed):
    options = ExportOptions(
        "litert", "full_integer", representative_images=count
    )
    return examples_of(task, options, seed).representative


def test_representative_images_are_drawn_by_the_seed():
    task = _Images()
    drawn = [_drawn(task, 8, seed)[:, 0, 0, 0] for seed in (0, 0, 1)]
    assert drawn[0].tolist() == drawn[1].tolist() != drawn[2].tolist()
    assert len(set(drawn[0])) == 8 and drawn[0].max() < 30
    np.testing.assert_array_equal(_drawn(task, 99, 0), task.train.images)


def test_they_are_of_the_validation_split_where_there_is_no_other():
    drawn = _drawn(_Images(train=True), 8, 0)[:, 0, 0, 0]
    assert len(drawn) == 8 and drawn.min() >= 100 and drawn.max() < 200


def test_test_images_are_never_taken(run, tmp_path):
    assert _drawn(_Images(train=True, validation=True), 8, 0) is None
    _, tasks = run
    entry = tasks.find(tasks.names[0])
    measured = Examples(Measured(np.zeros((1, 8, 8, 3), np.uint8), np.zeros(1)))
    options = ExportOptions("litert", "full_integer")
    for examples in (None, measured):
        with pytest.raises(UserError) as caught:
            tasks.export(entry, tmp_path, options, examples)
        for way in ("--data_dir", f"tfcl.Task('{entry.name}', train=...)"):
            assert way in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_other_files_read_no_training_images():
    options = ExportOptions("litert", "int8")
    assert examples_of(_Images(), options, 0).representative is None
    assert examples_of(_Images(), ExportOptions("litert"), 0) == Examples()
