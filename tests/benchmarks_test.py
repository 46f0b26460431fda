"""The benchmarks of CLR do what they measure."""

import functools

import numpy as np
import pytest

from benchmarks import clr
from tfcl.methods.baselines.frozen_backbone import FrozenBackbone
from tfcl.methods.clr.clr import CLR


@pytest.fixture(autouse=True)
def small(monkeypatch):
    network = functools.partial(clr.cifar_resnet, depth=8)
    monkeypatch.setitem(clr._SIZES, "cifar", (network, 8, 2))
    monkeypatch.setitem(clr._SIZES, "64", (network, 8, 2))


@pytest.mark.parametrize("make", [CLR, FrozenBackbone])
def test_steps_can_be_timed(make):
    clr.step_epoch("cifar", make)()


def test_forward_passes_can_be_timed():
    assert clr.forward("cifar")().shape == (2, 10)
    assert np.shape(clr.plain_forward("cifar")()) == (2, 10)


def test_switching_between_tasks_can_be_timed():
    clr.switch()()
