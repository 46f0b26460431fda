"""A kernel whose weights belong to tasks, and of which a task picks some."""

from __future__ import annotations

import typing

import keras

from tfcl.layers.masked.straight_through import picked, picks_of
from tfcl.layers.saves_all_variables import SavesAllVariables

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.types import Lowered, Shape, Tensor


class MaskedKernel(SavesAllVariables):
    """Mixin that masks the kernel W of a `Conv2D` or `Dense`.

    Every weight has an owner A: 0 is free, t >= 1 belongs to the t-th task.
    A task picks weights of earlier tasks by real-valued scores P:
    `B(P) = 1` where `P > threshold` (equality picks nothing), else 0.

    - Training (`training=True`): `W_eff = B(P) W`, without regard to
      owners: free weights are zeros in W itself, and weights of later tasks
      do not exist yet. The gradient that a tape finds for the kernel is
      `G = dL/dW_eff`; `straight_through` (in `tfcl.layers.masked`) makes of it
      what trains W and P. Called with `picks=False`, too, `W_eff = W`: for a
      first task, which picks nothing, and whose steps are then cheaper.
    - Serving (otherwise): `W_eff = [1 <= A <= task] B(P) W`, so that
      weights which are free or belong to later tasks count as zeros. As long
      as the variable `task` is 0, no task is active and owners do not count: a
      new layer computes what the plain one does.

    The bias is not masked.

    Weights besides kernel and bias, all in the kernel's shape but `task`:
        owner: uint8, not trained, zeros at first.
        scores: the kernel's dtype, `initial_score` at first; trained by what
            `straight_through` returns. Absent if built with `picks=False`.
        task: uint8 scalar, not trained; number of the active task, from 1.

    Args:
        threshold: tau of the picks.
        initial_score: Start value of the scores.
        picks: Whether there are scores. Without them B(P) = 1.

    Reference:
        Hung et al., "Compacting, Picking and Growing for Unforgetting
        Continual Learning", NeurIPS 2019; straight-through scores after
        Mallya et al., "Piggyback", ECCV 2018.
    """

    plain: type[keras.layers.Layer]
    kernel: keras.Variable
    bias: keras.Variable | None

    def __init__(
        self,
        *args,
        threshold: float = 0.005,
        initial_score: float = 0.01,
        picks: bool = True,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.threshold = threshold
        self.initial_score = initial_score
        self.picks = picks
        self.owner = self.scores = self.task = None

    @classmethod
    def lift(cls, layer: keras.layers.Layer, **options) -> MaskedKernel:
        """The masked form of a plain layer; it takes the masked arguments."""
        return cls(**cls.plain.get_config(layer), **options)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        shape = tuple(self.kernel.shape)
        if self.picks:
            # Not cast in mixed precision: near the threshold, bits count.
            self.scores = self.add_weight(
                name="scores",
                shape=shape,
                initializer=self._score_initializer,
                # A tape finds nothing for them: `straight_through` does.
                trainable=False,
                autocast=False,
            )
        for name, its_shape in (("owner", shape), ("task", ())):
            variable = self.add_weight(
                name=name,
                shape=its_shape,
                dtype="uint8",
                initializer="zeros",
                trainable=False,
                autocast=False,
                # Every replica prunes alike.
                aggregation="only_first_replica",
            )
            setattr(self, name, variable)

    @property
    def _score_initializer(self):
        return keras.initializers.Constant(self.initial_score)

    def effective_kernel(
        self, training: bool | None = None, picks: bool = True
    ) -> Tensor:
        """W_eff in the kernel's shape: of training if true, else of serving.

        Args:
            training: Which of the two.
            picks: False leaves B(P) out in training.
        """
        if not training:
            return self.served_kernel()
        kernel = keras.ops.convert_to_tensor(self.kernel)
        if not picks or self.scores is None:
            return kernel
        return picked(kernel, self.scores, self.threshold)

    def served_kernel(
        self,
        inputs: int | None = None,
        outputs: int | None = None,
        below: int | None = None,
    ) -> Tensor:
        """The serving kernel, or its block for a narrower network.

        A task that was learned before the network grew computes with the
        leading `inputs` and `outputs` units, in kernels of its own shape:
        the same bits as then.

        Args:
            inputs: Units (channels) below that the task knows; None for all.
            outputs: Units that the task knows; None for all.
            below: Units below in all; only needed by a dense layer over a
                flattened map, whose rows are (positions, units below), units
                fastest. Defaults to one position per unit below.

        Returns:
            Tensor `(..., rows of the known units below, outputs)`.

        Raises:
            ValueError: If the block does not lie inside the kernel.
        """
        block = self._block(inputs, outputs, below)
        kernel = block(self.kernel)
        owner, task = block(self.owner), keras.ops.convert_to_tensor(self.task)
        mine = keras.ops.logical_and(owner >= 1, owner <= task)
        mine = keras.ops.logical_or(mine, keras.ops.equal(task, 0))
        if self.scores is not None:
            picks = picks_of(block(self.scores), self.threshold)
            mine = keras.ops.logical_and(mine, picks)
        return keras.ops.multiply(kernel, keras.ops.cast(mine, kernel.dtype))

    def _block(self, inputs, outputs, below):
        """Function from a variable in the kernel's shape to its block."""
        *window, rows, units = self.kernel.shape
        if inputs is None and outputs is None:
            return keras.ops.convert_to_tensor
        below = rows if below is None else below
        inputs = below if inputs is None else inputs
        outputs = units if outputs is None else outputs
        if rows % below or not (1 <= inputs <= below and 1 <= outputs <= units):
            raise ValueError(
                "Arguments `inputs` and `outputs` must count units inside the "
                f"kernel of '{self.name}', and `below` must divide its {rows} "
                f"rows. Received: inputs={inputs}, outputs={outputs}, "
                f"below={below}, kernel shape {tuple(self.kernel.shape)}"
            )
        if getattr(self, "groups", 1) != 1:
            raise ValueError(
                f"Layer '{self.name}' has groups, whose channels are no "
                f"leading block. Received: groups={self.groups}"
            )
        shape = (*window, rows // below * inputs, outputs)

        def block(variable):
            view = keras.ops.reshape(variable, (-1, below, units))
            return keras.ops.reshape(view[:, :inputs, :outputs], shape)

        return block

    def adopt(self, layer: keras.layers.Layer) -> None:
        """Takes over the weights of the plain layer it stands for."""
        for variable, value in zip(self._plain_variables, layer.get_weights()):
            variable.assign(value)

    @property
    def _plain_variables(self):
        pair = (self.kernel, self.bias)
        return [variable for variable in pair if variable is not None]

    def owned_variables(self) -> list[tuple[str, keras.Variable, Any]]:
        """`(name, variable, initializer)` of each variable."""
        zeros = keras.initializers.Zeros()
        listed = [
            ("kernel", self.kernel, self.kernel_initializer),
            ("bias", self.bias, self.bias_initializer),
            ("scores", self.scores, self._score_initializer),
            ("owner", self.owner, zeros),
            ("task", self.task, zeros),
        ]
        return [item for item in listed if item[1] is not None]

    def lower(self) -> Lowered:
        """The plain layer that serves the active task, and its weights."""
        weights = [self.served_kernel(), self.bias]
        weights = [
            keras.ops.convert_to_numpy(w) for w in weights if w is not None
        ]
        return self.plain.from_config(self.plain.get_config(self)), weights

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "threshold": self.threshold,
            "initial_score": self.initial_score,
            "picks": self.picks,
        }
