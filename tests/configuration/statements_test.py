"""A text that is not gin's is refused in one line, at its place."""

import pytest

from tests.configuration.probes import refused, says


@pytest.mark.parametrize(
    "line, said",
    [
        ("ProbeMethod.tag = relu", 'Put quotes around a text: "relu".'),
        ("probe_stream.shuffle = true", "Did you mean True?"),
        ("ProbeMethod.epochs", "cannot read `ProbeMethod.epochs`"),
        ("ProbeMethod.epochs =", "Unable to parse value"),
        ("ProbeMethod.epochs = 2 * 3", "Expected newline"),
        ("ProbeMethod.epochs == 3", "Couldn't parse statement"),
        ("Probe Method.epochs = 3", "cannot read"),
        ("probe_stream.shape = [1, 2", "bracket or quote"),
        ("probe_stream.shape = (1, 2\nProbeMethod.epochs = 2", "cannot read"),
        ("ProbeMethod.tag = 'a", ""),
        ("ProbeMethod.tag = '''a", "bracket or quote"),
        ("ProbeMethod:\nepochs = 3", "Expected indentation"),
    ],
)
def test_a_syntax_error_is_placed(line, said):
    message = refused(text=f"# comment\n\n{line}\n")
    lines = ("3", "4") if "\n" in line else ("3",)
    assert message.split(": ")[0] in [f"a.gin:{number}" for number in lines]
    assert said in message


def test_a_syntax_error_in_a_binding_names_the_binding():
    message = refused("ProbeMethod.epochs=2", "ProbeMethod.tag=relu")
    assert says(message, "--gin_bindings #2: cannot read ...")


def test_a_bracket_left_open_is_placed_where_its_statement_begins():
    text = "ProbeMethod.epochs = 1\n\n  # c\nprobe_stream.shape = (\n  1,\n"
    assert says(refused(text=text), "a.gin:4: a bracket or quote...")
