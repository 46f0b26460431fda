"""Learning to Prompt: the contract, kills, which prompts count as frequent."""

import functools

import numpy as np
import pytest

from tests.methods.prompts import tiny_transformer
from tests.testing import toy_run
from tfcl.data.scenario import CLASS
from tfcl.data.scenarios.in_scenario import in_scenario
from tfcl.methods.prompts.l2p import L2P
from tfcl.testing import run_method_test

_SMALL = functools.partial(L2P, pool=4, length=2, chosen=2)


def test_learning_to_prompt(tmp_path):
    run_method_test(
        lambda: _SMALL(tiny_transformer.training(30)), tmp_path, forgets=True
    )


def test_kills_change_nothing(tmp_path):
    toy_run.assert_kills_change_nothing(
        tmp_path,
        lambda: _SMALL(
            tiny_transformer.training(1, dropout=0.5), diversified=True
        ),
        moments=2,
        stream=toy_run.toy_stream((2, 2)),
        scenario=CLASS,
    )


def test_prompts_are_as_frequent_as_they_were_chosen(tmp_path):
    run = toy_run.learn(
        tmp_path,
        _SMALL(tiny_transformer.training(1), diversified=True),
        toy_run.toy_stream((2, 2)),
        scenario=CLASS,
    ).run
    counts = run.method._counts.numpy()
    # Two prompts for each of 48 images, an epoch for each of two tasks.
    trained = sum(len(task.train) // 16 * 16 for task in run.stream.tasks)
    assert counts.sum() == 2 * trained
    frequency = run.method._prompts.frequency.numpy()
    np.testing.assert_allclose(frequency.sum(), 1.0)
    assert (frequency != 1.0).all()


def test_the_network_gets_the_prompts_as_tokens():
    method = _SMALL(tiny_transformer.training())
    stream = in_scenario(CLASS, toy_run.toy_stream((2, 2)))
    method.setup(stream.spec(), 0)
    backbone = method.network().backbone
    # Two prompts of two tokens, the class token, four patches.
    assert backbone.get_layer("prompted").output.shape == (None, 4 + 5, 16)
    shapes = {v.name: tuple(v.variable.shape) for v in method._trained}
    assert shapes["prompt_keys/keys"] == (4, 16)
    assert shapes["prompt_pool/prompts"] == (4, 2, 16)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"chosen": 5}, "`chosen` must be at most the 4 prompts"),
        ({"pull": -1.0}, "`pull`"),
        ({"length": 0}, "`length`"),
    ],
)
def test_wrong_values_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        _SMALL(tiny_transformer.training(), **wrong)
