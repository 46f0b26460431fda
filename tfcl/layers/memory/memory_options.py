"""The options of a `MemoryDense`, and the values that they may have."""

from tfcl.layers.memory.key_projections import PROJECTIONS
from tfcl.layers.memory.memory_update import SIMILARITIES

WINNER, ALL = "winner", "all"
GRADIENT_WINNER, GRADIENT = "gradient_winner", "gradient"
SIMILARITY, SCALED = "similarity", "scaled"
VARIANCE, DEVIATION = "variance", "deviation"
_CHOICES = {
    "projection": PROJECTIONS,
    "similarity": SIMILARITIES,
    "memory_update": (WINNER, ALL),
    "key_update": (WINNER, GRADIENT_WINNER, GRADIENT),
    "scramble_score": (SIMILARITY, SCALED),
    "layer_norm": (None, VARIANCE, DEVIATION),
}
OPTIONS = (
    *_CHOICES,
    *("units", "memory_units", "delta", "shared_keys", "use_bias"),
    *("key_size", "bandwidth", "inverse_temperature", "key_rate"),
    *("scramble", "match_threshold", "usage_threshold", "age_threshold"),
    *("random_memories", "winner_moves", "detach_keys", "key_shape"),
    *("count_evaluations", "key_sets"),
)


def check_options(**options):
    """Raises ValueError for options that are out of range."""

    def require(condition, name, rule):
        if not condition:
            raise ValueError(
                f"Argument `{name}` {rule}. Received: {name}={options[name]!r}"
            )

    for name, known in _CHOICES.items():
        require(options[name] in known, name, f"must be one of {known}")
    for name in ("units", "memory_units", "delta"):
        require(options[name] >= 1, name, "must be at least 1")
    sets, units = options["key_sets"], options["units"]
    require(
        sets is None or (sets >= 1 and units % sets == 0),
        "key_sets",
        f"must divide units={units}, or be None",
    )
    require(
        sets in (None, 1, units) or options["layer_norm"] is None,
        "layer_norm",
        "must be None with `key_sets`",
    )
    m = options["memory_units"]
    require(
        options["delta"] <= m,
        "delta",
        f"must be at most `memory_units`={m}, of which it blends the best",
    )
    for name in ("bandwidth", "inverse_temperature"):
        require(options[name] > 0, name, "must be positive")
    require(options["key_rate"] >= 0, "key_rate", "must not be negative")
    for name in ("usage_threshold", "age_threshold"):
        whole = options[name] == int(options[name])
        require(whole, name, "must be a whole number of examples")
    size = options["key_size"]
    require(size is None or size >= 1, "key_size", "must be positive or None")
