"""What schedules and stopping rules are told in a run."""

from tfcl.methods.baselines.individual import Individual
from tfcl.testing import learned, tiny_training


def test_schedules_know_the_task_that_is_trained(tmp_path):
    asked = []

    def schedule(clock):
        asked.append(("rate", clock.task, clock.tasks))
        return 0.01

    def stop(clock):
        asked.append(("stop", clock.task, clock.tasks))
        return False

    method = Individual(tiny_training(1, schedule=schedule, stop=stop))
    learned(tmp_path, method, class_counts=(2, 2))
    names = ("task_00", "task_01")
    assert set(asked) == {
        (what, name, names) for what in ("rate", "stop") for name in names
    }
