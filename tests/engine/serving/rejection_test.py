""" "None of these" below a threshold, in SavedModels of one task and of all."""

import json
import types

import numpy as np
import pytest
import tensorflow as tf

from tfcl.engine.serving.export_options import ExportOptions
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.engine.serving.rejection import (
    NONE_OF_THESE,
    check_rejects,
    labelled,
)
from tfcl.errors import UserError
from tfcl.methods import EWC
from tfcl.testing import learned, tiny_training


def test_the_threshold_itself_is_enough():
    names = tf.constant(["a", "b", "c"])
    probabilities = tf.constant([[0.5, 0.25, 0.25], [0.25, 0.625, 0.125]])
    probabilities = tf.concat([probabilities, [[0.4375, 0.3125, 0.25]]], 0)
    found = labelled(names, probabilities, 0.5).numpy().tolist()
    assert found == [b"a", b"b", NONE_OF_THESE.encode()]
    assert labelled(names, probabilities, None) is names


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.5, 60.0, float("nan")])
def test_thresholds_without_sense_are_refused(threshold):
    with pytest.raises(UserError, match="above 0 and below 1. Received"):
        check_rejects([], threshold)


def test_a_class_of_that_name_is_refused():
    entry = types.SimpleNamespace(name="birds", class_names=(NONE_OF_THESE,))
    check_rejects([entry], None)
    with pytest.raises(UserError, match="'birds' has a class"):
        check_rejects([entry], 0.5)


def _method():
    return EWC(tiny_training(epochs=1, hidden_units=()))


@pytest.mark.parametrize("bundle", [False, True])
def test_exports_answer_by_it_and_tell_it(tmp_path_factory, bundle):
    folder = tmp_path_factory.mktemp("run")
    learned(folder, _method(), class_counts=(3, 2))
    tasks = LearnedTasks(folder, _method())
    entries = [tasks.find(name) for name in tasks.names]
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
    wanted = tasks.probabilities(entries[0], images)
    # The middle one, so that some are above and some below.
    threshold = float(np.median(wanted.max(-1)))
    options = ExportOptions(reject_below=threshold)
    inputs = {"images": tf.constant(images)}
    if bundle:
        path = tasks.export_bundle(entries, options=options)
        inputs["tasks"] = tf.zeros(40, tf.int32)
    else:
        path = tasks.export(entries[0], options=options)
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    found = serve(**inputs)
    clear = np.abs(wanted.max(-1) - threshold) > 1e-5
    assert clear.sum() > 30
    for row in np.flatnonzero(clear):
        name = found["labels"][row].numpy().decode()
        best = entries[0].class_names[wanted[row].argmax()]
        sure = wanted[row].max() >= threshold
        assert name == (best if sure else NONE_OF_THESE)
    about = json.loads((path / "assets" / "model.json").read_text())
    assert about["reject_below"] == threshold
    assert about["rejected_label"] == NONE_OF_THESE
