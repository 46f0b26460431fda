"""CPG: compact what is learned, pick of what there is, grow if need be."""

from __future__ import annotations

import dataclasses
import typing
from typing import Annotated

import gin
import numpy as np
from absl import logging

from tfcl.arguments import (
    NonNegativeFloat,
    PositiveFloat,
    at_least,
    checked,
    require,
    within,
)
from tfcl.methods.base import steps_per_epoch
from tfcl.methods.cpg.accuracy_goals import OwnGoal
from tfcl.methods.cpg.cpg_checks import check_growth, check_picking
from tfcl.methods.cpg.cpg_phases import RESET, PruningLadder
from tfcl.methods.cpg.masked_network import MaskedNetwork
from tfcl.methods.cpg.masked_steps import MaskedSteps
from tfcl.methods.task_training import training_of
from tfcl.methods.work import Decision, Validate
from tfcl.models.variables import statistic
from tfcl.optimizers.schedules import (
    Later,
    ScheduleLike,
    StepDecay,
    schedule_of,
)

if typing.TYPE_CHECKING:
    from typing import Any

    import keras

    from tfcl.data.task import Task, TaskStream
    from tfcl.methods.cpg.cpg_phases import PickAgain
    from tfcl.methods.cpg.published_checkpoint import PublishedCheckpoint
    from tfcl.methods.task_training import TaskTraining
    from tfcl.methods.work import Phases


_ACCURACY = "validation/accuracy"


@gin.configurable
class CPG(MaskedNetwork):
    """Compacting, picking and growing.

    For each task:

    1. *Pick*: train the free weights and, among those of earlier tasks, the
       picks.
    2. *Grow*: below the goal, widen the network and train again from the
       state before the task, up to `max_width`.
    3. *Compact*: prune gradually in runs, each to a higher sparsity, as long
       as the training accuracy lasts; choose the sparsest state that reaches
       the goal. If even the widest network misses the goal, pruning goes as
       far as the later tasks need, `1 - 1 / (tasks left)`.
    4. *Pick again*: train what is left once more.

    A task's logits keep their bits whatever comes later. Accuracies are those
    of the validation split.

    Args:
        training: `TaskTraining` of step 1; its backbone must take `width` if
            the network may grow.
        goals: `GoalFile`, `SameGoal` or `OwnGoal`; None takes `OwnGoal()`.
        pruning: `PruningLadder`; None takes one with its own defaults.
        task_pruning: `{task name: PruningLadder}` of tasks that are pruned
            otherwise.
        picking_schedule: Rate of the scores in step 1, for picks, a schedule
            or a number; None for 5e-4, and a fifth of it after 50 epochs.
        picking_epochs: Epochs after which the picks of step 1 stay; None for
            never. A task that owns nothing picks to the end. None if
            `training` has a stopping rule, since no one knows the last epoch.
        pick_again: `PickAgain`, or None to leave step 4 out.
        picks: False makes every task use all earlier weights (PAE).
        max_width: Largest multiple q of the parameters.
        width_step: By how much q grows at a time.
        margin: How much a task may fall short of its goal.
        task_margins: `{task name: margin}` of tasks with another one.
        least_train_accuracy: Training accuracy (running mean of the last
            epoch) above which a state counts, in [0, 1].
        ratios_by_hand: `{task name: sparsity}` chosen without regard to the
            goal; must be ratios of the ladder.
        untrained: `{task name: function}` of a first task that skips step 1,
            see `MaskedNetwork`.
        threshold, initial_score: See `MaskedNetwork`.
        zero_on_prune: See `MaskedSteps`.
        published: `PublishedCheckpoint` from which first tasks are taken as
            they are; None learns all tasks.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Raises:
        ValueError: If an argument is out of range.
        UserError: If a task of the stream has no goal.

    Reference:
        Hung, Tu, Wu, Chen, Chan, Chen, "Compacting, Picking and Growing for
        Unforgetting Continual Learning", NeurIPS 2019. PAE: Hung et al.,
        "Increasingly Packing Multiple Facial-Informatics Modules in A Unified
        Deep-Learning Model via Lifelong Learning", ICMR 2019.
    """

    per_task = MaskedNetwork.per_task | frozenset(
        ("picking_schedule", "picking_epochs")
    )

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        goals: Any | None = None,
        pruning: PruningLadder | None = None,
        picking_schedule: ScheduleLike | None = None,
        picking_epochs: int | None = None,
        pick_again: PickAgain | None = None,
        picks: bool = True,
        max_width: Annotated[float, at_least(1)] = 1.0,
        width_step: PositiveFloat = 0.5,
        margin: NonNegativeFloat = 0.0,
        least_train_accuracy: Annotated[float, within("[0, 1)")] = 0.0,
        ratios_by_hand: dict | None = None,
        threshold: float = 0.005,
        initial_score: float = 0.01,
        zero_on_prune: bool = False,
        task_pruning: dict | None = None,
        untrained: dict | None = None,
        task_margins: dict[str, NonNegativeFloat] | None = None,
        published: PublishedCheckpoint | None = None,
        **options: Any,
    ):
        training = training_of(training, options, type(self))
        super().__init__(training, picks, threshold, initial_score, untrained)
        check_growth(training, max_width)
        self.task_margins = dict(task_margins or {})
        check_picking(training, picks, picking_epochs, pick_again)
        self.goals = OwnGoal() if goals is None else goals
        self.pruning = PruningLadder() if pruning is None else pruning
        self.task_pruning = dict(task_pruning or {})
        self.ratios_by_hand = dict(ratios_by_hand or {})
        self._check_ratios_by_hand()
        if picking_schedule is None:
            picking_schedule = StepDecay(5e-4, (50,), 0.2)
        self.picking_schedule = schedule_of(picking_schedule)
        self.picking_epochs = picking_epochs
        self.pick_again = pick_again
        self.max_width, self.width_step = max_width, width_step
        self.margin = margin
        self.least_train_accuracy = least_train_accuracy
        self._zero_on_prune = zero_on_prune
        self.published = published
        self._notes = {}

    def _check_ratios_by_hand(self):
        for name, ratio in self.ratios_by_hand.items():
            ratios = self._ladder(name).ratios
            require(
                ratio == 0 or ratio in ratios,
                "ratios_by_hand",
                f"must be 0 or one of {ratios} for each task",
                {name: ratio},
            )

    # The network

    def backbone(self, width: float) -> keras.Model:
        if self.max_width == 1.0:
            return super().backbone(width)
        return self.training.backbone(self.spec, width=width)

    def make_steps(self) -> Any:
        return MaskedSteps(self, self._zero_on_prune)

    def make_state(self) -> list[keras.Variable]:
        """Copies of a state that may be returned to."""
        self._kept = [
            statistic(np.zeros(v.shape), "kept", v.dtype)
            for v in self._returned
        ]
        self._kept_picks = [
            statistic(np.zeros(owned.variable.shape), "kept_picks", "bool")
            for owned in self._scores
        ]
        return self.task_state

    @property
    def task_state(self) -> list[keras.Variable]:
        return [*self._kept, *self._kept_picks]

    @property
    def _returned(self):
        return [owned.variable for owned in self.shared + self._plain_owned]

    def _keep(self):
        for kept, variable in zip(self._kept, self._returned):
            kept.assign(variable)
        for kept, layer in zip(self._kept_picks, self.masked):
            kept.assign(layer.scores > layer.threshold)

    def _return(self):
        for kept, variable in zip(self._kept, self._returned):
            variable.assign(kept)
        for kept, layer in zip(self._kept_picks, self.masked):
            scores = np.where(kept.numpy(), layer.initial_score, 0.0)
            layer.scores.assign(scores)

    # One task

    def check_stream(self, stream: TaskStream) -> None:
        given: tuple = ()
        if self.published is not None:
            given = self.published.tasks
            self.published.check([task.name for task in stream])
        for task in stream:
            by_hand = self.ratios_by_hand.get(task.name)
            if by_hand != 0 and task.name not in given:
                steps = self._steps_per_epoch(task)
                self._ladder(task.name).check_ramp(task.name, steps)

    def begin_task(self, task: Task) -> None:
        known = self.spec.task_names
        self.goals.check(known)
        for argument in ("ratios_by_hand", "task_pruning", "task_margins"):
            unknown = sorted(set(getattr(self, argument)) - set(known))
            require(
                not unknown,
                argument,
                f"must name tasks of the stream: {', '.join(known)}",
                unknown,
            )
        super().begin_task(task)

    def phases(self, task: Task) -> Phases:
        published = self.published
        if published is not None and task.name in published.tasks:
            taken = yield from published.phases(task, self, self.max_width)
            final = (yield Validate("final"))[_ACCURACY]
            goal = self.goals.of(task.name, final)
            missed = final < self._least(task, goal)
            self._notes = {**taken, "goal": goal, "goal_missed": missed}
            return
        goal, missed, accuracy, owned = yield from self._learn(task)
        if owned:
            accuracy = yield from self._compact(task, goal, missed, accuracy)
            if task.index and self.pick_again is not None:
                yield from self._pick_again(accuracy)
        # What is reported as the task's accuracy.
        final = (yield Validate("final"))[_ACCURACY]
        # Pruning, and picking again, may have crossed the goal.
        self._notes["goal_missed"] = final < self._least(task, goal)

    def _ladder(self, task_name):
        return self.task_pruning.get(task_name, self.pruning)

    def _least(self, task, goal):
        """The accuracy that counts as reaching the goal."""
        return goal - self.task_margins.get(task.name, self.margin)

    def _learn(self, task):
        """Trains, and grows until the goal is reached or the width is."""
        tried = []
        while True:
            decided = yield Decision("own_weights", self.own_weights)
            owned = decided["value"]
            if not owned:
                logging.warning(
                    "Task '%s' owns no weight at width %g: the tasks before it "
                    "released none. It learns biases, norms, its head and, if "
                    "tasks pick, its picks.",
                    task.name,
                    self.width,
                )
            untrained = task.name in self.untrained
            if untrained:
                result = yield Validate("untrained")
            else:
                result = yield from self._finetune(task, owned)
            accuracy = result[_ACCURACY]
            goal = self.goals.of(task.name, accuracy)
            missed = accuracy < self._least(task, goal)
            tried.append({"width": self.width, "accuracy": accuracy})
            if untrained or self.width >= self.max_width:
                break
            if result["train/accuracy"] > self.least_train_accuracy and (
                not missed
            ):
                break
            self.grow(min(self.width + self.width_step, self.max_width), task)
        self._notes = {"goal": goal, "tried": tried}
        return goal, missed, accuracy, owned

    def _finetune(self, task, owned):
        """Trains what is free and, from the second task on, the picks."""
        training = self.training
        if not (self.picks and task.index):
            step = self.steps.own if task.index else self.steps.first
            phase = training.phase("finetune")
            return (yield dataclasses.replace(phase, steps=(step,)))
        last = training.epochs
        if owned and self.picking_epochs is not None:
            last = min(self.picking_epochs, last)
        result = None
        if last:
            picking = dataclasses.replace(
                training.phase("finetune"),
                epochs=last,
                steps=(self.steps.pick,),
            )
            picking.rates["picks"] = self.picking_schedule
            result = yield picking
        if last < training.epochs:
            result = yield dataclasses.replace(
                training.phase("finetune_picked"),
                epochs=training.epochs - last,
                rates={"main": Later(training.schedule, last)},
                steps=(self.steps.own,),
            )
        return result

    def _compact(self, task, goal, missed, accuracy):
        """Prunes in runs; returns the accuracy of the chosen state."""
        left = self.spec.num_tasks - task.index
        needed = 1.0 - round(1.0 / left, 1)
        by_hand = self.ratios_by_hand.get(task.name)
        chosen, accuracies, sparsities = accuracy, {"0": accuracy}, {}
        reached = 0.0
        self._keep()
        for target in self._ladder(task.name).ratios:
            if missed and reached >= needed:
                break
            if by_hand is not None and reached >= by_hand:
                break
            result = yield from self._prune(task, reached, target)
            if result["train/accuracy"] <= self.least_train_accuracy:
                break
            reached, accuracy = target, result[_ACCURACY]
            accuracies[f"{target:g}"] = accuracy
            sparsities[f"{target:g}"] = result.get("sparsity")
            reaches = accuracy >= self._least(task, goal)
            if missed or by_hand is not None or reaches:
                chosen = accuracy
                self._keep()
            elif self._ladder(task.name).ends_below_goal:
                break
        self._return()
        self._notes.update(
            accuracy_of_target=accuracies, sparsity_of_target=sparsities
        )
        return chosen

    def _prune(self, task, initial, target):
        """One run of gradual pruning; returns its result."""
        self.reset_optimizers()
        ladder = self._ladder(task.name)
        steps = self._steps_per_epoch(task)
        self.steps.begin_ramp(ladder.ramp(initial, target, steps))
        step = self.steps.prune if task.index else self.steps.first_prune
        return (
            yield ladder.phase(
                target,
                step,
                self.training.drop_remainder,
                lambda: {"sparsity": self.sparsity()},
            )
        )

    def _steps_per_epoch(self, task):
        size = task.batch_size or self.spec.batch_size
        dropped = self.training.drop_remainder
        return steps_per_epoch(len(task.train), size, dropped)

    def _pick_again(self, chosen):
        """Trains what is left once more, and keeps what is better.

        `_compact` has kept the state that this one starts from.
        """
        if self.pick_again.start == RESET:
            self.pick_everything()
        self.reset_optimizers()
        start = (yield Validate("pick_again_start"))[_ACCURACY]
        result = yield self.pick_again.phase(
            start, self.steps.pick, self.training.drop_remainder
        )
        accepted = self.pick_again.accepts(result[_ACCURACY], start, chosen)
        if not accepted:
            self._return()
        self._notes["picked_again"] = accepted

    def bank_notes(self) -> dict[str, Any]:
        return {**super().bank_notes(), **self._notes}
