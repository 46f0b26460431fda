"""Class-incremental learning: one head per task, answers over all classes."""

import functools

import gin
import keras
import numpy as np
import tensorflow as tf

from tfcl.data.class_incremental_stream import first_classes
from tfcl.errors import UserError
from tfcl.layers.memory_dense import MemoryDense
from tfcl.layers.seen_classes import SeenClasses
from tfcl.methods.base import (
    Method,
    Update,
    cross_entropy,
    mean_accuracy,
    require,
)
from tfcl.methods.classifier_alignment import (
    ClassStatistics,
    aligned_logits,
    mean_factors,
)
from tfcl.methods.layer_choice import statistic
from tfcl.methods.work import Accumulate, Phase
from tfcl.models.online_network import OnlineNetwork
from tfcl.models.variables import Owned

MEMORY, LINEAR = "memory", "linear"


@gin.configurable
class ClassIncremental(Method):
    """Heads of tasks on a frozen backbone, aligned with each other.

    Stage 1 trains the new task's head on its classes alone. Then the features
    of each new class are summed up by mean and covariance, and from the second
    task on stage 2 trains all heads on features drawn from these (classifier
    alignment). It counts for the evaluation after its task; the next task
    starts from the heads before it.

    Args:
        backbone: Function from `image_shape` to a `keras.Model` that ends in
            features; it keeps its weights.
        classes_per_task: Classes of each task, all the same number.
        optimizer: Function without arguments to a Keras optimizer.
        schedule: Of stage 1.
        epochs: Of stage 1.
        head: "memory" (`MemoryDense`, one key set per task) or "linear"
            (the SLCA baseline).
        memory: `{argument: value}` of `MemoryDense`.
        weight_decay: L2 of the heads in training.
        alignment_schedule: Of stage 2.
        alignment_epochs: 0 goes without stage 2.
        alignment_size: Features drawn per class seen and epoch; also those
            of a step.
        temperature: Of the alignment's logits, which it divides after they
            were divided by their length; 0 takes them as they are.

    Raises:
        ValueError: If an argument is out of range, or the stream is not one
            of `class_incremental_stream`.
        UserError: If a task comes again.

    Note:
        Statistics take 4 bytes per class and pair of features, and 8 more
        per class of one task; so do checkpoints, each. Old heads
        rest in stage 1, keys and counters as well; so do keys in stage 2. The
        published program lets old heads scramble where the backbone is
        trained.
    """

    def __init__(
        self,
        backbone=gin.REQUIRED,
        classes_per_task: int = gin.REQUIRED,
        optimizer=gin.REQUIRED,
        schedule=gin.REQUIRED,
        epochs: int = 20,
        head: str = MEMORY,
        memory: dict | None = None,
        weight_decay: float = 5e-4,
        alignment_schedule=None,
        alignment_epochs: int = 5,
        alignment_size: int = 256,
        temperature: float = 0.1,
    ):
        super().__init__()
        known = (MEMORY, LINEAR)
        require(head in known, "head", f"must be one of {known}", head)
        for name, value, least in (
            ("classes_per_task", classes_per_task, 1),
            ("epochs", epochs, 1),
            ("alignment_epochs", alignment_epochs, 0),
            ("alignment_size", alignment_size, 1),
        ):
            rule = f"must be a whole number, at least {least}"
            require(int(value) == value >= least, name, rule, value)
        require(
            weight_decay >= 0,
            "weight_decay",
            "must not be negative",
            weight_decay,
        )
        require(
            alignment_epochs == 0 or alignment_schedule is not None,
            "alignment_schedule",
            "must be given, or alignment_epochs = 0",
            alignment_schedule,
        )
        require(
            temperature >= 0, "temperature", "must not be negative", temperature
        )
        self.make_backbone = backbone
        self.classes_per_task = classes_per_task
        self.make_optimizer = optimizer
        self.schedule = schedule
        self.epochs = epochs
        self.head_kind = head
        self.memory = dict(memory or {})
        self.weight_decay = weight_decay
        self.alignment_schedule = alignment_schedule
        self.alignment_epochs = alignment_epochs
        self.alignment_size = alignment_size
        self.temperature = temperature
        self._network = None

    def setup(self, spec, seed):
        self.spec, self.seed = spec, seed
        classes, tasks = spec.max_classes, spec.num_tasks
        if classes != tasks * self.classes_per_task:
            raise ValueError(
                "Argument `classes_per_task` times the number of tasks must be "
                "the number of classes of a class_incremental_stream. "
                f"Received: classes_per_task={self.classes_per_task}, {tasks} "
                f"tasks, {classes} classes"
            )
        trunk = self.make_backbone(image_shape=spec.image_shape)
        self._network = OnlineNetwork(
            [(trunk, self._head(classes, tasks))],
            trains_trunk=False,
            serve=self._served,
        )
        self.shared = self._network.owned
        self.redraw(self.shared, "shared")
        self._heads = [o for o in self.shared if o.name.startswith("heads/")]
        self.build_optimizer(
            "main", self.make_optimizer(), self._network.trained
        )
        self.statistics = ClassStatistics(
            classes, trunk.output_shape[-1], self.classes_per_task
        )
        self._unaligned = [
            statistic(v.numpy(), "unaligned", v.dtype)
            for v in (owned.variable for owned in self._heads)
        ]
        self.current = statistic(-1, "current", "int32")
        self.shared = [*self.shared, Owned.of("current", self.current)]
        self.state = [*self.statistics.variables, *self._unaligned]

    def _head(self, classes, tasks):
        if self.head_kind == MEMORY:
            return MemoryDense(
                classes, key_sets=tasks, name="heads", **self.memory
            )
        normal = keras.initializers.TruncatedNormal(stddev=0.02)
        return keras.layers.Dense(
            classes, kernel_initializer=normal, name="heads"
        )

    def begin_task(self, task):
        first, count = first_classes(task)
        if (first, count) != (
            task.index * self.classes_per_task,
            self.classes_per_task,
        ):
            raise ValueError(
                "Argument `classes_per_task` must be that of every task. "
                f"Received: task '{task.name}' has the classes {first} to "
                f"{first + count - 1}"
            )
        if task.index:
            for owned, kept in zip(self._heads, self._unaligned):
                owned.variable.assign(kept)
        self.current.assign(task.index)
        self.reset_optimizers()

    def resume_task(self, task, values):
        raise UserError(
            f"ClassIncremental learns every task once, but '{task.name}' comes "
            "again. Give a stream without repeats."
        )

    def phases(self, task):
        yield Phase(
            "heads",
            self.epochs,
            {"main": self.schedule},
            steps=(self.train_step,),
        )
        yield Accumulate("statistics", self.class_sums, self.statistics.sums)
        first, count = first_classes(task)
        self.statistics.note(first)
        for owned, kept in zip(self._heads, self._unaligned):
            kept.assign(owned.variable)
        if self.alignment_epochs and task.index:
            self.reset_optimizers()
            # Steps draw features: as many steps as classes seen.
            steps = np.arange(first + count) % len(task.train)
            yield Phase(
                "alignment",
                self.alignment_epochs,
                {"main": self.alignment_schedule},
                steps=(self.alignment_step,),
                data=task.train.taken(steps),
                batch_size=1,
                validate_every=0,
            )

    def class_sums(self, batch):
        """What a batch adds to the sums of its classes' features."""
        first = tf.convert_to_tensor(self.current) * self.classes_per_task
        features = self._features(batch.images)
        return self.statistics.step(features, batch.labels, first)

    def _features(self, images):
        (trunk, _), *_ = self._network.members
        return trunk(images, training=False)

    def _tasks(self):
        """Task of each class, int32."""
        return tf.range(self.spec.max_classes) // self.classes_per_task

    def train_step(self, batch):
        """Stage 1: the new head on its own classes."""
        self._check_replicas(batch)
        mine = self._tasks() == tf.convert_to_tensor(self.current)
        network, seen = self._network, []

        def objective(logits):
            seen.append(tf.where(mine, logits, -1e9))
            return tf.reduce_mean(cross_entropy(batch.labels, seen[0]))

        values = network.values()
        loss, _, gradients, after = network.learn(
            values, batch.images, objective, batch.seed
        )

        def own_update():
            before = network.values()
            new = [
                old if old is changed else self._of_task(changed, old)
                for old, changed in zip(before, after(before))
            ]
            network.assign(before, new)

        return Update(
            loss=loss,
            metrics={"accuracy": mean_accuracy(batch, seen[0])},
            gradients=[("main", gradients, network.variables)],
            before=own_update,
            decayed=functools.partial(self._decayed, all_seen=False),
        )

    def _of_task(self, new, old):
        """The new values for the current key set, the old for all others."""
        sets = self.spec.num_tasks
        shape = tf.shape(old)
        new, old = (tf.reshape(v, [sets, -1]) for v in (new, old))
        mine = tf.range(sets)[:, None] == tf.convert_to_tensor(self.current)
        return tf.reshape(tf.where(mine, new, old), shape)

    def _decayed(self, gradients, variables, all_seen):
        """Gradients with decay, for the current task or all seen."""
        current = tf.convert_to_tensor(self.current)
        result = []
        for gradient, variable in zip(gradients, variables):
            dense = tf.convert_to_tensor(gradient)
            dense += self.weight_decay * variable
            # Tasks lie along the first axis of a memory, and along the last
            # one of a dense layer.
            axis = 0 if self.head_kind == MEMORY else -1
            size = variable.shape[axis] // self.spec.num_tasks
            owner = tf.range(variable.shape[axis]) // size
            mine = owner <= current if all_seen else owner == current
            mine = tf.cast(mine, dense.dtype)
            if axis == 0:
                mine = tf.reshape(mine, [-1, *[1] * (len(dense.shape) - 1)])
            result.append(dense * mine)
        return result

    def alignment_step(self, batch):
        """Stage 2: all heads on features drawn from what was noted."""
        self._check_replicas(batch)
        current = tf.convert_to_tensor(self.current)
        count = (current + 1) * self.classes_per_task
        labels = tf.random.stateless_uniform(
            [self.alignment_size], batch.seed, 0, count, tf.int32
        )
        tasks = self._tasks()
        factors = mean_factors(tf.gather(tasks, labels), current)
        fold = tf.random.experimental.stateless_fold_in
        features = self.statistics.drawn(labels, factors, fold(batch.seed, 1))
        tasks = tf.where(tasks <= current, tasks, -1)
        (_, head), *_ = self._network.members
        variables = self._network.variables
        with tf.GradientTape() as tape:
            if self.head_kind == MEMORY:
                logits, _ = head.read(features)
            else:
                logits = head(features)
            logits = tf.where(tasks >= 0, logits, -1e9)
            aligned = aligned_logits(
                logits, tasks, current + 1, self.temperature
            )
            loss = tf.reduce_mean(cross_entropy(labels, aligned))
        gradients = tape.gradient(loss, variables)
        right = tf.argmax(logits, -1, output_type=tf.int32) == labels
        return Update(
            loss=loss,
            metrics={"accuracy": tf.reduce_mean(tf.cast(right, tf.float32))},
            gradients=[("main", gradients, variables)],
            decayed=functools.partial(self._decayed, all_seen=True),
        )

    def _check_replicas(self, batch):
        if batch.replicas > 1:
            raise ValueError(
                "ClassIncremental runs on one replica (--distribution=none). "
                f"Received: {batch.replicas} replicas"
            )

    def predict(self, images):
        return tf.where(self._seen(), self._network(images), -1e9)

    def _seen(self):
        """Whether a class was learned, booleans."""
        return self._tasks() <= tf.convert_to_tensor(self.current)

    def _served(self, head):
        """The head of an export, which knows no class of later tasks."""
        seen = self._seen().numpy()
        return head if seen.all() else SeenClasses(head, seen)

    def network(self):
        return self._network

    def bank_notes(self):
        heads = self._network.memory_heads
        scrambles = [
            int(h.scrambles.numpy().sum()) for h in heads if h.scramble
        ]
        return {"scrambles": sum(scrambles)} if scrambles else {}
