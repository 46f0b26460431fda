"""All online methods on the streams of points: accuracy and forgetting.

    python benchmarks/memory_head_table.py [--seeds 5] [--streams modes_cdi ...]
        [--methods ER ...] [--published_starts] [--data_dir DIR]

One process for all runs: every gin file is built and compiled once, then drawn
anew for each seed and stream. Prints a Markdown table: the metrics of the
published program (average accuracy / average forgetting on the test
distributions after the last one), mean +- population deviation over seeds.
With --published_starts the runs begin with the start values of the program's
three seeds; all other draws (replay) remain those of here. GDumb, which draws
its network anew after its buffer, is left out then.
"""

import argparse
import collections
import functools
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import gin  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from benchmarks import published_starts  # noqa: E402
from tfcl import configuration, randomness  # noqa: E402
from tfcl.data.streams.point_stream import point_stream  # noqa: E402
from tfcl.engine.orders import epoch_order  # noqa: E402
from tfcl.engine.steps import StepRunner  # noqa: E402
from tfcl.methods.work import (  # noqa: E402
    Decision,
    Phase,
    Scan,
    Validate,
)

_STREAMS = [
    f"{dataset}_{order}"
    for dataset in ("modes", "moons")
    for order in ("iid", "ci", "cdi", "cdid")
]
# Name in the table: gin file and bindings.
_METHODS = {
    "MH (published command)": ("mh_modes_cdi", []),
    "MH, plain cosine": (
        "mh_modes_cdi",
        ["SCRAMBLE_SCORE = 'similarity'"],
    ),
    "MH, euclidean (quick start)": ("mh_modes_ci_euclidean", []),
    "LP, Adam 1e-2": ("lp_modes_cdi", []),
    "MLP, Adam 1e-3": ("mlp_modes_cdi", []),
    "MLP of 10 units, Adam 9e-2": (
        "mlp_modes_cdi",
        ["HIDDEN_UNITS = 10", "LEARNING_RATE = 9e-2"],
    ),
    "ER": ("er_modes_cdi", ["RESERVOIR_DRAW = 'published'"]),
    "ER, Adam 1e-2": (
        "er_modes_cdi",
        ["RESERVOIR_DRAW = 'published'", "LEARNING_RATE = 1e-2"],
    ),
    "ER, random": ("er_modes_cdi", ["POLICY = 'random'"]),
    "MIR, published choice": (
        "mir_modes_cdi",
        ["RESERVOIR_DRAW = 'published'", "CANDIDATES = None"],
    ),
    "MIR": ("mir_modes_cdi", []),
    "A-GEM": ("agem_modes_cdi", ["RESERVOIR_DRAW = 'published'"]),
    "GDumb": ("gdumb_modes_cdi", []),
    "Ensemble": ("ensemble_modes_cdi", []),
}


class Runs:
    """A method that is drawn anew for every run.

    Args:
        file: Name of its gin file.
        bindings: Further gin bindings.
        spec: `StreamSpec` of the streams.
        begin: Optional function of network and seed that assigns other start
            values.
    """

    def __init__(self, file, bindings, spec, begin=None):
        gin.clear_config()
        configuration.load(
            [f"gin/{file}.gin"],
            [*bindings, "OnlineTraining.measured = ('test',)"],
        )
        self.method = configuration.build("Experiment.method")
        self.method.setup(spec, seed=0)
        self._begin = begin
        self._state = [v.numpy() for v in self.method.state]
        self._runner = StepRunner(
            self.method,
            tf.distribute.get_strategy(),
            spec.image_shape,
            np.float32,
        )

    def run(self, task, seed):
        """(average accuracy, average forgetting) of one run."""
        method = self.method
        method.seed, self._seed, self._phase = seed, seed, 0
        method.redraw(method.shared, "shared")
        if self._begin is not None:
            self._begin(method.network(), seed)
        method.reset_optimizers()
        for variable, value in zip(method.state, self._state):
            variable.assign(value)
        method.begin_task(task)
        phases, result = method.phases(task), None
        while True:
            try:
                phase = phases.send(result)
            except StopIteration:
                break
            self._phase += 1
            result = self._perform(phase, task)
        notes = method.bank_notes()
        return notes["test_average_accuracy"], notes["test_average_forgetting"]

    @functools.singledispatchmethod
    def _perform(self, work, task):
        raise TypeError(f"Streams of points ask for no {work!r}")

    def _train(self, phase, split, order, first, last, size):
        for name, schedule in phase.rates.items():
            rate = schedule.learning_rate
            self.method.optimizers[name].learning_rate.assign(rate)
        seed = randomness.stateless_seed(self._seed, "steps", self._phase)
        self._runner.train(phase, split, order, first, last, size, seed, False)

    @_perform.register
    def _scan(self, phase: Scan, task):
        split = phase.data or task.train
        order, first, records = np.arange(len(split)), 0, []
        for last in phase.boundaries:
            self._train(phase, split, order, first, last, phase.batch_size)
            first = last
            records.append(self._measured(phase))
        return {"validations": records}

    @_perform.register
    def _fit(self, phase: Phase, task):
        del task
        count, size = len(phase.data), phase.batch_size
        for epoch in range(phase.epochs):
            key = (self._seed, "order", self._phase, epoch)
            order = epoch_order(count, True, randomness.generator(*key))
            self._train(phase, phase.data, order, 0, -(-count // size), size)

    @_perform.register
    def _decision(self, phase: Decision, task):
        del task
        return {"value": phase.decide()}

    @_perform.register
    def _validate(self, phase: Validate, task):
        del task
        return self._measured(phase)

    def _measured(self, phase):
        return {
            f"{name}/accuracies": self._runner.measurement.evaluate(
                split, 500
            ).group_accuracies
            for name, split in phase.measured.items()
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--streams", nargs="*", default=_STREAMS)
    parser.add_argument("--methods", nargs="*", default=list(_METHODS))
    parser.add_argument("--published_starts", action="store_true")
    parser.add_argument("--data_dir", default=None)
    arguments = parser.parse_args()
    seeds, begin = range(arguments.seeds), None
    if arguments.published_starts:
        seeds, begin = published_starts.SEEDS, published_starts.begin
        arguments.methods = [m for m in arguments.methods if m != "GDumb"]
    streams = [
        point_stream(*name.split("_"), data_dir=arguments.data_dir)
        for name in arguments.streams
    ]
    print("| method |", " | ".join(arguments.streams), "| s |")
    print("|---|" + "---|" * (len(streams) + 1), flush=True)
    for name in arguments.methods:
        started = time.perf_counter()
        runs = Runs(*_METHODS[name], streams[0].spec(), begin)
        cells = collections.deque()
        for stream in streams:
            found = [runs.run(stream.tasks[0], seed) for seed in seeds]
            mean, deviation = np.mean(found, 0), np.std(found, 0)
            cells.append(f"{mean[0]:.3f}±{deviation[0]:.3f} / {mean[1]:.3f}")
        seconds = time.perf_counter() - started
        print(
            f"| {name} |", " | ".join(cells), f"| {seconds:.0f} |", flush=True
        )


if __name__ == "__main__":
    main()
