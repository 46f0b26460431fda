"""Files of ONNX answer as the run does, in ONNX Runtime."""

import re
import sys

import keras
import numpy as np
import pytest

from tests.engine.serving.families import FAMILIES, family
from tfcl.engine.serving import formats, onnx_file, up_to_date
from tfcl.errors import UserError

_WHY = "ONNX files need the extra: pip install 'tfcl[onnx]'"
onnx = pytest.importorskip("onnx", reason=_WHY)
pytest.importorskip("tf2onnx", reason=_WHY)
onnxruntime = pytest.importorskip("onnxruntime", reason=_WHY)


def _session(path):
    return onnxruntime.InferenceSession(
        path, providers=["CPUExecutionProvider"]
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_every_network_answers_the_same(name, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(
        formats.logging, "info", lambda text, *args: told.append(text % args)
    )
    tasks, entry, _, images, _ = family(name)
    path = tasks.export(entry, tmp_path, "onnx")
    assert path == tmp_path / f"{entry.name}.onnx"
    labels = (tmp_path / f"{entry.name}.labels.txt").read_text()
    assert tuple(labels.splitlines()) == entry.class_names
    assert len(list(tmp_path.iterdir())) == 2
    session = _session(path)
    (pixels,), (output,) = session.get_inputs(), session.get_outputs()
    assert (pixels.name, pixels.type) == ("pixels", "tensor(uint8)")
    assert pixels.shape == ["n", 8, 8, 3]
    assert (output.name, output.type) == ("probabilities", "tensor(float)")
    assert output.shape == ["n", len(entry.class_names)]
    wanted = tasks.probabilities(entry, images)
    for count in (1, len(images)):
        (found,) = session.run(None, {"pixels": images[:count]})
        np.testing.assert_allclose(found, wanted[:count], atol=1e-6)
    (line,) = [each for each in told if "as onnx" in each]
    largest = float(re.search(r"differ .* by at most (\S+)\.$", line)[1])
    assert 0 <= largest < 1e-6


def test_the_opset_is_the_one_that_is_told(tmp_path):
    tasks, entry, *_ = family("lasem")
    model = onnx.load(tasks.export(entry, tmp_path, "onnx"))
    (version,) = [m.version for m in model.opset_import if not m.domain]
    assert version == onnx_file.OPSET == 15


def _network(layer):
    inputs = keras.Input((8, 8, 3), name="pixels")
    hidden = keras.layers.Rescaling(1 / 255)(inputs)
    hidden = keras.layers.Flatten()(layer(hidden))
    logits = keras.layers.Dense(3)(hidden)
    return keras.Model(inputs, keras.layers.Softmax()(logits))


def test_an_operation_that_onnx_does_not_know_is_named():
    with pytest.raises(UserError, match="'birds' .*does not know: .*Erfinv"):
        onnx_file.converted(_network(keras.ops.erfinv), "birds")


def test_constants_of_layers_are_no_further_inputs():
    layer = keras.layers.Normalization(mean=[1, 2, 3], variance=[4, 5, 6])
    model = _network(layer)
    content = onnx_file.converted(model, "birds")
    graph = onnx.load_model_from_string(content).graph
    assert [each.name for each in graph.input] == ["pixels"]
    assert "at most" in onnx_file.compare(model, content, "birds")


def test_a_file_that_answers_otherwise_is_refused():
    model, other = family("lasem").model, family("cpg").model
    content = onnx_file.converted(other, "birds")
    with pytest.raises(UserError, match="'birds' answers otherwise"):
        onnx_file.compare(model, content, "birds")


def test_without_onnxruntime_it_is_said(monkeypatch):
    model = family("lasem").model
    content = onnx_file.converted(model, "birds")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    told = onnx_file.compare(model, content, "birds")
    assert "not compared" in told and "pip install 'tfcl[onnx]'" in told


def test_it_is_written_again_with_the_others(tmp_path):
    tasks, entry, _, images, _ = family("spg")
    path = tmp_path / f"{entry.name}.onnx"
    path.write_bytes(b"of before")
    written = up_to_date.bring_up_to_date(
        tasks.method, [entry], tmp_path, tasks._facts
    )
    assert written == [path]
    (found,) = _session(path).run(None, {"pixels": images})
    wanted = tasks.probabilities(entry, images)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
