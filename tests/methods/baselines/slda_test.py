"""The analysis of sums, against that of the data."""

import numpy as np
import pytest
from sklearn.covariance import EmpiricalCovariance
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from tfcl.methods.baselines.nearest_class_mean import NearestClassMean
from tfcl.methods.baselines.slda import SLDA
from tfcl.testing import tiny_training

_COUNT = 30  # Of each class: scikit-learn weighs classes by their sizes.


class _Shrunk(EmpiricalCovariance):
    """(1 - shrinkage) Sigma + shrinkage I."""

    def fit(self, x, y=None):
        super().fit(x)
        unit = np.eye(len(self.covariance_))
        self.covariance_ = 0.8 * self.covariance_ + 0.2 * unit
        return self


def _data(classes=3, features=5):
    draw = np.random.default_rng(0)
    mixing = draw.normal(size=(features, features))
    centres = 2.0 * draw.normal(size=(classes, features))
    y = np.repeat(np.arange(classes), _COUNT)
    return centres[y] + draw.normal(size=(len(y), features)) @ mixing, y


def _solved(method, x, y):
    one = np.eye(y.max() + 1)[y]
    sums = {name: np.asarray(v) for name, v in method.sums_of(x, one).items()}
    return method.solved(sums)


def test_slda_is_the_analysis_of_all_data():
    x, y = _data()
    kernel, bias = _solved(SLDA(tiny_training(), shrinkage=0.2), x, y)
    known = LinearDiscriminantAnalysis(
        solver="lsqr", covariance_estimator=_Shrunk()
    ).fit(x, y)
    np.testing.assert_allclose(kernel, known.coef_.T, rtol=1e-7)
    # Of classes of one size the prior is the same.
    wanted = known.intercept_ - np.log(1 / 3)
    np.testing.assert_allclose(bias, wanted, rtol=1e-7)


def test_the_output_layer_is_the_papers():
    x, y = _data()
    y = np.where(np.arange(len(y)) < 10, 2, y)  # Of different sizes.
    kernel, bias = _solved(SLDA(tiny_training(), shrinkage=0.2), x, y)
    means = np.stack([x[y == k].mean(0) for k in range(3)])
    centred = x - means[y]
    covariance = centred.T @ centred / len(x)
    inverse = np.linalg.inv(0.8 * covariance + 0.2 * np.eye(5))
    np.testing.assert_allclose(kernel, inverse @ means.T, rtol=1e-7)
    wanted = [-0.5 * m @ inverse @ m for m in means]
    np.testing.assert_allclose(bias, wanted, rtol=1e-7)


def test_the_nearest_mean_answers():
    x, y = _data()
    kernel, bias = _solved(NearestClassMean(tiny_training()), x, y)
    means = np.stack([x[y == k].mean(0) for k in range(3)])
    distances = np.square(x[:, None] - means).sum(-1)
    wanted = np.square(x).sum(1)[:, None] - distances
    np.testing.assert_allclose(x @ kernel + bias, wanted, atol=1e-9)


@pytest.mark.parametrize("wrong", [0.0, 1.5])
def test_a_wrong_shrinkage_is_refused(wrong):
    with pytest.raises(ValueError, match="`shrinkage`.*Received"):
        SLDA(tiny_training(), shrinkage=wrong)
