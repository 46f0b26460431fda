"""Whole stretches of training and evaluation inside one traced call."""

from __future__ import annotations

import functools
import typing

import tensorflow as tf

from tfcl.engine.measurement import Measurement
from tfcl.engine.orders import in_stored_order, rows_of_batch
from tfcl.engine.replicas import Replicas
from tfcl.engine.resident import WINDOW, ResidentSplit

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import numpy as np

    from tfcl.data.split import Split
    from tfcl.methods.base import Method
    from tfcl.methods.work import Accumulate, Phase, Scan
    from tfcl.types import Shape


STOP = "stop"
SKIP = "skip"
# An order of examples; first and last batch, their size and a wish to stop;
# the seed.
_STRETCH = [
    tf.TensorSpec((None,), tf.int32),
    tf.TensorSpec((4,), tf.int32),
    tf.TensorSpec((2,), tf.int32),
]


class StepRunner:
    """Runs a method's steps over a resident split, in-graph.

    One trace per kind of step; rates, seeds, orders and counters enter as
    tensors or variables. How replicas share a batch: see `Replicas`.

    Args:
        method: A `Method` that is set up.
        strategy: `tf.distribute.Strategy`.
        image_shape: `(height, width, channels)`.
        dtype: Pixel dtype of the stream.
        on_nonfinite: "stop": the first step whose loss or gradient is not
            finite is not applied and ends the stretch; "skip": such steps
            are left out and counted (one replica only). A phase that
            restores its best weights is ended in any case.
        xla: Compile every loop by XLA.
        window: As of `ResidentSplit`.

    Attributes:
        replicas: Their number.
        traces: Counter of traced functions by name, for tests and logs.
        measurement: `Measurement` of the same method.
    """

    def __init__(
        self,
        method: Method,
        strategy: tf.distribute.Strategy,
        image_shape: Shape,
        dtype: Any,
        on_nonfinite: str = STOP,
        xla: bool = False,
        window: int = WINDOW,
    ):
        self.method = method
        self.strategy = strategy
        self.replicas = strategy.num_replicas_in_sync
        self.on_nonfinite = on_nonfinite
        self.xla = xla
        self._shared = Replicas(method, strategy)
        self.traces = self._shared.traces
        if on_nonfinite == SKIP and self.replicas > 1:
            raise ValueError(
                "Argument `on_nonfinite`='skip' works on one replica only; "
                f"use 'stop'. Received: {self.replicas} replicas"
            )
        self._train = ResidentSplit(image_shape, dtype, window)
        # Where another thread can read it while a call goes on. A loop that
        # XLA compiles shows nothing until it ends: those steps are counted
        # in the other number.
        with tf.device("CPU:0"):
            self._counted = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._compiled_steps = 0
        self.measurement = Measurement(
            method, self._shared, ResidentSplit(image_shape, dtype, window)
        )

    # What the engine calls

    def steps_made(self) -> int:
        """Steps of this process so far; may be called while a call goes on."""
        return self._compiled_steps + int(self._counted.numpy())

    def train(
        self,
        phase: Phase | Scan,
        split: Split,
        order: np.ndarray,
        first: int,
        last: int,
        batch_size: int,
        seed: np.ndarray,
        stop: bool,
    ) -> tuple[dict[str, Any], int, int, int, bool]:
        """Trains steps `first`..`last` - 1 of an epoch.

        Args:
            phase: `Phase` or `Scan`.
            split: `Split` that `order` indexes.
            order: int32 `(n,)`.
            first, last: Step numbers in the epoch.
            batch_size: Examples per step over all replicas.
            seed: int32 pair of the epoch.
            stop: This process's wish to end the run soon.

        Returns:
            `(sums, done, bad, skipped, stop)`: sums of the metrics over
            steps, the number of the next step, the number of the step that
            was not finite (-1 if none), steps skipped, and whether any
            process wishes to stop.
        """
        steps = tuple(phase.steps) or (self.method.train_step,)
        jit = self.xla if phase.jit_compile is None else phase.jit_compile
        static = batch_size if jit else None
        if jit and last * batch_size > len(order):
            raise ValueError(
                "A loop compiled by XLA takes whole batches only: set "
                "`drop_remainder` (TaskTraining.drop_remainder = True), or "
                f"Runtime.xla = False. Received: {len(order)} examples in "
                f"batches of {batch_size}"
            )
        # By the functions, not by their names: two may have the same. The
        # bound methods of one object are equal.
        ends = phase.restores_nonfinite or self.on_nonfinite == STOP
        key = ("train", steps, static, jit, ends)
        function = self._shared.function(
            key, lambda: self._train_loop(steps, static, jit, ends)
        )
        totals, done, bad, skipped, stopping = {}, first, -1, 0, 0
        for local, begin, end in self._train.windows(
            split, order, first, last, batch_size, seed
        ):
            sums, *counts = function(
                tf.constant(local, tf.int32),
                tf.constant([begin, end, batch_size, int(stop)], tf.int32),
                tf.constant(seed, tf.int32),
            )
            for name, value in sums.items():
                totals[name] = totals.get(name, 0.0) + value.numpy()
            done, bad, lost, stopping = (int(c) for c in counts)
            if jit:
                self._compiled_steps += done - begin
            skipped += lost
            if done < end:  # A step was not finite.
                break
        return totals, done, bad, skipped, stopping > 0

    def accumulate(
        self,
        work: Accumulate,
        split: Split,
        batch_size: int,
        seed: np.ndarray,
        stretch: int | None = None,
        stop_wished: Callable[[], bool] | None = None,
    ) -> bool:
        """Adds `work.step` over a split into `work.into`.

        Args:
            work: `Accumulate`.
            split: `Split`.
            batch_size: Examples per step over all replicas.
            seed: int32 pair of the pass.
            stretch: Steps of one traced call; None for no bound.
            stop_wished: Function: this process's wish to end the run soon,
                asked before each call.

        Returns:
            Whether a wish of any process has ended the pass early.
        """
        targets = tuple(id(variable) for variable in work.into)
        key = ("accumulate", work.step, targets)
        function = self._shared.function(
            key, lambda: self._accumulation_loop(work.step, work.into)
        )
        for variable in work.into:
            variable.assign(tf.zeros_like(variable))
        for order, first, last in self._train.windows(
            *in_stored_order(split, batch_size), batch_size
        ):
            for begin in range(first, last, stretch or last):
                end = min(begin + (stretch or last), last)
                wish = stop_wished is not None and stop_wished()
                counts = [begin, end, batch_size, int(wish)]
                stopped = function(
                    tf.constant(order, tf.int32),
                    tf.constant(counts, tf.int32),
                    tf.constant(seed, tf.int32),
                )
                if int(stopped) > 0:
                    return True
        return False

    # Loops

    def _train_loop(self, steps, static_size, jit, ends):
        name = "+".join(_step_name(s) for s in steps)

        @tf.function(
            input_signature=_STRETCH, jit_compile=jit or None, autograph=False
        )
        def loop(order, counts, seed):
            self.traces[name] += 1
            first, last, size = counts[0], counts[1], counts[2]
            sums = {"loss": tf.zeros(())}
            for key, shape in self.method.metric_shapes.items():
                sums[key] = tf.zeros(shape)
            size = static_size or size

            def body(step, sums, bad, skipped):
                rows = rows_of_batch(order, step, size, static_size)
                step_seed = tf.random.experimental.stateless_fold_in(seed, step)
                metrics, finite = self._distributed(
                    steps, jit, rows, step, step_seed
                )
                sums = {k: sums[k] + metrics[k] for k in sums}
                lost = 1 - tf.cast(finite, tf.int32)
                bad = tf.where(finite | (bad >= 0), bad, step)
                if not jit:
                    self._counted.assign_add(1)
                return step + 1, sums, bad, skipped + lost

            def more(step, sums, bad, skipped):
                going = step < last
                if ends:  # with a step that is not finite
                    going &= bad < 0
                return going

            step, sums, bad, skipped = tf.while_loop(
                more,
                body,
                (first, sums, tf.constant(-1), tf.constant(0)),
                parallel_iterations=1,
            )
            stop = self._shared.summed(lambda: counts[3])
            return sums, step, bad, skipped, stop

        return loop

    def _distributed(self, steps, jit, rows, step, seed):
        """One batch through all steps; metrics summed over replicas."""
        replica = functools.partial(self._replica_step, steps, jit)
        metrics, finite = self.strategy.run(replica, args=(rows, step, seed))
        if self.replicas == 1:
            return metrics, finite > 0
        reduce = self.strategy.reduce
        sums = {k: reduce("SUM", v, axis=None) for k, v in metrics.items()}
        # Every replica has the same verdict; see _all_finite.
        return sums, reduce("SUM", finite, axis=None) > 0

    def _replica_step(self, steps, jit, rows, step, seed):
        batch = self._shared.batch(self._train, rows, step, seed)
        self._shared.draw_apart(seed)
        finite = tf.constant(True)
        metrics = {}
        for function in steps:
            update = function(batch)
            finite &= self._all_finite(update)
            self._apply(update, finite, jit)
            metrics.update(update.metrics)
            metrics["loss"] = update.loss
        for key, value in metrics.items():
            # A skipped step has no say in the means.
            metrics[key] = tf.where(finite, value, tf.zeros_like(value))
        return metrics, tf.cast(finite, tf.int32)

    def _all_finite(self, update):
        """Whether the loss and every gradient are finite on all replicas."""
        tensors = [update.loss]
        for _, gradients, _ in update.gradients:
            # Of a gradient of rows (tf.IndexedSlices), those.
            tensors += [getattr(g, "values", g) for g in gradients]
        # Times 0, a finite sum of squares is 0, and all else NaN: one pass over
        # each tensor. (Squares overflow above 1e19, which is as bad.)
        zeros = [tf.nn.l2_loss(t) * 0.0 for t in tensors]
        zeros = tf.add_n([tf.cast(zero, tf.float32) for zero in zeros])
        if self.replicas > 1:
            context = tf.distribute.get_replica_context()
            zeros = context.all_reduce(tf.distribute.ReduceOp.SUM, zeros)
        return tf.equal(zeros, 0.0)

    def _apply(self, update, finite, jit):
        def optimize():
            for name, gradients, variables in update.gradients:
                optimizer = self.method.optimizers[name]
                if update.transform_gradients is not None:
                    gradients = update.transform_gradients(gradients, variables)
                optimizer.apply(gradients, variables)

        def commit():
            if update.before_apply is not None:
                update.before_apply()
            if update.apply_if is None:
                optimize()
            else:
                _run_if(update.apply_if, optimize, jit)
            if update.after_apply is not None:
                update.after_apply()

        if self.replicas == 1:
            _run_if(finite, commit, jit)
            return
        if update.apply_if is not None:
            raise ValueError(
                "Steps that gather gradients (`Update.apply_if`) run on one "
                "replica (--distribution=none). Received: "
                f"{self.replicas} replicas"
            )
        # Optimizers synchronise replicas, which cannot be done inside a
        # condition: an update that is not finite ends the call instead.
        check = tf.debugging.Assert(finite, ["loss or gradient not finite"])
        with tf.control_dependencies([check] if check is not None else []):
            commit()

    def _accumulation_loop(self, step, into):
        @tf.function(input_signature=_STRETCH, autograph=False)
        def loop(order, counts, seed):
            self.traces[_step_name(step)] += 1
            end, size = counts[1], counts[2]
            stop = self._shared.summed(lambda: counts[3])

            def replica(rows, number):
                own = tf.random.experimental.stateless_fold_in(seed, number)
                batch = self._shared.batch(self._train, rows, number, own)
                self._shared.draw_apart(own)
                return step(batch)

            def body(number):
                rows = rows_of_batch(order, number, size)
                sums = self._shared.summed(lambda: replica(rows, number))
                for variable, value in zip(into, sums):
                    variable.assign_add(value)
                self._counted.assign_add(1)
                return (number + 1,)

            tf.while_loop(
                lambda number: (number < end) & (stop == 0),
                body,
                (counts[0],),
                parallel_iterations=1,
            )
            return stop

        return loop


def _run_if(condition, function, jit):
    """Runs a function that assigns variables, or does not.

    XLA copies all variables that a `tf.cond` may change; a loop of one turn,
    or none, it does not.
    """
    if not jit:
        tf.cond(condition, lambda: (function(), 0)[1], lambda: 0)
        return
    turns = tf.cast(condition, tf.int32)
    tf.while_loop(lambda k: k < turns, lambda k: (function(), [k + 1])[1], [0])


def _step_name(function):
    return getattr(function, "__name__", type(function).__name__)
