"""Static transfer configurations: explicit strings and the named tables."""

# Index = test type // 5 of the LASEM programs; layers from input to output,
# 1 = shared.
_TABLES = {
    4: (
        "1111 0001 0011 0111 1000 1100 1110 0101 1010",
        ("all", "top_1", "top_2", "top_3", "bottom_1", "bottom_2")
        + ("bottom_3", "alternating", "alternating_inverse"),
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
        + ("bottom_6", "alternating", "alternating_inverse"),
    ),
    9: ("1" * 9, ("all",)),
    17: ("1" * 17, ("all",)),
}


def transfer_configuration(value, num_layers, argument="configuration"):
    """Which layers are shared.

    Args:
        value: A string of one digit per layer from input to output (1 =
            shared, 0 = task-specific), e.g. "0011"; a name of the LASEM
            tables for 4, 6, 8, 9 or 17 layers ("all", "top_2", "bottom_3",
            "alternating", ...); or an integer test type of the LASEM
            programs (the table index is `value // 5`).
        num_layers: Layers with a choice.
        argument: What messages call the value.

    Returns:
        Tuple of booleans, True = shared.

    Raises:
        ValueError: If the value fits no layer count or table.
    """
    text = value
    if isinstance(value, int):
        strings, _ = _table(value, num_layers, argument)
        if not 0 <= value < 5 * len(strings):
            raise ValueError(
                f"Argument `{argument}` as a test type must lie in "
                f"0..{5 * len(strings) - 1} for {num_layers} layers. "
                f"Received: {argument}={value}"
            )
        text = strings[value // 5]
    elif set(value) - {"0", "1"}:
        strings, names = _table(value, num_layers, argument)
        if value not in names:
            raise ValueError(
                f"Argument `{argument}` must be digits 0 and 1 or one of "
                f"{', '.join(names)}. Received: {argument}={value!r}"
            )
        text = strings[names.index(value)]
    if len(text) != num_layers:
        raise ValueError(
            f"Argument `{argument}` needs one digit per convolution of the "
            f"backbone, which has {num_layers}. "
            f"Received: {argument}={value!r} with {len(text)} digits"
        )
    return tuple(digit == "1" for digit in text)


def _table(value, num_layers, argument):
    if num_layers not in _TABLES:
        raise ValueError(
            f"Argument `{argument}`: names and test types exist for 4, 6, "
            f"8, 9 and 17 convolutions, the backbone has {num_layers}. Write "
            f"the digits instead. Received: {argument}={value!r}"
        )
    strings, names = _TABLES[num_layers]
    return strings.split(), names
