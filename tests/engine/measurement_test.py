"""What a pass over a split finds, by a network whose answers are known."""

import numpy as np
import pytest
import tensorflow as tf

from tests.testing.running import plain_split
from tfcl.engine.measurement import Measurement
from tfcl.engine.replicas import Replicas
from tfcl.engine.resident import ResidentSplit

# Every image is its own logits, of a head that is padded to four classes.
_LOGITS = np.log(
    np.array(
        [
            [0.5, 0.25, 0.25, 8.0],
            [0.125, 0.75, 0.125, 8.0],
            [0.25, 0.25, 0.5, 8.0],
            [0.5, 0.375, 0.125, 8.0],
            [0.25, 0.5, 0.25, 8.0],
        ],
        np.float32,
    )
)


class _Method:
    def __init__(self, predict):
        self.predict = predict


@pytest.fixture(params=["one", "two"])
def measure(request):
    """Function from `predict` to a `Measurement` and its replicas."""
    devices = ["CPU:0", "CPU:1"]
    strategy = (
        tf.distribute.get_strategy()
        if request.param == "one"
        else tf.distribute.MirroredStrategy(devices)
    )

    def made(predict):
        method = _Method(predict)
        replicas = Replicas(method, strategy)
        resident = ResidentSplit((1, 1, 4), np.float32)
        return Measurement(method, replicas, resident), replicas

    return made


def _split(logits, labels):
    return plain_split(logits.reshape(-1, 1, 1, 4), np.array(labels, np.int32))


def test_answers_are_the_largest_of_the_classes_of_the_task(measure):
    measurement, replicas = measure(lambda images: images[:, 0, 0])
    split = _split(_LOGITS, [0, 1, 1, 1, 2])
    found = measurement.answers(split, 2, range(3))
    assert found.classes.tolist() == [0, 1, 2, 0, 1]
    np.testing.assert_allclose(found.scores, [0.5, 0.75, 0.5, 0.5, 0.5])
    # The fourth column belongs to a wider task.
    assert measurement.answers(split, 2, range(4)).classes.tolist() == [3] * 5
    two = measurement.answers(split, 5, range(2))
    np.testing.assert_allclose(two.scores[:2], [2 / 3, 6 / 7], rtol=1e-6)
    assert replicas.traces["answer"] == 1


def test_answers_agree_with_the_accuracy(measure):
    measurement, _ = measure(lambda images: images[:, 0, 0, :3])
    split = _split(_LOGITS, [0, 1, 1, 1, 2])
    found = measurement.answers(split, 2, range(3))
    right = float(np.mean(found.classes == split.labels))
    assert measurement.evaluate(split, 2).accuracy == right == 0.4


def test_logits_that_are_no_numbers_have_no_probability(measure):
    measurement, _ = measure(lambda images: images[:, 0, 0] * np.nan)
    found = measurement.answers(_split(_LOGITS, [0] * 5), 2, range(3))
    assert found.scores.tolist() == [0.0] * 5
    assert (found.classes >= 0).all() and (found.classes < 3).all()


def test_an_embedding_is_asked_batch_by_batch(measure):
    measurement, replicas = measure(None)
    method = measurement._method
    method.embed = lambda images: images[:, 0, 0]
    split = _split(_LOGITS, [0] * 5)
    found = measurement._embeddings(split, 2)
    np.testing.assert_array_equal(found, _LOGITS)
    assert replicas.traces == {"embed": 1}
