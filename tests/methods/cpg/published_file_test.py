"""Files that the published CPG program would not write, and what is said."""

import json

import numpy as np
import pytest

from tests.methods.cpg.published_networks import (
    CLASSES,
    Checkpoint,
    refusal,
    vgg,
)
from tfcl.methods.cpg.published_file import in_keras_order


def test_rows_over_a_map_come_position_by_position():
    # Two channels of a map of three positions, then one unit.
    rows = np.array([["a0", "a1", "a2", "b0", "b1", "b2"]])
    wanted = ["a0", "b0", "a1", "b1", "a2", "b2"]
    assert in_keras_order(rows, 3)[:, 0].tolist() == wanted
    kernel = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    assert in_keras_order(kernel)[3, 4, 2, 1] == kernel[1, 2, 3, 4]


def _changed(file, change):
    content = file.content()
    change(content)
    return content


def _info(content, name="people"):
    return content["shared_layer_info"][name]


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda c: c.update(owners=c.pop("masks")),
            "no dict 'masks'. Its keys: .*'owners'. Say by `masks`",
        ),
        (
            lambda c: c.update(info=c.pop("shared_layer_info")),
            "no dict 'shared_layer_info'.* Say by `task_layers`",
        ),
        (lambda c: c.pop("model_state_dict"), "is no checkpoint of CPG"),
        (
            lambda c: c["model_state_dict"].update(extra=np.ones(3, "<f4")),
            "whose place in the network is unknown: 'extra'.* `ignored`",
        ),
        (
            lambda c: _info(c).update(momenta={"features.0": np.ones(2)}),
            "in 'shared_layer_info/people/momenta' .* 'features.0'",
        ),
        (
            lambda c: _info(c).update(note="x"),
            "in 'shared_layer_info/people' .*unknown: 'note'",
        ),
        (lambda c: _info(c).update(piggymask=None), "no 'piggymask' for task"),
        (
            lambda c: _info(c).pop("network_width_multiplier"),
            "does not state the width of task 'task_01'.*`widths`",
        ),
        (
            lambda c: _info(c).update(network_width_multiplier=3.0),
            "other sizes for task 'task_01' .* 18, .* units, the file 6, ",
        ),
        (
            lambda c: _info(c)["bn_layer_bias"].pop("features.1"),
            "differ in what task 'task_01' has for itself: norm_0/beta",
        ),
        (
            lambda c: c["shared_layer_info"].pop("people"),
            "has no task 'people'. Its tasks: 'fish', 'trees'",
        ),
        (
            lambda c: c.update(dataset_history=["people", "fish", "trees"]),
            "in the order people, fish, trees, not fish, people, trees",
        ),
        (
            lambda c: c["model_state_dict"].pop("classifiers.1.weight"),
            r"classifier of shapes \[\(3,\)\] for task 'task_01'",
        ),
        (
            lambda c: c["masks"].pop("features.9"),
            "has 0 dense layers .* the backbone 'cpg_vgg' has 1",
        ),
        (
            lambda c: c["masks"]["features.4"].__setitem__((-1, -1), 1),
            "weights of task 1 .* 'conv_1' beyond the width 1 of task 1",
        ),
        (
            lambda c: _info(c)["piggymask"]["features.0"].fill(0.0),
            "'conv_0' that task 2 owns and does not pick",
        ),
    ],
)
def test_what_a_file_lacks_or_has_too_much_is_named(change, message, tmp_path):
    file = Checkpoint(vgg, (1.0, 1.0, 1.5), CLASSES)
    found = refusal(tmp_path, _changed(file, change))
    assert json.dumps(found)  # One line, whatever the file's names are.
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(found)


def test_a_damaged_file_is_one_line(tmp_path):
    assert "cannot be read" in refusal(tmp_path, b"\x80\x02no checkpoint")
