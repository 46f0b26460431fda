"""Smaller LiteRT files, read by LiteRT's own interpreter."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from tfcl.engine.serving import formats
from tfcl.engine.serving.export_options import ExportOptions
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.engine.serving.quantization import Change, Measured, change
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
    return np.concatenate(
        [signature(pixels=image[None])["probabilities"] for image in images]
    )


@pytest.mark.parametrize(
    ("quantize", "close", "part"),
    [("float16", 2e-3, 0.7), ("int8", 5e-2, 0.6)],
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
    measured = Measured(split.images, split.labels)
    options = ExportOptions("litert", quantize)
    path = tasks.export(entry, tmp_path, options, measured)
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
    content = formats._for_litert(model)
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
