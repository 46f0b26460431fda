"""Every method of hard-parameter sharing under the common contract."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfcl.methods.base import Update
from tfcl.methods.baselines.fine_tuning import FineTuning
from tfcl.methods.baselines.frozen_backbone import FrozenBackbone
from tfcl.methods.baselines.individual import Individual
from tfcl.methods.baselines.joint import Joint
from tfcl.methods.lasem.lasem import LASEM
from tfcl.methods.lasem.static_transfer import StaticTransfer
from tfcl.methods.lasem.transfers import DeconvTransfer, TuckerTransfer
from tfcl.methods.work import Phase
from tfcl.testing import run_method_test, runner_for, tiny_stream, tiny_training


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


class _Ordered(FineTuning):
    """One variable, whose value after a step tells the order of the fields.

    Args:
        due: `Update.apply_if`.
    """

    metric_shapes = {}

    def __init__(self, due):
        super().__init__(tiny_training())
        self.due = due

    def setup(self, spec, seed):
        super().setup(spec, seed)
        self.value = keras.Variable(3.0)
        self.build_optimizer("one", keras.optimizers.SGD(1.0), [self.value])

    def train_step(self, batch):
        value = self.value

        def halved(gradients, variables):
            return [
                g + 0.5 * tf.convert_to_tensor(v)
                for g, v in zip(gradients, variables)
            ]

        return Update(
            loss=tf.constant(1.0),
            metrics={},
            gradients=[("one", [tf.constant(1.0)], [value.value])],
            before_apply=lambda: value.assign(value * 10.0),
            transform_gradients=halved,
            apply_if=self.due,
            after_apply=lambda: value.assign(value + 0.25),
        )


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(
    ("due", "wanted"),
    # Thirty; less the gradient 1 and half of the thirty; and a quarter.
    [(None, 14.25), (tf.constant(True), 14.25), (tf.constant(False), 30.25)],
    ids=["always", "due", "not due"],
)
def test_fields_of_an_update_run_in_the_order_of_their_names(due, wanted, jit):
    method, stream = _Ordered(due), tiny_stream()()
    method.setup(stream.spec(), seed=0)
    split = stream.tasks[0].train
    runner = runner_for(method, split.image_shape)
    phase = Phase("one", 1, {}, jit_compile=jit)
    order = np.arange(len(split), dtype=np.int32)
    runner.train(phase, split, order, 0, 1, 16, [0, 1], False)
    assert float(method.value) == wanted
