"""`run_method_test` refuses methods that break a promise."""

import keras
import pytest
import tensorflow as tf

from tfcl.methods.base import Update
from tfcl.methods.baselines.fine_tuning import FineTuning
from tfcl.methods.baselines.individual import Individual
from tfcl.testing import contract, run_method_test, steps, tiny_training


def test_forgetting_is_found_where_none_is_promised(tmp_path):
    with pytest.raises(AssertionError, match="Mismatched elements"):
        run_method_test(
            lambda: FineTuning(tiny_training(), heads="per_task"),
            tmp_path,
            forgets=False,
        )


class LearnsNothing(Individual):
    def train_step(self, batch):
        update = super().train_step(batch)
        ((name, gradients, variables),) = update.gradients
        gradients = [tf.zeros_like(each) for each in gradients]
        return Update(
            update.loss, update.metrics, [(name, gradients, variables)]
        )


def test_chance_is_not_learning(tmp_path):
    with pytest.raises(AssertionError, match="0.5"):
        run_method_test(
            lambda: LearnsNothing(tiny_training(1)), tmp_path, forgets=True
        )


class CountsReplicasTwice(Individual):
    def train_step(self, batch):
        update = super().train_step(batch)
        ((name, gradients, variables),) = update.gradients
        gradients = [each * batch.replicas for each in gradients]
        return Update(
            update.loss, update.metrics, [(name, gradients, variables)]
        )


def test_replicas_that_train_otherwise_are_found():
    with pytest.raises(AssertionError, match="Mismatched elements"):
        contract.agrees_with_two_replicas(
            lambda: CountsReplicasTwice(
                tiny_training(optimizer=keras.optimizers.SGD)
            ),
            (2, 2),
        )


def test_one_cpu_is_told_what_to_do(monkeypatch):
    monkeypatch.setattr(
        steps.tf.config, "list_logical_devices", lambda kind: [kind]
    )
    with pytest.raises(RuntimeError, match="tfcl.testing.two_cpus"):
        steps.two_replicas.__wrapped__()
