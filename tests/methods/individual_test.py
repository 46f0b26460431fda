"""Single-task learners with a transfer mechanism of their own."""

import numpy as np
import pytest

from tests.testing.methods import run_method_test, tiny_stream, tiny_training
from tfcl.methods.individual import Individual
from tfcl.methods.transfers import DeconvTransfer, TuckerTransfer

_DECONV = {"bases": ((2, 4), (2, 6)), "filters": ((3, 6), (3, 8))}


def test_a_knowledge_base_per_task_keeps_the_contract(tmp_path):
    run_method_test(
        lambda: Individual(tiny_training(12), DeconvTransfer(**_DECONV)),
        tmp_path,
        forgets=False,
    )


@pytest.mark.parametrize(
    ("transfer", "name"),
    [
        (None, "Individual"),
        (TuckerTransfer(), "STL-TF"),
        (DeconvTransfer(**_DECONV), "STL-DF-CNN"),
    ],
)
def test_nothing_is_shared_and_every_task_draws_its_own(transfer, name):
    method = Individual(tiny_training(1), transfer)
    stream = tiny_stream()()
    method.setup(stream.spec(), seed=0)
    assert method.name == name
    assert method.shared == []
    drawn = []
    for task in stream.tasks[:2]:
        method.begin_task(task)
        drawn.append(method.bank_values())
    bases = [n for n in drawn[0] if n.endswith(("_core", "_base", "/kernel"))]
    assert len(bases) == 2
    for base in bases:
        assert (drawn[0][base] != drawn[1][base]).any()


def test_the_mechanism_s_penalty_is_added():
    method = Individual(tiny_training(1), TuckerTransfer(0.5))
    method.setup(tiny_stream()().spec(), seed=0)
    wanted = 0.5 * sum(
        float(layer.generator.penalty())
        for layer in method.network().trunk.layers
        if hasattr(layer, "generator")
    )
    np.testing.assert_allclose(method.penalty(), wanted, rtol=1e-6)
    assert wanted > 0
