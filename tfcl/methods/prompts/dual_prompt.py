"""DualPrompt: prefixes for all tasks, and prefixes for each."""

from __future__ import annotations

import collections
import functools
import typing
from collections.abc import Sequence

import gin
import keras
import tensorflow as tf

from tfcl.arguments import NonNegativeFloat, PositiveInt, checked, require
from tfcl.layers.prompts.general_prefix import GeneralPrefix
from tfcl.layers.prompts.prompt_keys import PromptKeys
from tfcl.layers.prompts.task_choice import TaskChoice
from tfcl.layers.prompts.task_prefix import TaskPrefix
from tfcl.methods.prompts.prompt_method import PromptMethod
from tfcl.models.surgery.prompted import attention_layers, with_prefixes

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.data.task import Task
    from tfcl.methods.task_training import TaskTraining
    from tfcl.models.network import TaskNetwork
    from tfcl.types import Tensor


@gin.configurable
class DualPrompt(PromptMethod):
    """Prefixes of keys and values: general ones and those of the task.

    The attention of the first blocks sees, beside the tokens, keys and values
    that all tasks have in common (G-prompt); that of later blocks those of
    the image's task (E-prompt). In training the task is known; at test it is
    the one whose key is nearest to the query, unless images come with their
    task. The class token is what the head sees.

    Args:
        training: `TaskTraining`; its backbone must be a `vit`.
        general_length: L_g, keys of a G-prompt, and as many values.
        expert_length: L_e, keys of an E-prompt, and as many values.
        general_blocks: Blocks that see G-prompts, from 0.
        expert_blocks: Blocks that see E-prompts, from 0; some may be the
            same.
        pull: lambda, how much the key of a task is drawn to its queries.
        heads: As of `SharedBackboneMethod`.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Raises:
        ValueError: If an argument breaks its rule or, at set-up, the backbone
            is no vision transformer or has fewer blocks.

    Note:
        Prefixes stand before the projected keys and values, as in prefix
        tuning; the paper's equation 5 has them before the projection.

    Reference:
        Wang, Zhang, Ebrahimi, Sun, Zhang, Lee, Ren, Su, Perot, Dy, Pfister,
        "DualPrompt: Complementary Prompting for Rehearsal-free Continual
        Learning", ECCV 2022, sec. 4.
    """

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        general_length: PositiveInt = 5,
        expert_length: PositiveInt = 20,
        general_blocks: Sequence[int] = (0, 1),
        expert_blocks: Sequence[int] = (2, 3, 4),
        pull: NonNegativeFloat = 1.0,
        heads: str | None = None,
        **options: Any,
    ):
        super().__init__(training, pull, heads, **options)
        self.general_length = general_length
        self.expert_length = expert_length
        self.general_blocks = tuple(general_blocks)
        self.expert_blocks = tuple(expert_blocks)

    def prompted(self, model: keras.Model) -> tuple[Tensor, Tensor]:
        query = model.output
        self._keys = PromptKeys(self.spec.num_tasks, name="task_keys")
        self._choice = TaskChoice(self.needs_task, name="task_choice")
        cosines = self._keys(query)
        task = self._choice(cosines)
        attention = attention_layers(model)
        seen: dict[Any, list[Any]] = collections.defaultdict(list)
        for block in self._within(attention, "general_blocks"):
            name = f"general_prefix_{block}"
            prefix = GeneralPrefix(self.general_length, name=name)
            seen[attention[block]].append(prefix)
        self._experts = []
        for block in self._within(attention, "expert_blocks"):
            name = f"task_prefix_{block}"
            width = query.shape[-1]
            prefix = TaskPrefix(self.expert_length, width, name=name)
            seen[attention[block]].append(lambda _, own=prefix: own(task))
            self._experts.append(prefix)
        prefixes = {
            layer: functools.partial(_joined, makers)
            for layer, makers in seen.items()
        }
        return with_prefixes(model, prefixes), cosines

    def _within(self, attention, argument):
        """The blocks that an argument names, each once."""
        blocks = sorted(set(getattr(self, argument)))
        require(
            all(0 <= block < len(attention) for block in blocks),
            argument,
            f"must name blocks of the backbone, 0 to {len(attention) - 1}",
            getattr(self, argument),
        )
        return blocks

    def distances(self, cosines: Tensor) -> Tensor:
        return 1.0 - tf.gather(cosines, self._choice.task.value, axis=1)

    def divide(self, network: TaskNetwork) -> None:
        super().divide(network)
        # Which task is in hand belongs to the task, not to what all share.
        task = id(self._choice.task)
        self.slot += [v for v in self.shared if id(v.variable) == task]
        self.shared = [v for v in self.shared if id(v.variable) != task]

    @property
    def widening(self) -> list[keras.Variable]:
        prefixes = [layer.prefixes for layer in self._experts]
        return [*super().widening, self._keys.keys, *prefixes]

    def prepare(self, task: Task) -> None:
        super().prepare(task)
        self._choice.task.assign(task.index)
        self._choice.learned.assign(len({*task.earlier, task}))


def _joined(makers, inputs):
    """What several make of an input, one behind the other."""
    made = [make(inputs) for make in makers]
    if len(made) == 1:
        return made[0]
    return keras.layers.Concatenate(axis=2, name="prefixes")(made)
