"""Files of Keras and LiteRT answer as the run does, without tfcl."""

import json
import subprocess
import sys

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from tfcl.engine.serving import formats
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.errors import UserError
from tfcl.methods import CLR, CPG, LASEM, SPG
from tfcl.testing import learned, tiny_training, undrawn_figures

_KERAS = """
import json, sys
import keras, numpy
model = keras.models.load_model(sys.argv[1])
assert not [name for name in sys.modules if name.startswith("tfcl")]
print(json.dumps(model.predict(numpy.load(sys.argv[2]), verbose=0).tolist()))
"""


def _methods():
    return {
        "clr": CLR(tiny_training(epochs=2)),
        "lasem": LASEM(tiny_training(epochs=2)),
        "spg": SPG(tiny_training(epochs=1, hidden_units=())),
        "cpg": CPG(tiny_training(epochs=1)),
    }


@pytest.fixture(scope="module", params=list(_methods()))
def tasks(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    with undrawn_figures():
        learned(folder, _methods()[request.param], class_counts=(2, 3))
    return LearnedTasks(folder, _methods()[request.param])


def _images(entry):
    shape = (4, *entry.preprocessing.image_shape)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def test_a_keras_file_needs_keras_alone(tasks, tmp_path):
    entry = tasks.find(tasks.names[1])
    images = _images(entry)
    wanted = tasks.probabilities(entry, images)
    path = tasks.export(entry, tmp_path, "keras")
    assert path == tmp_path / f"{entry.name}.keras"
    labels = (tmp_path / f"{entry.name}.labels.txt").read_text()
    assert tuple(labels.splitlines()) == entry.class_names
    np.save(tmp_path / "images.npy", images)
    out = subprocess.run(
        [sys.executable, "-c", _KERAS, path, tmp_path / "images.npy"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = json.loads(out.splitlines()[-1])
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_litert_file_answers_the_same(tasks, tmp_path):
    entry = tasks.find(tasks.names[1])
    images = _images(entry)
    wanted = tasks.probabilities(entry, images)
    path = tasks.export(entry, tmp_path, "litert")
    interpreter = Interpreter(str(path))
    signature = interpreter.get_signature_runner()
    found = [signature(pixels=image[None])["probabilities"] for image in images]
    np.testing.assert_allclose(np.concatenate(found), wanted, atol=1e-5)
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        f"{entry.name}.labels.txt",
        path.name,
    ]


def test_a_layer_that_keras_does_not_know_is_named(
    tasks, tmp_path, monkeypatch
):
    entry = tasks.find(tasks.names[0])
    monkeypatch.setattr(
        formats, "leaf_layers", lambda network: [_Own(name="own")]
    )
    with pytest.raises(UserError, match="cannot load: 'own' ._Own"):
        tasks.export(entry, tmp_path, "keras")
    assert not list(tmp_path.iterdir())


class _Own(formats.keras.layers.Layer):
    """Of a program."""
