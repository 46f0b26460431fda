"""The options of a `MemoryDense` in groups, their defaults and their rules.

The defaults stand here and nowhere else: the layer, `memory_network` and the
heads of `ClassIncremental` take them from these classes. Each option has one
name everywhere, in gin files, in saved configurations and in Python.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from tfcl.arguments import (
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Range,
    checked,
    one_of,
    require,
)
from tfcl.layers.memory.key_projections import PROJECTIONS
from tfcl.layers.memory.memory_update import (
    COSINE,
    SIMILARITIES,
    UpdateRule,
)

WINNER, ALL = "winner", "all"
GRADIENT_WINNER, GRADIENT = "gradient_winner", "gradient"
SIMILARITY, SCALED = "similarity", "scaled"
VARIANCE, DEVIATION = "variance", "deviation"
# A saved file may have 50.0.
_Examples = Annotated[
    float, Range("that is a whole number", lambda value: value % 1 == 0)
]


@checked
@dataclasses.dataclass(frozen=True)
class MemoryOptions:
    """The memory units of a key set: how many, and how they become weights.

    Args:
        memory_units: m, keys and memory units per key set.
        delta: Units blended; at most `memory_units`.
        inverse_temperature: gamma. Euclidean responses lie in (0, 1] and need
            a large one (25) to tell units apart.
        use_bias: Whether a unit holds biases.
        memory_update: "winner" trains the best unit only (WTA), "all" every
            blended one (a_M of the paper).
        layer_norm: None; "variance", centred inputs over their variance, as
            the published program has it; or "deviation", over its root.

    Raises:
        ValueError: If an argument is out of range.
    """

    memory_units: PositiveInt = 8
    delta: PositiveInt = 2
    inverse_temperature: PositiveFloat = 1.0
    use_bias: bool = True
    memory_update: Annotated[str, one_of(WINNER, ALL)] = WINNER
    layer_norm: Annotated[str, one_of(VARIANCE, DEVIATION)] | None = None

    def __post_init__(self):
        require(
            self.delta <= self.memory_units,
            "delta",
            f"must be at most `memory_units`={self.memory_units}, of which it "
            "blends the best",
            self.delta,
        )


@checked
@dataclasses.dataclass(frozen=True)
class KeyOptions:
    """The keys: how an input is matched to them, and how they learn.

    Args:
        shared_keys: One key set for all outputs (q = 1), or one for each.
        key_sets: q, to be chosen freely: that many heads of `units / q`
            outputs each, as one layer. None leaves it to `shared_keys`.
        key_size: d. None takes the size of the projection's input.
        projection: psi (`tfcl.layers.memory.key_projections`).
        similarity: "cosine"; "euclidean", `s = exp(-|x - k|^2 / (sqrt(d)
            bandwidth))`; or "dot", cosine without unit lengths.
        bandwidth: sigma of "euclidean".
        key_update: "winner" moves the best key towards the input (MH_ok);
            "gradient_winner" trains keys through the winner's weight (g_K),
            "gradient" through all weights.
        key_rate: beta of "winner".
        detach_keys: No gradient reaches the input through the keys. Of no
            effect for cosine keys trained by gradients, as published.
        key_shape: Shape of one example of `key_input`, another input that the
            keys are matched to; None matches the layer's own.

    Raises:
        ValueError: If an argument is out of range.
    """

    shared_keys: bool = True
    key_sets: PositiveInt | None = None
    key_size: PositiveInt | None = None
    projection: Annotated[str, one_of(*PROJECTIONS)] = "identity"
    similarity: Annotated[str, one_of(*SIMILARITIES)] = COSINE
    bandwidth: PositiveFloat = 1.0
    key_update: Annotated[str, one_of(WINNER, GRADIENT_WINNER, GRADIENT)] = (
        WINNER
    )
    key_rate: NonNegativeFloat = 1e-3
    detach_keys: bool = True
    key_shape: Sequence[int] | None = None

    def __post_init__(self):
        if self.key_shape is not None:  # A list, out of a saved file.
            object.__setattr__(self, "key_shape", tuple(self.key_shape))


@checked
@dataclasses.dataclass(frozen=True)
class ScramblingOptions:
    """Weak units, little used and old, go to inputs that match nothing.

    Args:
        scramble: Whether that happens at all.
        match_threshold: tau_alpha, the score below which it does.
        usage_threshold: tau_mu, the usage (wins) below which a unit is weak.
        age_threshold: tau_eta, the age (examples) from which it is.
        scramble_score: "similarity" compares the plain cosine (or product)
            with `match_threshold`, "scaled" the response s, as the published
            program does: it is below 1 / sqrt(d), so that nearly every input
            counts as badly matched.
        random_memories: A scrambled unit is drawn anew, not copied from the
            winner.
        winner_moves: A scrambled unit becomes the winner and its age 0.
        count_evaluations: The layer's `key_counter`, which is there for
            units that scramble, counts plain calls, too.

    Raises:
        ValueError: If an argument is out of range.
    """

    scramble: bool = True
    match_threshold: float = 0.95
    usage_threshold: _Examples = 50
    age_threshold: _Examples = 50
    scramble_score: Annotated[str, one_of(SIMILARITY, SCALED)] = SIMILARITY
    random_memories: bool = False
    winner_moves: bool = False
    count_evaluations: bool = False


GROUPS = {
    "memory": MemoryOptions,
    "key": KeyOptions,
    "scrambling": ScramblingOptions,
}


def grouped(options: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `MemoryDense` from options that are not in groups.

    Args:
        options: `{name: value}`: options of the groups, by their own names,
            and any other arguments, which are left as they are.

    Returns:
        The other arguments, and one for each of `GROUPS`.
    """
    rest = dict(options)
    made = {}
    for group, kind in GROUPS.items():
        names = [f.name for f in dataclasses.fields(kind) if f.name in rest]
        made[group] = kind(**{name: rest.pop(name) for name in names})
    return {**rest, **made}


def ungrouped(
    *groups: MemoryOptions | KeyOptions | ScramblingOptions,
) -> dict[str, Any]:
    """`{name: value}` of the options of some groups; undoes `grouped`."""
    return {
        field.name: getattr(group, field.name)
        for group in groups
        for field in dataclasses.fields(group)
    }


def update_rule(
    key: KeyOptions,
    scrambling: ScramblingOptions,
    random_bound: float | None,
) -> UpdateRule:
    """The constants of the update that these options ask for.

    Args:
        key: Options of the keys.
        scrambling: Options of the scrambling.
        random_bound: Bound of the uniform draws of scrambled memories; None
            where they take the values of the best memory unit.
    """
    return UpdateRule(
        similarity=key.similarity,
        bandwidth=key.bandwidth,
        moves_keys=key.key_update == WINNER,
        key_rate=key.key_rate,
        scramble=scrambling.scramble,
        match_threshold=scrambling.match_threshold,
        usage_threshold=int(scrambling.usage_threshold),
        age_threshold=int(scrambling.age_threshold),
        scaled_score=scrambling.scramble_score == SCALED,
        winner_moves=scrambling.winner_moves,
        random_bound=random_bound,
    )
