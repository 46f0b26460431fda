"""Exemplars: their number, their order, herding against the paper's sum."""

import numpy as np
import pytest

from tfcl.replay.exemplars import Exemplars, herded


def _built(capacity=7, classes=4):
    exemplars = Exemplars(capacity)
    exemplars.build(classes)
    return exemplars


def test_every_class_has_as_many_and_the_last_ones_go_first():
    exemplars = _built()
    assert exemplars.kept() == [[], [], [], []]
    new = {0: np.array([5, 2, 9]), 1: np.array([0, 1, 7])}
    exemplars.put(new, seen=2)
    assert exemplars.kept()[:2] == [[5, 2, 9], [0, 1, 7]]
    exemplars.put({2: np.array([4, 3]), 3: np.array([8])}, seen=3)
    assert exemplars.kept() == [[5, 2], [0, 1], [4, 3], [8]]
    assert exemplars.per_class(4) == 1


def test_herding_takes_what_brings_the_mean_nearest():
    features = np.random.default_rng(0).normal(size=(9, 3))
    mean, chosen = features.mean(0), []
    for _ in range(5):
        distance = {
            k: np.linalg.norm(mean - features[[*chosen, k]].mean(0))
            for k in range(9)
            if k not in chosen
        }
        chosen.append(min(distance, key=distance.get))
    assert herded(features, 5).tolist() == chosen
    assert sorted(herded(features, 99)) == list(range(9))


def test_herded_examples_stand_for_all_better_than_the_first_ones():
    features = np.random.default_rng(1).normal(size=(200, 8))
    taken = features[herded(features, 10)].mean(0)
    gap = np.linalg.norm(features.mean(0) - taken)
    first = np.linalg.norm(features.mean(0) - features[:10].mean(0))
    assert gap < 0.25 * first


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="`capacity`"):
        Exemplars(0)
    with pytest.raises(ValueError, match="`capacity`.*at least 8.*7"):
        _built(classes=8)
