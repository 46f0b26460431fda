"""Measurements between phases."""

import numpy as np

from tests.engine.training.parts import Bench
from tfcl.engine.training.validating import Validating
from tfcl.methods.work import Validate


def test_the_validation_split_and_the_groups_of_others_are_measured():
    bench = Bench(accuracies=(0.75, 0.25))
    work = Validate("look", measured={"train": bench.task.train})
    result = Validating(bench.evaluator).perform(bench.task, work)
    assert bench.evaluator.measured == [
        bench.task.validation,
        bench.task.train,
    ]
    accuracies = result.pop("train/accuracies")
    np.testing.assert_array_equal(accuracies, [0.25, np.nan])
    assert result == {"validation/loss": 0.25, "validation/accuracy": 0.75}
