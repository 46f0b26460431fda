"""The check of arguments that all of this floor have."""

from typing import Any


def require(condition: bool, argument: str, rule: str, value: Any) -> None:
    """Raises the usual ValueError unless `condition` holds."""
    if not condition:
        raise ValueError(
            f"Argument `{argument}` {rule}. Received: {argument}={value!r}"
        )
