"""Mean and covariance of classes against the published program."""

import numpy as np
import tensorflow as tf

from tests.testing import golden
from tfcl.methods.class_incremental.class_statistics import ClassStatistics


def test_statistics_are_the_published_ones():
    data = golden.load("memory_head/ci_heads.npz")
    vectors = data["stat_vectors"]
    statistics = ClassStatistics(4, vectors.shape[1], at_once=2)
    labels = 3 * tf.ones(len(vectors), tf.int32)
    for variable, value in zip(
        statistics.sums, statistics.step(vectors, labels, first=2)
    ):
        variable.assign(value)
    statistics.note(2)
    assert not statistics.table["means"].numpy()[:3].any()
    np.testing.assert_allclose(
        statistics.table["means"][3], data["stat_mean"], atol=1e-6
    )
    root = statistics.table["roots"][3].numpy().astype(float)
    np.testing.assert_allclose(root @ root.T, data["stat_cov"], atol=1e-5)
