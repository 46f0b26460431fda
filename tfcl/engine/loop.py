"""The loop over tasks: what continual learning is, on one screen."""

from tfcl.engine.journal import replay


def learn_stream(run):
    """Learns the tasks of a stream in order.

    Tasks and phases that an earlier process finished are passed over; see
    `tfcl.engine.journal.replay`.

    Args:
        run: `Experiment`, started.

    Returns:
        R, `(tasks, tasks)`: `R[i, j]` = test accuracy on task j after task i,
        NaN above the diagonal.
    """
    method = run.method
    for task in run.unlearned_tasks():
        with run.strategy.scope():
            method.begin_task(task)
        for phase in replay(run, method.phases(task)):
            run.trainer.perform(task, phase)
        method.end_task(task)
        run.finish_task(task)
    run.finish()
    return run.journal.accuracy_matrix(len(run.stream))
