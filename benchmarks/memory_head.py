"""Speed of online learning, example by example.

    python benchmarks/memory_head.py --threads 1 [--case NAME]

Prints one JSON line per case with `case`, `threads`, `cpu_ms_per_step` and
`items_per_s` (examples per second of wall time), for whole streams in the
engine's compiled loop:

- `keras_mlp`: `keras.Model.train_on_batch` of a small network, batch 1, the
  unit to compare with on any machine;
- `modes_*`: MODES-CDI (made-up points of its size, two numbers, four
  classes): Memory Head with Adam and with SGD; dense-tanh-dense of 25 units
  alone, with experience replay, MIR among 8 candidates, A-GEM and as an
  ensemble of 8; GDumb's filling;
- `features_*`: Memory Head of 100 units on 512 features and 100 classes (5.1
  million parameters): Adam (every parameter moves), lazy Adam, SGD;
- `evaluation_*`: the same without learning, batches of 250.
"""

import functools
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from benchmarks import timing  # noqa: E402
from tfcl.data.preprocessing import Preprocessing  # noqa: E402
from tfcl.data.streams.point_stream import vector_split  # noqa: E402
from tfcl.data.task import Task, TaskStream  # noqa: E402
from tfcl.engine.steps import StepRunner  # noqa: E402
from tfcl.methods.online.agem import AGEM  # noqa: E402
from tfcl.methods.online.ensemble import Ensemble  # noqa: E402
from tfcl.methods.online.experience_replay import MIR, ExperienceReplay  # noqa: E402
from tfcl.methods.online.gdumb import GDumb  # noqa: E402
from tfcl.methods.online.memory_head import MemoryHead  # noqa: E402
from tfcl.methods.online.online import OnlineLearning  # noqa: E402
from tfcl.methods.online.online_training import OnlineTraining  # noqa: E402
from tfcl.models.online.online_networks import memory_network, mlp_network  # noqa: E402
from tfcl.optimizers.adam_torch import AdamTorch  # noqa: E402
from tfcl.optimizers.lazy_adam import LazyAdam  # noqa: E402
from tfcl.optimizers.plain_sgd import PlainSGD  # noqa: E402
from tfcl.optimizers.schedules import Constant  # noqa: E402
from tfcl.replay.buffer import ReplayBuffer  # noqa: E402

_POINTS, _FEATURES = (2, 4, 1000), (512, 100, 400)


def _memory(units):
    return functools.partial(
        memory_network,
        memory_units=units,
        delta=2,
        shared_keys=True,
        key_rate=1e-3,
        inverse_temperature=5.0,
        scramble=True,
        match_threshold=0.95,
        scramble_score="scaled",
    )


_MLP = functools.partial(mlp_network, hidden_units=25)


def _training(optimizer=AdamTorch):
    return OnlineTraining(optimizer, Constant(1e-3))


def _stream(sizes):
    features, classes, count = sizes
    generator = np.random.default_rng(0)
    labels = np.sort(generator.integers(0, classes, count))
    vectors = generator.normal(size=(count, features)) + labels[:, None] % 7
    split = vector_split(vectors, labels, np.zeros(count, int))
    shape = (1, 1, features)
    task = Task(
        index=0,
        name="made_up",
        class_names=tuple(map(str, range(classes))),
        train=split,
        validation=split,
        test=split,
        preprocessing=Preprocessing(shape, (0.0,), (1.0,)),
    )
    return TaskStream("made_up", [task], 1)


def _runner(method, sizes):
    stream = _stream(sizes)
    method.setup(stream.spec(), seed=0)
    shape = stream.tasks[0].train.image_shape
    strategy = tf.distribute.get_strategy()
    return StepRunner(method, strategy, shape, np.float32), stream.tasks[0]


def learning(make_method, sizes):
    """One pass over the stream."""
    method = make_method()
    runner, task = _runner(method, sizes)
    phase = next(method.phases(task))
    order = np.arange(sizes[-1])

    def whole_stream():
        runner.train(phase, task.train, order, 0, sizes[-1], 1, [1, 2], False)

    return whole_stream


def evaluation(make_method, sizes):
    """One evaluation of the stream."""
    runner, task = _runner(make_method(), sizes)
    return lambda: runner.measurement.evaluate(task.test, 250)


def keras_mlp():
    """The usual way to train a Keras model on one example."""
    model = keras.Sequential(
        [
            keras.Input((2,)),
            keras.layers.Dense(25, activation="tanh"),
            keras.layers.Dense(4),
        ]
    )
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    split = _stream(_POINTS).tasks[0].train
    points = split.images.reshape(-1, 2)

    def some():
        for step in range(100):
            rows = slice(step, step + 1)
            model.train_on_batch(points[rows], split.labels[rows])

    return some


def _replay(cls, **kwargs):
    return lambda: cls(_MLP, _training(), ReplayBuffer(8), 1, **kwargs)


_LEARNERS = {
    "modes_mh_adam": (lambda: MemoryHead(_memory(8), _training()), _POINTS),
    "modes_mh_sgd": (
        lambda: MemoryHead(_memory(8), _training(PlainSGD)),
        _POINTS,
    ),
    "modes_mlp": (lambda: OnlineLearning(_MLP, _training()), _POINTS),
    "modes_er": (_replay(ExperienceReplay), _POINTS),
    "modes_mir": (_replay(MIR, candidates=8), _POINTS),
    "modes_mir_1": (_replay(MIR, candidates=None), _POINTS),
    "modes_agem": (_replay(AGEM), _POINTS),
    "modes_ensemble": (lambda: Ensemble(_MLP, _training()), _POINTS),
    "modes_gdumb": (lambda: GDumb(_MLP, _training(), 8, 1), _POINTS),
    "features_adam": (
        lambda: MemoryHead(_memory(100), _training()),
        (*_FEATURES[:2], 50),
    ),
    "features_lazy_adam": (
        lambda: MemoryHead(_memory(100), _training(LazyAdam)),
        _FEATURES,
    ),
    "features_sgd": (
        lambda: MemoryHead(_memory(100), _training(PlainSGD)),
        _FEATURES,
    ),
}
_CASES = {
    "keras_mlp": (1, 100, keras_mlp),
    **{
        name: (1, sizes[-1], functools.partial(learning, make, sizes))
        for name, (make, sizes) in _LEARNERS.items()
    },
    **{
        f"evaluation_{name}": (
            1,
            sizes[-1],
            functools.partial(evaluation, _LEARNERS[learner][0], sizes),
        )
        for name, learner, sizes in (
            ("modes", "modes_mh_adam", (*_POINTS[:2], 10_000)),
            ("features", "features_sgd", (*_FEATURES[:2], 4_000)),
        )
    },
}

if __name__ == "__main__":
    timing.measure(__doc__, _CASES, repeats=7)
