"""The head of tasks that classify and tasks that tell persons apart."""

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tfcl.layers.faces.angular_softmax import angular_softmax_loss
from tfcl.layers.faces.verification_head import VerificationHead
from tfcl.models.variables import Owned, restore, stored

_PLAIN, _PERSONS, _FEATURES = 3, 5, 7


def _head(**kwargs):
    head = VerificationHead(
        _PLAIN,
        _PERSONS,
        embedding_units=4,
        kernel_initializer="glorot_uniform",
        bias_initializer="normal",
        name="head",
        **kwargs,
    )
    head.build((None, _FEATURES))
    head.angular.kernel.assign(keras.random.normal((4, _PERSONS), seed=1))
    return head


def _owned(head):
    return [
        Owned.of(
            f"head/{name}",
            variable,
            initializer,
            class_axis=head.class_axes().get(name),
        )
        for name, variable, initializer in head.owned_variables()
    ]


class VerificationHeadTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self):
        super().setUp()
        keras.utils.set_random_seed(0)
        self.features = keras.random.normal((6, _FEATURES), seed=2)
        self.labels = np.array([0, 1, 2, 2, 1, 0])

    def test_a_plain_task_is_a_dense_layer_whose_loss_has_no_margin(self):
        head = _head()
        head.use_columns(range(_PLAIN))
        logits = head(self.features)
        dense = self.features @ head.kernels[0] + head.biases[0]
        self.assertAllClose(logits[:, :_PLAIN], dense)
        self.assertAllLess(logits[:, _PLAIN:], -1e8)
        trained = head.with_margin(self.features, self.labels, logits, 5.0)
        self.assertAllEqual(trained, logits)

    def test_a_task_by_angles_has_the_published_loss(self):
        head = _head()
        head.use_columns(range(_PLAIN, _PLAIN + 4))
        logits = head(self.features)
        self.assertAllLess(logits[:, 4:], -1e8)
        outputs = head.angular(head.embedding(self.features))
        self.assertAllClose(logits[:, :4], outputs[:, 0, :4])
        trained = head.with_margin(self.features, self.labels, logits, 5.0)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits(
            self.labels, trained
        )
        wanted = angular_softmax_loss(self.labels, outputs[..., :4], 5.0)
        self.assertAllClose(loss, wanted)
        self.assertGreater(np.abs(trained - logits).max(), 0.1)

    @parameterized.parameters(([0, 1],), ([3, 4, 5, 6],))
    def test_the_bank_holds_the_active_classifier_alone(self, columns):
        head = _head()
        head.use_columns(columns)
        logits = head(self.features)
        values = head.trimmed(stored(_owned(head)))
        plain = columns[0] < _PLAIN
        self.assertEqual("head/kernel_0" in values, plain)
        self.assertEqual("head/angular_kernel" in values, not plain)
        size = sum(v.size for v in values.values())
        if plain:
            self.assertEqual(size, 2 * (_FEATURES + 1) + 2)
        else:
            self.assertEqual(size, (_FEATURES + 1) * 4 + 4 * 4 + 4)
        other = _head()
        restore(_owned(other), values, head.left_out(values))
        other.use_columns(values["head/columns"])
        self.assertAllEqual(other(self.features), logits)

    @parameterized.parameters(([0, 1, 2],), ([3, 4],))
    def test_the_plain_layers_give_the_same_logits(self, columns):
        head = _head()
        head.use_columns(columns)
        hidden = self.features
        for layer, weights in head.lower():
            layer.build(hidden.shape)
            layer.set_weights(weights)
            hidden = layer(hidden)
        logits = head(self.features)[:, : len(columns)]
        self.assertAllClose(hidden, logits, atol=1e-5)

    def test_it_comes_back_from_its_configuration(self):
        head = _head(margin=3)
        other = VerificationHead.from_config(head.get_config())
        self.assertEqual(other.get_config(), head.get_config())
        self.assertEqual((other.max_classes, other.num_outputs), (5, 8))


if __name__ == "__main__":
    tf.test.main()
