"""Small online methods and streams for tests."""

import functools

import keras
import numpy as np
import tensorflow as tf

from tfcl.data.preprocessing import Preprocessing
from tfcl.data.streams.point_stream import vector_split
from tfcl.data.task import Task, TaskStream
from tfcl.methods.base import Batch
from tfcl.methods.online.agem import AGEM
from tfcl.methods.online.ensemble import Ensemble
from tfcl.methods.online.experience_replay import MIR, ExperienceReplay
from tfcl.methods.online.gdumb import GDumb
from tfcl.methods.online.memory_head import MemoryHead
from tfcl.methods.online.online import OnlineLearning
from tfcl.methods.online.online_training import OnlineTraining
from tfcl.models.online.online_networks import memory_network, mlp_network
from tfcl.optimizers.adam_torch import AdamTorch
from tfcl.optimizers.schedules import Constant
from tfcl.replay.buffer import ReplayBuffer

MEMORY = functools.partial(
    memory_network,
    memory_units=4,
    delta=2,
    shared_keys=True,
    key_rate=0.01,
    inverse_temperature=5.0,
    scramble=True,
    match_threshold=0.5,
    usage_threshold=10,
    age_threshold=10,
)
MLP = functools.partial(mlp_network, hidden_units=8)


def training(rate=0.01, jit_compile=False, **kwargs):
    """Adam at a constant rate; compiling costs more than tiny runs."""
    return OnlineTraining(
        AdamTorch, Constant(rate), jit_compile=jit_compile, **kwargs
    )


METHODS = {
    "memory_head": lambda: MemoryHead(MEMORY, training(jit_compile=True)),
    "mlp": lambda: OnlineLearning(MLP, training()),
    "er": lambda: ExperienceReplay(MLP, training(), ReplayBuffer(12), 4),
    "er_memory": lambda: ExperienceReplay(
        MEMORY, training(), ReplayBuffer(12, "random"), 4
    ),
    "er_balanced": lambda: ExperienceReplay(
        MLP,
        training(jit_compile=True),
        ReplayBuffer(12, "balanced", retrieval="per_class"),
        4,
    ),
    "mir": lambda: MIR(MLP, training(), ReplayBuffer(12), 2, candidates=8),
    "agem": lambda: AGEM(MLP, training(), ReplayBuffer(12), 4),
    "gdumb": lambda: GDumb(MLP, training(), capacity=24, batch_size=4),
    "ensemble": lambda: Ensemble(MLP, training(), models=2),
}


def blobs(counts=(16, 12, 8, 12), batch_size=1, labels=2):
    """A stream of points whose distributions are blobs of one class each."""
    generator = np.random.default_rng(3)
    splits = {}
    for split, parts in (("train", 1), ("validation", 2), ("test", 2)):
        sizes = [n // parts for n in counts]
        groups = np.repeat(np.arange(len(counts)), sizes)
        centres = np.stack([np.cos(groups * 1.3), np.sin(groups * 1.3)], -1)
        points = centres + 0.1 * generator.normal(size=centres.shape)
        splits[split] = vector_split(points, groups % labels, groups)
    task = Task(
        index=0,
        name="blobs",
        class_names=tuple(f"class_{k}" for k in range(labels)),
        **splits,
        preprocessing=Preprocessing((1, 1, 2), (0.0, 0.0), (1.0, 1.0)),
    )
    return TaskStream("blobs", [task], batch_size)


def batch_of(images, labels, seed=(1, 2)):
    """A `Batch` on one replica."""
    size = len(labels)
    return Batch(
        images=tf.constant(images),
        labels=tf.constant(labels, tf.int32),
        tasks=tf.zeros(size, tf.int32),
        black=tf.zeros((size, 1)),
        positions=tf.range(size),
        size=tf.constant(size),
        step=tf.constant(0),
        seed=tf.constant(seed, tf.int32),
        replicas=1,
        sum_over_replicas=lambda value: value,
    )


def apply(method, update):
    """Applies an `Update` as the engine does."""
    if update.before_apply is not None:
        update.before_apply()
    due = update.apply_if is None or bool(update.apply_if)
    for name, gradients, variables in update.gradients if due else ():
        if update.transform_gradients is not None:
            gradients = update.transform_gradients(gradients, variables)
        method.optimizers[name].apply(gradients, variables)
    if update.after_apply is not None:
        update.after_apply()


def sgd(rate):
    """Plain SGD at a rate that no schedule sets."""
    return functools.partial(keras.optimizers.SGD, rate)
