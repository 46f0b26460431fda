"""Parts of a trainer that train nothing: what is tested is what is noted."""

import types

import numpy as np

from tfcl.data.synthetic import synthetic_stream
from tfcl.engine.evaluator import EvaluationPolicy
from tfcl.engine.measurement import Evaluation
from tfcl.engine.steps import STOP
from tfcl.engine.storage.checkpoints import CheckpointPolicy
from tfcl.engine.storage.journal import Journal
from tfcl.engine.storage.position import BestEpoch
from tfcl.engine.storage.saver import Saver
from tfcl.engine.training.stretches import Stretches

STREAM = synthetic_stream((2, 2))  # 64 examples in batches of 16.


class Rate:
    """A variable as an optimizer's learning rate is one."""

    def __init__(self):
        self.values = []

    def assign(self, value):
        self.values.append(value)

    def numpy(self):
        return np.float32(self.values[-1])


class FakeMethod:
    """Has rates, and nothing that changes; it could grow."""

    def __init__(self):
        self.optimizers = {"main": types.SimpleNamespace(learning_rate=Rate())}
        self.shared, self.slot = [], []

    def structure(self):
        return {"width": 1}

    def grow_to(self, structure):
        assert structure == self.structure()

    def graph(self):
        return "graph"

    def serving_graph(self):
        return "graph"

    def diagnostics(self):
        return {"prior": (np.array([0.25, 0.75]), ["0", "1"])}


class FakeRunner:
    """Every step has the loss 2; `bad` is a step that is not finite."""

    def __init__(self, on_nonfinite=STOP, bad=None, replicas=1):
        self.on_nonfinite, self.bad = on_nonfinite, bad
        self.replicas = replicas
        self.calls, self.passes, self.stops = [], [], False

    def train(self, phase, split, order, first, last, size, seed, stop):
        del phase, split
        self.calls.append((first, last, size, tuple(seed), tuple(order)))
        if self.bad is not None and first <= self.bad < last:
            bad, steps = self.bad, last - first - 1
            if self.on_nonfinite == STOP:
                last, steps = bad + 1, bad - first
            return {"loss": np.float32(2 * steps)}, last, bad, 1, stop
        return {"loss": np.float32(2 * (last - first))}, last, -1, 0, stop

    def steps_made(self):
        return len(self.calls)

    def accumulate(self, work, split, size, seed, stretch, stop_wished):
        self.passes.append((work, len(split), size, tuple(seed), stretch))
        return stop_wished()


class FakeEvaluator:
    """Validations out of a list of accuracies."""

    def __init__(self, accuracies, record_peak=False):
        self.policy = EvaluationPolicy(record_peak=record_peak)
        self.measured = []
        self._accuracies = iter(accuracies)

    def running(self, split, batch_size=None, logits=None):
        self.measured.append(split)
        accuracy = next(self._accuracies)
        groups = np.array([accuracy, np.nan])
        return Evaluation(1 - accuracy, accuracy, 5.0, None, groups)


class FakeCheckpoints:
    """Keeps the texts of the journals that are saved."""

    def __init__(self, policy=None):
        self.policy = policy or CheckpointPolicy()
        self.texts, self.is_due = [], False

    def save(self, method, journal):
        del method
        self.texts.append(journal.dumps())

    def due(self):
        return self.is_due


class FakeBestWeights:
    """Keeps notes in the order in which they were made."""

    def __init__(self):
        self.notes = []

    def save(self, journal, values, epoch, accuracy, value):
        del journal, values
        self.notes.append(BestEpoch(epoch, accuracy, value, "a.npz", "0"))
        return self.notes[-1]

    def load(self, note):
        return None if note is None else {}

    def collect(self, journal):
        pass


class FakeObserver:
    """Keeps what it is told."""

    def __init__(self):
        self.begun, self.epochs, self.extents = [], [], []
        self.ended, self.rates = 0, []

    def begin_phase(self, task, phase, journal, extent):
        del task, journal
        self.begun.append(phase.name)
        self.extents.append(extent)

    def end_phase(self):
        self.ended += 1

    def end_epoch(self, task, phase, journal, record, rates):
        del task, phase, journal
        self.epochs.append(record)
        self.rates.append(rates)


class Bench:
    """All parts, with the journal at the begin of a task's first phase."""

    def __init__(self, runner=None, accuracies=(), task=0, **policy):
        self.method = FakeMethod()
        self.runner = runner or FakeRunner()
        self.task = STREAM.tasks[task]
        self.journal = Journal()
        self.journal.begin_task(self.task)
        self.journal.position.begin_phase()
        self.checkpoints = FakeCheckpoints(CheckpointPolicy(**policy))
        self.best_weights = FakeBestWeights()
        self.saver = Saver(
            self.method,
            self.journal,
            self.checkpoints,
            self.best_weights,
            lambda: None,
        )
        self.stop_wished = False
        self.stretches = Stretches(
            self.method,
            STREAM.spec(),
            7,
            self.runner,
            self.saver,
            lambda: self.stop_wished,
        )
        self.evaluator = FakeEvaluator(accuracies)
        self.observer = FakeObserver()

    @property
    def place(self):
        return self.journal.position.phase
