"""L2P: a pool of prompts, out of which every image takes some."""

from __future__ import annotations

import typing

import gin
import keras
import numpy as np
import tensorflow as tf

from tfcl.arguments import NonNegativeFloat, PositiveInt, checked, require
from tfcl.layers.prompts.prompt_keys import PromptKeys
from tfcl.layers.prompts.prompt_pool import PromptPool
from tfcl.methods.prompts.prompt_method import PromptMethod
from tfcl.models.surgery.prompted import with_tokens
from tfcl.models.variables import statistic

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.data.task import StreamSpec, Task
    from tfcl.methods.base import Batch
    from tfcl.methods.task_training import TaskTraining
    from tfcl.types import Tensor


@gin.configurable
class L2P(PromptMethod):
    """Learning to prompt: each image chooses its prompts out of one pool.

    The `chosen` prompts whose keys are nearest to the query stand before the
    embedded tokens, class token included; the mean of what the transformer
    makes of them is what the head sees. No task is asked for.

    Args:
        training: `TaskTraining`; its backbone must be a `vit`.
        pool: M, prompts in the pool.
        length: L_p, tokens of a prompt.
        chosen: N, prompts of an image.
        pull: lambda, how much the keys of chosen prompts are drawn to the
            queries.
        diversified: Whether distances are weighed in training by how often
            a prompt was chosen while earlier tasks were learned (eq. 4).
        heads: As of `SharedBackboneMethod`.
        **options: Arguments of `TaskTraining`, in place of `training`.

    Raises:
        ValueError: If an argument breaks its rule or, at set-up, the backbone
            is no vision transformer.

    Note:
        Each image chooses for itself, in training, too. During the first task
        all prompts count as equally frequent.

    Reference:
        Wang, Zhang, Lee, Zhang, Sun, Ren, Su, Perot, Dy, Pfister, "Learning
        to Prompt for Continual Learning", CVPR 2022, sec. 4 and eq. 5.
    """

    @checked
    def __init__(
        self,
        training: TaskTraining | None = None,
        pool: PositiveInt = 10,
        length: PositiveInt = 5,
        chosen: PositiveInt = 5,
        pull: NonNegativeFloat = 0.5,
        diversified: bool = False,
        heads: str | None = None,
        **options: Any,
    ):
        super().__init__(training, pull, heads, **options)
        require(
            chosen <= pool,
            "chosen",
            f"must be at most the {pool} prompts of the pool",
            chosen,
        )
        self.pool = pool
        self.length = length
        self.chosen = chosen
        self.diversified = diversified

    def prompted(self, model: keras.Model) -> tuple[Tensor, Tensor]:
        query = model.output
        cosines = PromptKeys(self.pool, name="prompt_keys")(query)
        self._prompts = PromptPool(
            self.length,
            query.shape[-1],
            self.chosen,
            self.diversified,
            name="prompt_pool",
        )
        return with_tokens(model, self._prompts(cosines)), cosines

    def distances(self, cosines: Tensor) -> Tensor:
        places = self._prompts.choice(cosines, training=True)
        near = tf.gather(cosines, places, batch_dims=1)
        return tf.reduce_sum(1.0 - near, axis=-1)

    def setup(self, spec: StreamSpec, seed: int) -> None:
        super().setup(spec, seed)
        if self.diversified:
            self._counts = statistic(np.zeros(self.pool), "counts")
            self.state += [self._counts]

    def prepare(self, task: Task) -> None:
        super().prepare(task)
        if self.diversified and task.earlier:
            counts = self._counts.numpy()
            self._prompts.frequency.assign(counts / counts.sum())

    def noted(self, batch: Batch, cosines: Tensor) -> Any:
        if not self.diversified:
            return None
        places = self._prompts.choice(cosines, training=True)
        new = tf.reduce_sum(tf.one_hot(places, self.pool), axis=(0, 1))
        new = batch.sum_over_replicas(new)
        return lambda: self._counts.assign_add(new)
