"""Runs a method without an experiment around it, or without images."""

import contextlib
from unittest import mock

import numpy as np

from tfcl import randomness
from tfcl.data.split import Split
from tfcl.methods.work import Decision
from tfcl.testing import undrawn_figures


def plain_split(images, labels):
    """A float32 split that is not standardised."""
    channels = images.shape[-1]
    return Split(
        images.astype(np.float32),
        labels,
        np.zeros(channels),
        np.ones(channels),
        scale=1.0,
    )


@contextlib.contextmanager
def no_figures():
    """Leaves figures and report out."""
    written = "tfcl.reporting.results.write_figures"
    with mock.patch(written), undrawn_figures():
        yield


def go_through_phases(method, task, perform):
    """Drives a task's phases by hand, where not all need to be trained.

    Args:
        method: A method that has begun `task`.
        task: `Task`.
        perform: Function from a phase to its result; decisions are taken.

    Returns:
        The names of the phases and decisions.
    """
    phases, result, names = method.phases(task), None, []
    while True:
        try:
            phase = phases.send(result)
        except StopIteration:
            return names
        names.append(phase.name)
        if isinstance(phase, Decision):
            result = {"value": phase.decide()}
        else:
            result = perform(phase)


def train_task(method, runner, task, batch_size, steps_limit=None):
    """Trains all phases of a task, without validation; returns the sums."""
    with runner.strategy.scope():
        method.begin_task(task)
    everything = []
    for phase in method.phases(task):
        split = phase.data or task.train
        for name, schedule in phase.rates.items():
            method.optimizers[name].learning_rate.assign(schedule.learning_rate)
        steps = len(split) // batch_size
        for epoch in range(phase.epochs):
            order = randomness.generator(0, task.index, epoch).permutation(
                len(split)
            )
            last = min(steps, steps_limit or steps)
            seed = randomness.stateless_seed(0, task.index, epoch)
            sums, *_ = runner.train(
                phase, split, order, 0, last, batch_size, seed, False
            )
            everything.append(sums)
    method.end_task(task)
    return everything
