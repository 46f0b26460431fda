"""A buffer of examples of the past, held in variables."""

from collections.abc import Callable, Mapping
from typing import Annotated

import gin
import keras
import tensorflow as tf

from tfcl.arguments import PositiveInt, checked, one_of, require
from tfcl.replay import retrieval as scores
from tfcl.replay.balanced import Balanced
from tfcl.replay.insertion import (
    PUBLISHED,
    TEXTBOOK,
    CoinFlip,
    Insertion,
    Reservoir,
)
from tfcl.replay.table import Column, Table

RESERVOIR, RANDOM, BALANCED = "reservoir", "random", "balanced"
UNIFORM, PER_CLASS = "uniform", "per_class"


@gin.configurable
class ReplayBuffer:
    """Keeps a sample of a stream; composable into any method.

    `build` says what is kept of an example. A step draws, and inserts after
    it:

        import tensorflow as tf

        from tfcl.replay import Column, ReplayBuffer

        buffer = ReplayBuffer(capacity=10)
        buffer.build({"images": Column((8, 8)), "labels": Column((), "int32")})
        for step in range(4):
            new = {"images": tf.ones((4, 8, 8)), "labels": tf.range(4)}
            places, weights = buffer.retrieve(3, seed=[step, 0])
            past = buffer.examples(places)  # past["images"], past["labels"]
            draws = buffer.draws(4, seed=[step, 1])
            insert = buffer.insertion(new, draws)
            insert()

    `insert()` assigns. A method lists `buffer.variables` in its `state`, and
    inserts behind the gradients of its `Update`.
    All draws depend on seeds alone. One buffer per process: of several
    replicas each would see its own part of the stream only.

    Args:
        capacity: B, examples.
        policy: Which examples are kept: "reservoir" (`Reservoir`), "random"
            (`CoinFlip`), "balanced" (`Balanced`), or an `Insertion`.
        reservoir_draw: See `Reservoir`: "textbook" or "published".
        retrieval: "uniform": every example has the same chance to be drawn.
            "per_class": every class has, which needs a column "labels".

    Raises:
        ValueError: If an argument is out of range.

    Attributes:
        policy: The `Insertion`.
        table: The `Table` of the columns, after `build`.
    """

    @checked
    def __init__(
        self,
        capacity: PositiveInt = 200,
        policy: str | Insertion = RESERVOIR,
        reservoir_draw: Annotated[str, one_of(TEXTBOOK, PUBLISHED)] = TEXTBOOK,
        retrieval: Annotated[str, one_of(UNIFORM, PER_CLASS)] = UNIFORM,
    ):
        policies = {
            RESERVOIR: Reservoir(reservoir_draw),
            RANDOM: CoinFlip(),
            BALANCED: Balanced(),
        }
        if not isinstance(policy, Insertion):
            rule = f"must be one of {tuple(policies)}, or an Insertion"
            require(policy in tuple(policies), "policy", rule, policy)
            policy = policies[policy]
        self.capacity = capacity
        self.policy = policy
        self.retrieval = retrieval
        self.table: Table | None = None

    def build(
        self, columns: Mapping[str, Column], classes: int | None = None
    ) -> None:
        """Makes the variables, an empty buffer.

        Args:
            columns: `{name: Column}`, what is kept of an example. Without
                any, the policy "balanced" still knows the examples' numbers.
            classes: Number of classes, needed for the policy "balanced".

        Raises:
            ValueError: If what policy or retrieval need is not there.
        """
        require(
            self.retrieval == UNIFORM or "labels" in columns,
            "columns",
            f"must have 'labels' for the retrieval '{self.retrieval}'",
            list(columns),
        )
        self.policy.build(self.capacity, bool(columns), classes)
        self.table = Table(self.capacity, columns)

    @property
    def _built(self) -> Table:
        assert self.table is not None, "`build` comes first."
        return self.table

    @property
    def variables(self) -> list[keras.Variable]:
        """Columns, then what the policy remembers; for `Method.state`."""
        return [*self._built.variables, *self.policy.variables]

    def __getitem__(self, name: str) -> keras.Variable:
        """The variable of a column, `(capacity, *shape)`."""
        return self._built[name]

    @property
    def filled(self) -> tf.Tensor:
        """Examples in the buffer, int32 scalar."""
        return self.policy.filled

    # Taking out

    def retrieve(
        self, count: int, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws examples without replacement, by the retrieval policy.

        Args:
            count: How many, at most the capacity; fewer come while the buffer
                holds fewer.
            seed: int32 pair.

        Returns:
            Places `(count,)` int32, and float32 weights `(count,)`: 1 for
            drawn examples, 0 for those that are missing.
        """
        kept = tf.range(self.capacity) < self.filled
        if self.retrieval == PER_CLASS:
            labels = tf.convert_to_tensor(self["labels"])
            found = scores.per_class_scores(labels, kept, seed)
        else:
            found = scores.uniform_scores(self.capacity, seed)
        last = -1.0 - self.capacity  # Below every score.
        _, places = tf.math.top_k(tf.where(kept, found, last), count)
        return places, tf.cast(tf.range(count) < self.filled, tf.float32)

    def examples(self, places: tf.Tensor) -> dict[str, tf.Tensor]:
        """What is kept at places of the buffer: `{name: (k, *shape)}`."""
        return self._built.taken(places)

    # Putting in

    def draws(self, count: int | tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """What decides on the next examples; see `Insertion.draws`."""
        return self.policy.draws(count, seed)

    def insertion(
        self, examples: Mapping[str, tf.Tensor], draws: tf.Tensor
    ) -> Callable[[], None]:
        """Function that offers a batch to the buffer.

        Args:
            examples: `{name: (b, *shape)}`: all columns, and what the policy
                reads ("labels" for "balanced").
            draws: See `draws`.

        Raises:
            ValueError: If a name is missing or is none of these.
        """
        names = {*self._built.columns, *self.policy.reads}
        require(
            set(examples) == names,
            "examples",
            f"must have the names {sorted(names)}",
            list(examples),
        )
        places, remembered = self.policy.placed(examples, draws)
        new = [*self._built.written(places, examples), *remembered]

        def assign() -> None:
            for variable, value in zip(self.variables, new):
                variable.assign(value)

        return assign


def check_replay(capacity: int, argument: str, count: int) -> None:
    """Raises ValueError unless a buffer can give so many examples."""
    require(
        1 <= count <= capacity,
        argument,
        f"must lie in 1..{capacity}, the capacity of the buffer",
        count,
    )
