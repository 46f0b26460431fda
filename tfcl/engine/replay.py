"""How the phases of a task are gone through, also by a resumed run."""

import typing

import tensorflow as tf

from tfcl.engine.storage.saver import Saver
from tfcl.methods.work import Work


def replay(
    phases: typing.Generator[Work, dict | None, None],
    saver: Saver,
    strategy: tf.distribute.Strategy,
) -> typing.Iterator[Work]:
    """Drives a method's phases; yields only those still to be trained.

    Phases that the journal knows as finished are not trained again: their
    recorded results are sent into the generator, so that its host code runs
    as it did. The checkpoint's variables are restored at the place where it
    was written: inside a phase, or right after one and before the code that
    follows its `yield`.

    Args:
        phases: Generator of phases, of the task in hand.
        saver: `Saver`, whose journal knows the task.
        strategy: In whose scope the method may grow.
    """
    number = 0
    result: dict | None = None
    while True:
        try:
            with strategy.scope():
                phase = phases.send(result)
        except StopIteration:
            return
        position = saver.journal.task_position
        recorded = position.phase_number
        if number < recorded:
            if number == recorded - 1 and position.phase is None:
                saver.restore_pending()
            result = position.results[number]
        else:
            if position.phase is not None:
                saver.restore_pending()
            else:
                position.begin_phase()
            yield phase
            result = phase.result
            assert result is not None, "who gets the phase sets its result"
            position.end_phase(phase.name, result)
            saver.save()
        number += 1
