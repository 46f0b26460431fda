"""The published tables of static transfer configurations."""

import pytest

from tfcl.methods.lasem.transfer_configurations import transfer_configuration

# Layers, then digits by test type // 5, from the LASEM programs.
_PUBLISHED = {
    4: ["1111", "0001", "0011", "0111", "1000", "1100", "1110", "0101", "1010"],
    6: ["111111", "000001", "000011", "000111", "001111", "011111", "100000"]
    + ["110000", "111000", "111100", "111110", "010101"],
    8: ["11111111", "00000011", "00001111", "00111111", "11000000"]
    + ["11110000", "11111100", "01010101", "10101010"],
    9: ["111111111"],
    17: ["11111111111111111"],
}
_TYPES = [
    (layers, 5 * row + weight, digits)
    for layers, table in _PUBLISHED.items()
    for row, digits in enumerate(table)
    for weight in (0, 4)
]


def _digits(value, num_layers):
    sharing = transfer_configuration(value, num_layers)
    assert isinstance(sharing, tuple)
    assert all(isinstance(shared, bool) for shared in sharing)
    return "".join("1" if shared else "0" for shared in sharing)


@pytest.mark.parametrize(("layers", "test_type", "digits"), _TYPES)
def test_test_types_are_the_published_ones(layers, test_type, digits):
    assert _digits(test_type, layers) == digits


# Six layers on Office-Home; the first two are never shared.
_OFFICE_HOME = ["001111", "000001", "000011", "000111", "001000"]
_OFFICE_HOME += ["001100", "001110", "000101", "001010"]


@pytest.mark.parametrize(("row", "digits"), list(enumerate(_OFFICE_HOME)))
def test_office_home_has_a_table_of_its_own(row, digits):
    for test_type in (5 * row, 5 * row + 4):
        assert _digits(f"office_home:{test_type}", 6) == digits
        # Without the prefix the common table holds.
        assert _digits(test_type, 6) == _PUBLISHED[6][row]


@pytest.mark.parametrize(
    ("name", "digits"),
    [
        ("all", "001111"),
        ("top_3", "000111"),
        ("bottom_1", "001000"),
        ("alternating", "000101"),
        ("alternating_inverse", "001010"),
    ],
)
def test_its_names_count_the_four_last_layers(name, digits):
    assert _digits(f"office_home:{name}", 6) == digits


@pytest.mark.parametrize("layers", [4, 6, 8])
def test_names_say_how_many_layers_of_which_end_are_shared(layers):
    published = set(_PUBLISHED[layers])
    named = set()
    for count in range(1, layers):
        top = "0" * (layers - count) + "1" * count
        for name, digits in (
            (f"top_{count}", top),
            (f"bottom_{count}", top[::-1]),
        ):
            if digits in published:
                assert _digits(name, layers) == digits
                named.add(digits)
    assert _digits("all", layers) == "1" * layers
    assert _digits("alternating", layers) == "01" * (layers // 2)
    named |= {"1" * layers, "01" * (layers // 2)}
    if layers != 6:  # has no such row
        assert _digits("alternating_inverse", layers) == "10" * (layers // 2)
        named.add("10" * (layers // 2))
    assert named == published


@pytest.mark.parametrize("layers", [9, 17])
def test_deep_networks_know_one_name(layers):
    assert _digits("all", layers) == "1" * layers


@pytest.mark.parametrize("digits", ["0", "1", "01", "0000", "10110"])
def test_digits_say_it_for_any_number_of_layers(digits):
    assert _digits(digits, len(digits)) == digits


@pytest.mark.parametrize(
    ("name", "layers", "digits"),
    [
        ("all", 5, "11111"),
        ("top_2", 3, "011"),
        ("bottom_2", 3, "110"),
        ("bottom_3", 2, "11"),
        ("alternating", 3, "010"),
        ("alternating_inverse", 5, "10101"),
    ],
)
def test_names_hold_for_numbers_of_layers_without_a_table(name, layers, digits):
    assert _digits(name, layers) == digits


@pytest.mark.parametrize(
    ("value", "layers", "message"),
    [
        ("001", 4, "has 4.*'001' with 3 digits"),
        ("00111", 4, "has 4.*'00111' with 5 digits"),
        ("", 4, "has 4.*'' with 0 digits"),
        ("0012", 4, "digits 0 and 1 or one of all, top_1.*'0012'"),
        ("top_5", 4, "'top_5'"),
        ("alternating_inverse", 6, "'alternating_inverse'"),
        ("top_2", 9, "one of all. Received: configuration='top_2'"),
        ("most", 5, "4, 6, 8, 9 and 17 convolutions.*has 5.*digits instead"),
        (0, 5, "has 5. Write the digits instead. Received: configuration=0"),
        (45, 4, r"0\.\.44 for 4 layers. Received: configuration=45"),
        (-1, 4, r"0\.\.44 for 4 layers. Received: configuration=-1"),
        (60, 6, r"0\.\.59 for 6 layers. Received: configuration=60"),
        (5, 17, r"0\.\.4 for 17 layers. Received: configuration=5"),
        ("office_home:all", 4, "exist for 6 convolutions.*has 4"),
        ("office_home:45", 6, r"0\.\.44 for 6.*'office_home:45'"),
        ("office_home:-1", 6, "one of all, top_1.*'office_home:-1'"),
        ("office_home:top_4", 6, "one of all, top_1.*'office_home:top_4'"),
        ("office_home:", 6, "one of all.*'office_home:'"),
        # Digits without quotation marks.
        (1111, 4, r"0\.\.44 for 4 layers. Received: configuration=1111"),
    ],
)
def test_what_no_table_holds_is_refused(value, layers, message):
    with pytest.raises(ValueError, match=message):
        transfer_configuration(value, layers)
