"""Which methods can do more than the contract asks."""

import numpy as np
import pytest

from tfcl.data.pairs import PairSplit
from tfcl.engine.measurement import Measurement
from tfcl.errors import UserError
from tfcl.methods import protocols
from tfcl.methods.base import Method
from tfcl.methods.baselines.fine_tuning import FineTuning
from tfcl.methods.class_incremental.class_incremental import ClassIncremental
from tfcl.methods.clr.clr import CLR
from tfcl.methods.cpg.cpg import CPG
from tfcl.methods.cpg.packnet import PackNet
from tfcl.methods.expansion.den import DEN
from tfcl.methods.expansion.prognn import ProgNN
from tfcl.methods.lasem.lasem import LASEM
from tfcl.methods.online.gdumb import GDumb
from tfcl.methods.online.memory_head import MemoryHead
from tfcl.testing import tiny_training

_ALL = {
    protocols.SupportsBundle,
    protocols.SupportsEmbedding,
    protocols.SupportsGrowth,
    protocols.SupportsPointMaps,
}
_NETWORK = {protocols.SupportsEmbedding}


@pytest.mark.parametrize(
    ("method", "wanted"),
    [
        (Method, set()),
        (ClassIncremental, {protocols.SupportsGrowth}),
        (LASEM, _NETWORK),
        (CLR, _NETWORK | {protocols.SupportsBundle}),
        (CPG, _NETWORK | {protocols.SupportsGrowth}),
        (PackNet, _NETWORK | {protocols.SupportsGrowth}),
        (DEN, _NETWORK | {protocols.SupportsGrowth}),
        (ProgNN, _NETWORK | {protocols.SupportsGrowth}),
        (MemoryHead, {protocols.SupportsPointMaps}),
        (GDumb, {protocols.SupportsPointMaps}),
    ],
)
def test_a_method_supports_what_it_names(method, wanted):
    assert {each for each in _ALL if issubclass(method, each)} == wanted


def test_a_method_that_does_not_grow_has_one_graph_and_no_structure():
    method = FineTuning(tiny_training())
    assert protocols.structure_of(method) is None
    assert protocols.graph_of(method) == protocols.graph_of(method)
    assert protocols.serving_graph_of(method) is None
    protocols.grow_to(method, None)
    with pytest.raises(ValueError, match="does not grow.*config.gin.*columns"):
        protocols.grow_to(method, {"columns": 2})


class _Growing(FineTuning):
    """Of someone else, who has not heard of the protocol's class."""

    grown = None

    def structure(self):
        return {"units": 3}

    def grow_to(self, structure):
        self.grown = structure

    def graph(self):
        return "wide"

    def serving_graph(self):
        return "narrow"


def test_the_functions_are_enough_to_support_a_protocol():
    method = _Growing(tiny_training())
    assert protocols.structure_of(method) == {"units": 3}
    assert protocols.graph_of(method) == "wide"
    assert protocols.serving_graph_of(method) == "narrow"
    protocols.grow_to(method, {"units": 4})
    assert method.grown == {"units": 4}


def test_a_network_serves_by_the_graph_that_it_trains_unless_it_says_so():
    method = ProgNN(tiny_training())
    assert protocols.serving_graph_of(method) == protocols.graph_of(method)


def test_pairs_need_a_method_that_embeds():
    method = MemoryHead(lambda **shape: None)
    pairs = PairSplit(
        images=np.zeros((8, 4, 4, 3), np.uint8),
        labels=np.repeat([0, 1, 0, 1], 2),
        mean=np.zeros((1, 3)),
        std=np.ones((1, 3)),
        folds=2,
    )
    with pytest.raises(UserError, match="MemoryHead.*no embedding.*CPG"):
        Measurement(method, None, None).evaluate(pairs, 4)
