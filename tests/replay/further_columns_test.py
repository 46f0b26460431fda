"""A method that replays more than labels: what it has to write down.

Both classes are dark experience replay (DER++; Buzzega et al., "Dark
Experience for General Continual Learning", NeurIPS 2020), once for streams and
once for tasks of several epochs. They add a column of logits and two terms of
replay to the loss; everything else is the buffer's and the base class's.
"""

import numpy as np
import tensorflow as tf

from tests.methods.online.online_methods import MLP, blobs, training
from tests.testing import toy_run
from tfcl.data.scenarios.class_incremental_stream import (
    class_incremental_stream,
)
from tfcl.methods.base import cross_entropy
from tfcl.methods.baselines.fine_tuning import FineTuning
from tfcl.methods.online.experience_replay import ExperienceReplay, two_seeds
from tfcl.replay.buffer import ReplayBuffer
from tfcl.replay.table import Column
from tfcl.testing import tiny_stream, tiny_training


class DarkReplay(ExperienceReplay):
    """DER++ on a stream."""

    def columns(self, spec):
        return {**super().columns(spec), "logits": Column((spec.max_classes,))}

    def train_step(self, batch):
        drawing, storing = two_seeds(batch.seed)
        drawn = [
            self.buffer.retrieve(self.replay_size, seed)
            for seed in two_seeds(drawing)
        ]
        (dark, dark_weights), (plain, plain_weights) = [
            (self.buffer.examples(places), weights) for places, weights in drawn
        ]
        count = tf.shape(batch.labels)[0]
        sizes = [count, self.replay_size, self.replay_size]
        network = self._network
        values = network.values()

        def objective(logits):
            own, of_dark, of_plain = tf.split(logits, sizes)
            gaps = tf.reduce_mean(tf.square(of_dark - dark["logits"]), axis=-1)
            return (
                self.training.loss(batch.labels, own)
                + 0.5 * tf.reduce_mean(dark_weights * gaps)
                + self.training.weighted_loss(
                    plain["labels"], of_plain, plain_weights
                )
            )

        images = [batch.images, dark["images"], plain["images"]]
        loss, logits, gradients, after = network.learn(
            values, tf.concat(images, axis=0), objective, batch.seed
        )
        own = logits[:count]
        insert = self.buffer.insertion(
            {"images": batch.images, "labels": batch.labels, "logits": own},
            self.buffer.draws(count, storing),
        )
        return self.update(
            batch,
            loss,
            own,
            gradients,
            lambda: network.assign(values, after(values)),
            insert,
        )


class DarkRehearsal(FineTuning):
    """DER++ task by task: the same buffer in steps of epochs."""

    def __init__(self, training, buffer):
        super().__init__(training)
        self.buffer = buffer

    def setup(self, spec, seed):
        super().setup(spec, seed)
        self.buffer.build(
            {
                "images": Column(spec.image_shape),
                "labels": Column((), "int32"),
                "logits": Column((spec.max_classes,)),
            }
        )
        self.state = [*self.state, *self.buffer.variables]

    def loss_of(self, batch, training=True, features=None):
        loss, self._logits = super().loss_of(batch, training, features)
        places, weights = self.buffer.retrieve(8, batch.seed)
        past = self.buffer.examples(places)
        logits = self.head(self.features(past["images"], training))
        gaps = tf.reduce_mean(tf.square(logits - past["logits"]), axis=-1)
        losses = 0.5 * gaps + cross_entropy(past["labels"], logits)
        return loss + tf.reduce_mean(weights * losses), self._logits

    def train_step(self, batch):
        update = super().train_step(batch)
        _, storing = two_seeds(batch.seed)
        insert = self.buffer.insertion(
            {
                "images": batch.images,
                "labels": batch.labels,
                "logits": self._logits,
            },
            self.buffer.draws(tf.shape(batch.labels)[0], storing),
        )
        return update._replace(after_apply=insert)


def _stream():
    return DarkReplay(MLP, training(0.02), ReplayBuffer(24), 8)


def _epochs(rate=0.01):
    options = {"hidden_units": (32,), "dropout": 0.0}
    return DarkRehearsal(tiny_training(4, rate, **options), ReplayBuffer(32))


def test_logits_are_kept_as_they_were_seen(tmp_path):
    method = _stream()
    toy_run.learn(tmp_path, method, stream=lambda data_dir: blobs())
    images, logits = (method.buffer[n].numpy() for n in ("images", "logits"))
    assert logits.any(axis=-1).all()
    now = method.predict(tf.constant(images)).numpy()
    assert (np.abs(logits - now).max(axis=-1) > 1e-3).all()


def test_kills_in_mid_stream_change_nothing(tmp_path):
    toy_run.assert_kills_change_nothing(
        tmp_path,
        _stream,
        moments=2,
        stream=lambda data_dir: blobs((8, 6, 4, 6)),
    )


def test_kills_between_epochs_change_nothing(tmp_path):
    toy_run.assert_kills_change_nothing(
        tmp_path, _epochs, moments=2, stream=toy_run.toy_stream((2, 2))
    )


def test_tasks_are_remembered_that_fine_tuning_forgets(tmp_path):
    def stream(data_dir):
        return class_incremental_stream(tiny_stream((2, 2)), data_dir=data_dir)

    kept = {}
    for method in (_epochs(), FineTuning(_epochs().training)):
        run = toy_run.learn(tmp_path / method.name, method, stream=stream).run
        kept[method.name] = run.journal.accuracy_matrix(2)[1, 0]
    assert kept["FineTuning"] == 0.0
    assert kept["DarkRehearsal"] > 0.8
