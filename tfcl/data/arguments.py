"""Checks of arguments that several streams and augmentations have."""


def check_choice(name, value, known, kind="", remedy=""):
    """Refuses a value that is none of those known.

    Args:
        name: Of the argument.
        value: What was received.
        known: The values that it may have.
        kind: What these are, "the published ".
        remedy: What stands behind them, for example "; for others ...".

    Raises:
        ValueError: If it is none of them.
    """
    if value not in known:
        raise ValueError(
            f"Argument `{name}` must be one of {kind}"
            f"{', '.join(map(str, known))}{remedy}. "
            f"Received: {name}={value!r}"
        )


def check_pixels(name, value):
    """Refuses a negative number of pixels."""
    if value < 0:
        raise ValueError(
            f"Argument `{name}` must not be negative, it is a number of "
            f"pixels. Received: {name}={value}"
        )
