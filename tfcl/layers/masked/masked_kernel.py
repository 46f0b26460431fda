"""A kernel whose weights belong to tasks, and of which a task picks some."""

import keras

from tfcl.layers.saves_all_variables import SavesAllVariables

SCORES = "scores"
FIXED = "fixed"
THROUGH = "through"
NONE = "none"


class MaskedKernel(SavesAllVariables):
    """Mixin that masks the kernel W of a `Conv2D` or `Dense`.

    Every weight has an owner A: 0 is free, t >= 1 belongs to the t-th task.
    A task picks weights of earlier tasks by real-valued scores P:
    `B(P) = 1` where `P > threshold` (equality picks nothing), else 0.

    - Training (`training=True`): `W_eff = B(P) W`, without regard to
      owners: free weights are zeros in W itself, and weights of later tasks
      do not exist yet. With `G = dL/dW_eff`, the gradients are `dL/dW = B(P) G`
      and `dL/dP = W G` (straight-through, not clipped, W not masked).
    - Serving (otherwise): `W_eff = [1 <= A <= task] B(P) W`, so that
      weights which are free or belong to later tasks count as zeros. As long
      as the variable `task` is 0, no task is active and owners do not count: a
      new layer computes what the plain one does.

    The bias is not masked.

    Weights besides kernel and bias, all in the kernel's shape but `task`:
        owner: uint8, not trained, zeros at first.
        scores: the kernel's dtype, `initial_score` at first; absent if built
            with `picking="none"`.
        task: uint8 scalar, not trained; number of the active task, from 1.

    Args:
        threshold: tau of the picks.
        initial_score: Start value of the scores.
        picking: "scores" trains them; "fixed" takes B(P) as a constant, and
            the scores get no gradient; "through" does the same, but passes
            `dL/dW_eff` on as the kernel's gradient, for steps that compute
            `B(P) G` and `W G` at once from it; "none" leaves B(P) out
            (`W_eff = W` in training). The attribute of this name may be set
            later: it is read when a step is traced.

    Raises:
        ValueError: If `picking` is none of the four words, or needs scores
            that the layer was built without.

    Reference:
        Hung et al., "Compacting, Picking and Growing for Unforgetting
        Continual Learning", NeurIPS 2019; straight-through scores after
        Mallya et al., "Piggyback", ECCV 2018.
    """

    def __init__(
        self,
        *args,
        threshold=0.005,
        initial_score=0.01,
        picking=SCORES,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.threshold = threshold
        self.initial_score = initial_score
        self._picking = _checked(picking)
        self.owner = self.scores = self.task = None

    @classmethod
    def lift(cls, layer, **options):
        """The masked form of a plain layer; it takes the masked arguments."""
        return cls(**cls.plain.get_config(layer), **options)

    @property
    def picking(self):
        """How scores count when a step is traced."""
        return self._picking

    @picking.setter
    def picking(self, picking):
        _checked(picking)
        if self.built and self.scores is None and picking != NONE:
            raise ValueError(
                f"Layer '{self.name}' was built without scores, so `picking` "
                "must stay 'none'. Build it with 'scores' or 'fixed'. "
                f"Received: picking={picking!r}"
            )
        self._picking = picking

    def build(self, input_shape):
        super().build(input_shape)
        shape = tuple(self.kernel.shape)
        if self.picking != NONE:
            # Not cast in mixed precision: near the threshold, bits count.
            self.scores = self.add_weight(
                name="scores",
                shape=shape,
                initializer=self._score_initializer,
                trainable=self.picking == SCORES,
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

    def effective_kernel(self, training=None):
        """W_eff in the kernel's shape: of training if true, else of serving."""
        if not training:
            return self.served_kernel()
        kernel = keras.ops.convert_to_tensor(self.kernel)
        if self.picking == SCORES:
            return picked(kernel, self.scores, self.threshold)
        if self.picking == THROUGH:
            return picked_through(kernel, self.scores, self.threshold)
        if self.picking == FIXED:
            picks = picks_of(self.scores, self.threshold)
            return keras.ops.multiply(kernel, _constant(picks, kernel.dtype))
        return kernel

    def served_kernel(self, inputs=None, outputs=None, below=None):
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
        if self.picking == SCORES:
            kernel = picked(kernel, block(self.scores), self.threshold)
        elif self.picking in (FIXED, THROUGH):
            picks = picks_of(block(self.scores), self.threshold)
            mine = keras.ops.logical_and(mine, picks)
        return keras.ops.multiply(kernel, _constant(mine, kernel.dtype))

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

    def adopt(self, layer):
        """Takes over the weights of the plain layer it stands for."""
        for variable, value in zip(self._plain_variables, layer.get_weights()):
            variable.assign(value)

    @property
    def _plain_variables(self):
        pair = (self.kernel, self.bias)
        return [variable for variable in pair if variable is not None]

    def owned_variables(self):
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

    def lower(self):
        """The plain layer that serves the active task, and its weights."""
        weights = [self.served_kernel(), self.bias]
        weights = [
            keras.ops.convert_to_numpy(w) for w in weights if w is not None
        ]
        return self.plain.from_config(self.plain.get_config(self)), weights

    def get_config(self):
        return {
            **super().get_config(),
            "threshold": self.threshold,
            "initial_score": self.initial_score,
            "picking": self.picking,
        }


def picks_of(scores, threshold=0.005):
    """B(P): true where a score is above the threshold, strictly."""
    scores = keras.ops.convert_to_tensor(scores)
    # A cast would lead a float64 threshold through float32.
    return keras.ops.greater(
        scores, keras.ops.convert_to_tensor(threshold, scores.dtype)
    )


def picked(kernel, scores, threshold=0.005):
    """`B(P) W`, straight-through: gradients `B(P) G` for W, `W G` for P."""

    @keras.ops.custom_gradient
    def product(kernel, scores):
        picks = keras.ops.cast(picks_of(scores, threshold), kernel.dtype)

        def gradients(upstream):
            return upstream * picks, keras.ops.cast(
                upstream * kernel, scores.dtype
            )

        return kernel * picks, gradients

    # Values, not variables, which a custom gradient would ask about.
    return product(keras.ops.copy(kernel), keras.ops.copy(scores))


def picked_through(kernel, scores, threshold=0.005):
    """`B(P) W`, whose gradient for W is that of the product."""

    picks = _constant(picks_of(scores, threshold), kernel.dtype)

    @keras.ops.custom_gradient
    def product(kernel):
        return kernel * picks, lambda upstream: upstream

    return product(keras.ops.copy(kernel))


def _constant(marks, dtype):
    return keras.ops.stop_gradient(keras.ops.cast(marks, dtype))


def _checked(picking):
    if picking not in (SCORES, FIXED, THROUGH, NONE):
        raise ValueError(
            "Argument `picking` must be 'scores', 'fixed', 'through' or "
            "'none'. "
            f"Received: picking={picking!r}"
        )
    return picking
