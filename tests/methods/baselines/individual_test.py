"""Single-task learners with a transfer mechanism of their own."""

import numpy as np
import pytest

from tfcl.methods.baselines.individual import Individual
from tfcl.methods.lasem.lasem import LASEM
from tfcl.methods.lasem.transfers import DeconvTransfer, TuckerTransfer
from tfcl.optimizers.schedules import Constant
from tfcl.testing import run_method_test, tiny_stream, tiny_training

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


def _after(index, start, counts=(2, 2, 2, 2)):
    """Bank values of a task that has just begun, and those of before."""
    method = Individual(tiny_training(1), start=start)
    stream = tiny_stream(counts)()
    method.setup(stream.spec(), seed=3)
    banked = {}
    method.recall = banked.__getitem__
    for task in stream.tasks[: index + 1]:
        method.begin_task(task)
        begun = method.bank_values()
        for owned in method.slot:  # Stands for training.
            if owned.variable.trainable:
                owned.variable.assign(owned.variable + task.index + 1.0)
        banked[task.index] = method.bank_values()
    return begun, banked


def test_networks_may_start_from_a_random_earlier_one():
    begun, banked = _after(3, "random_earlier")
    equal = [
        all(np.array_equal(begun[n], banked[k][n]) for n in begun)
        for k in range(3)
    ]
    assert sum(equal) == 1
    again, _ = _after(3, "random_earlier")
    assert all(np.array_equal(begun[n], again[n]) for n in begun)


def test_a_classifier_of_other_classes_is_drawn_anew():
    begun, banked = _after(1, "random_earlier", (2, 3))
    afresh, _ = _after(1, "afresh", (2, 3))
    for name, value in begun.items():
        other = afresh if name.startswith("head/") else banked[0]
        np.testing.assert_array_equal(value, other[name], name)


def test_later_tasks_may_have_a_rate_of_their_own():
    later = Constant(0.5)
    method = Individual(tiny_training(1), later_schedule=later)
    stream = tiny_stream((2, 2))()
    method.setup(stream.spec(), seed=0)
    schedules = [
        next(method.phases(task)).rates["main"] for task in stream.tasks
    ]
    assert schedules[0] is method.training.schedule
    assert schedules[1] is later


@pytest.mark.parametrize("replicas", [1, 2])
def test_kernels_of_the_backbone_decay(replicas):
    training = tiny_training(1, weight_decay=0.5)
    method = Individual(training)
    method.setup(tiny_stream()().spec(), seed=0)
    owned = [v for v in method.slot if v.variable.trainable]
    zeros = [0.0 * v.variable.value for v in owned]
    for item, gradient in zip(owned, training.decayed(owned, zeros, replicas)):
        decays = item.name.startswith("conv_") and item.name.endswith("kernel")
        wanted = (0.5 / replicas if decays else 0.0) * item.variable.numpy()
        np.testing.assert_allclose(gradient, wanted, rtol=1e-6)
    assert any(v.name.endswith("/kernel") for v in owned)


def test_methods_without_decay_refuse_it():
    with pytest.raises(ValueError, match="must be 0 for LASEM"):
        LASEM(tiny_training(1, weight_decay=0.1))
    with pytest.raises(ValueError, match="must be 0 for Individual"):
        Individual(tiny_training(1, weight_decay=0.1), TuckerTransfer())


def test_the_mechanism_s_penalty_is_added():
    method = Individual(tiny_training(1), TuckerTransfer(0.5))
    method.setup(tiny_stream()().spec(), seed=0)
    wanted = 0.5 * sum(
        float(layer.generator.penalty())
        for layer in method.network().backbone.layers
        if hasattr(layer, "generator")
    )
    np.testing.assert_allclose(method.penalty(), wanted, rtol=1e-6)
    assert wanted > 0
