"""Static transfer configurations: explicit strings and the named tables."""

from __future__ import annotations

import typing

if typing.TYPE_CHECKING:
    from typing import Any


# Index = test type // 5 of the LASEM programs; layers from input to output,
# 1 = shared.
_ALTERNATING = ("alternating", "alternating_inverse")
_TABLES = {
    4: (
        "1111 0001 0011 0111 1000 1100 1110 0101 1010",
        ("all", "top_1", "top_2", "top_3", "bottom_1", "bottom_2")
        + ("bottom_3", *_ALTERNATING),
    ),
    6: (
        "111111 000001 000011 000111 001111 011111 100000 110000 111000 "
        "111100 111110 010101",
        ("all", "top_1", "top_2", "top_3", "top_4", "top_5", "bottom_1")
        + ("bottom_2", "bottom_3", "bottom_4", "bottom_5", "alternating"),
    ),
    8: (
        "11111111 00000011 00001111 00111111 11000000 11110000 11111100 "
        "01010101 10101010",
        ("all", "top_2", "top_4", "top_6", "bottom_2", "bottom_4")
        + ("bottom_6", *_ALTERNATING),
    ),
    9: ("1" * 9, ("all",)),
    17: ("1" * 17, ("all",)),
}
# The programs take this table for six layers when the data are Office-Home:
# the two first layers are never shared; names count the other four.
_OFFICE_HOME = "office_home:"
_OFFICE_HOME_TABLES = {
    6: (
        "001111 000001 000011 000111 001000 001100 001110 000101 001010",
        _TABLES[4][1],
    ),
}


def transfer_configuration(
    value: Any, num_layers: int, argument: str = "configuration"
) -> tuple[bool, ...]:
    """Which layers are shared.

    Args:
        value: A string of one digit per layer from input to output (1 =
            shared, 0 = task-specific), e.g. "0011"; a name of the LASEM
            tables for 4, 6, 8, 9 or 17 layers ("all", "top_2", "bottom_3",
            "alternating", ...), whose rule holds for any other number ("top_3"
            of two layers are both); or an integer test type of the LASEM
            programs (the table index is `value // 5`). With six layers the
            programs have a table of its own for Office-Home, which shares
            neither of the first two layers: ask for it by "office_home:top_2",
            "office_home:all" and so on, its test types by "office_home:10".
        num_layers: Layers with a choice.
        argument: What messages call the value.

    Returns:
        Tuple of booleans, True = shared.

    Raises:
        ValueError: If the value fits no layer count or table.
    """
    tables, key = _TABLES, value
    if isinstance(value, str) and value.startswith(_OFFICE_HOME):
        tables, key = _OFFICE_HOME_TABLES, value.removeprefix(_OFFICE_HOME)
        key = int(key) if key.isdecimal() else key
    text = key
    if isinstance(key, int):
        strings, _ = _table(tables, value, num_layers, argument)
        if not 0 <= key < 5 * len(strings):
            raise ValueError(
                f"Argument `{argument}` as a test type must lie in "
                f"0..{5 * len(strings) - 1} for {num_layers} layers. "
                f"Received: {argument}={value!r}"
            )
        text = strings[key // 5]
    elif (
        tables is _TABLES
        and num_layers not in tables
        and _by_rule(key, num_layers)
    ):
        text = _by_rule(key, num_layers)
    elif tables is not _TABLES or set(key) - {"0", "1"}:
        strings, names = _table(tables, value, num_layers, argument)
        if key not in names:
            raise ValueError(
                f"Argument `{argument}` must be digits 0 and 1 or one of "
                f"{', '.join(names)}. Received: {argument}={value!r}"
            )
        text = strings[names.index(key)]
    if len(text) != num_layers:
        raise ValueError(
            f"Argument `{argument}` needs one digit per convolution of the "
            f"backbone, which has {num_layers}. "
            f"Received: {argument}={value!r} with {len(text)} digits"
        )
    return tuple(digit == "1" for digit in text)


def _by_rule(name, num_layers):
    """The digits that a name stands for without a table, None if for none."""
    alternating = "01" * num_layers
    whole = {
        "all": "1" * num_layers,
        "alternating": alternating[:num_layers],
        "alternating_inverse": alternating[1 : num_layers + 1],
    }
    end, _, count = name.partition("_")
    if end not in ("top", "bottom") or not count.isdecimal():
        return whole.get(name)
    shared = min(int(count), num_layers)
    digits = "1" * shared + "0" * (num_layers - shared)
    return digits if end == "bottom" else digits[::-1]


def _table(tables, value, num_layers, argument):
    """(digits, names) of the published configurations of a network."""
    if num_layers not in tables:
        *others, last = map(str, tables)
        known = f"{', '.join(others)} and {last}" if others else last
        raise ValueError(
            f"Argument `{argument}`: names and test types exist for {known} "
            f"convolutions, the backbone has {num_layers}. Write "
            f"the digits instead. Received: {argument}={value!r}"
        )
    strings, names = tables[num_layers]
    return strings.split(), names
