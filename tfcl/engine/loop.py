"""The loop over tasks: what continual learning is, on one screen."""

from __future__ import annotations

import typing

from tfcl.engine.replay import replay

if typing.TYPE_CHECKING:
    import numpy as np

    from tfcl.engine.experiment import Experiment


def learn_stream(run: Experiment) -> np.ndarray:
    """Learns the tasks of a stream in order.

    Tasks and phases that an earlier process finished are passed over; see
    `tfcl.engine.replay`.

    Args:
        run: `Experiment`, started.

    Returns:
        R, `(visits, tasks)`: `R[i, j]` = test accuracy on task j after visit
        i, NaN for tasks not seen yet.
    """
    method = run.method
    for visit in run.unlearned_visits():
        task = visit.task
        with run.strategy.scope():
            if visit.previous is None:
                method.begin_task(task)
            else:
                method.resume_task(task, method.recall(task.index))
        for phase in replay(method.phases(task), run.saver, run.strategy):
            run.trainer.perform(task, phase)
        method.end_task(task)
        run.finish_visit(visit)
    run.finish()
    return run.journal.accuracy_matrix(len(run.stream))
