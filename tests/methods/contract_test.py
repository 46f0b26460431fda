"""Every method of hard-parameter sharing under the common contract."""

import pytest

from tests.testing.methods import run_method_test, tiny_training
from tfcl.methods.baselines.fine_tuning import FineTuning
from tfcl.methods.baselines.frozen_backbone import FrozenBackbone
from tfcl.methods.baselines.individual import Individual
from tfcl.methods.baselines.joint import Joint
from tfcl.methods.lasem.lasem import LASEM
from tfcl.methods.lasem.static_transfer import StaticTransfer
from tfcl.methods.lasem.transfers import DeconvTransfer, TuckerTransfer


def test_individual_networks(tmp_path):
    run_method_test(
        lambda: Individual(tiny_training()), tmp_path, forgets=False
    )


def test_frozen_backbone(tmp_path):
    run_method_test(
        lambda: FrozenBackbone(tiny_training(12)), tmp_path, forgets=False
    )


def test_fine_tuning(tmp_path):
    run_method_test(
        lambda: FineTuning(tiny_training()),
        tmp_path,
        forgets=True,
        class_counts=(2, 2, 2),
    )


def test_fine_tuning_with_heads_of_tasks(tmp_path):
    run_method_test(
        lambda: FineTuning(tiny_training(), heads="per_task"),
        tmp_path,
        forgets=True,
    )
    with pytest.raises(ValueError, match="`heads` must be"):
        FineTuning(tiny_training(), heads="two")


@pytest.mark.parametrize("configuration", ["10", "01"])
def test_static_sharing(tmp_path, configuration):
    run_method_test(
        lambda: StaticTransfer(tiny_training(), configuration),
        tmp_path,
        forgets=True,
    )


def test_nothing_shared_forgets_nothing(tmp_path):
    run_method_test(
        lambda: StaticTransfer(tiny_training(), "00"), tmp_path, forgets=False
    )


def test_joint(tmp_path):
    run_method_test(lambda: Joint(tiny_training()), tmp_path, forgets=True)


def test_lasem(tmp_path):
    run_method_test(lambda: LASEM(tiny_training()), tmp_path, forgets=True)


@pytest.mark.parametrize(
    "options",
    [{"groups": (2,)}, {"fixed_configuration": "01"}],
    ids=["groups", "fixed"],
)
def test_options_of_lasem(tmp_path, options):
    run_method_test(
        lambda: LASEM(tiny_training(12), **options), tmp_path, forgets=True
    )


_DECONV = {"bases": ((2, 4), (2, 6)), "filters": ((3, 6), (3, 8))}


@pytest.mark.parametrize(
    "transfer",
    [TuckerTransfer(), DeconvTransfer(**_DECONV)],
    ids=["tucker", "deconv"],
)
def test_static_transfer(tmp_path, transfer):
    run_method_test(
        lambda: StaticTransfer(tiny_training(12), "10", transfer),
        tmp_path,
        forgets=True,
    )


@pytest.mark.parametrize(
    "transfer",
    [TuckerTransfer(), DeconvTransfer(**_DECONV)],
    ids=["tucker", "deconv"],
)
def test_lasem_on_other_transfers(tmp_path, transfer):
    run_method_test(
        lambda: LASEM(tiny_training(12), transfer), tmp_path, forgets=True
    )
