"""Every mistake in a configuration is one line with its place."""

import collections.abc
import functools
import os
import pathlib
import subprocess
import sys
import typing
from typing import Any, Literal, Optional, Sequence

import gin
import pytest

from tfcl import configuration
from tfcl.arguments import fits
from tfcl.errors import UserError


@gin.configurable
class ProbeMethod:
    def __init__(self, learning_rate: float = 0.1, epochs: int = 1, tag=""):
        if learning_rate <= 0:
            raise ValueError(
                "Argument `learning_rate` must be positive. Received: "
                f"learning_rate={learning_rate}"
            )
        if epochs < 1:
            raise ValueError("Too few passes over the data.")
        self.values = (learning_rate, epochs, tag)


@gin.configurable(denylist=["seed"])
def probe_stream(
    seed: int = 0,
    shape: tuple[int, ...] = (1,),
    names: Sequence[str] = (),
    mode: Literal["a", "b"] = "a",
    limit: int | None = 3,
    shuffle: bool = True,
    sizes: Optional[dict[str, int]] = None,
    transform: collections.abc.Callable | None = None,
    anything=None,
):
    return seed, shape, names, mode, limit, shuffle, sizes, transform, anything


@gin.configurable
def probe_experiment(method=gin.REQUIRED, stream: Any = None):
    return method, stream


@gin.configurable
def probe_needs(value, *, other: "NotImportedAnywhere" = 1, size: int = 2):  # noqa: F821
    return value, other, size


@gin.configurable(allowlist=["a"])
def probe_open(a: int = 1, **others):
    return a, others


@gin.configurable
class ProbeStrict:
    def __init__(self, rate: float = 0.5, *, scale: float = 1.0):
        raise TypeError(f"`scale` does not go with `rate`: {scale}, {rate}")


@gin.configurable
def probe_fails(size: int = 1):
    raise UserError("The data set is missing.")


@pytest.fixture(autouse=True)
def _gin(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    gin.clear_config()


def write(path, text):
    folder = os.path.dirname(path)
    if folder:
        os.makedirs(folder, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def refused(*bindings, text=None):
    """Returns the message that a file or bindings are refused with."""
    files = [write("a.gin", text)] if text is not None else []
    with pytest.raises(UserError) as caught:
        configuration.load(files, bindings)
    message = str(caught.value)
    assert "\n" not in message
    assert not gin.config._CONFIG
    return message


def explained(call, *bindings):
    """Returns what is said of the error that `call` ends with."""
    text = "".join(f"{binding}\n" for binding in bindings)
    configuration.load([write("a.gin", text)], [])
    with pytest.raises((ValueError, TypeError, RuntimeError, UserError)) as it:
        call()
    found = configuration.explain(it.value)
    assert isinstance(found, UserError) and "\n" not in str(found)
    return str(found)


def unused():
    """Returns the message that unused bindings are refused with."""
    with pytest.raises(UserError) as caught:
        configuration.check_all_used()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Loading.


def test_good_configuration_loads_and_its_text_reloads_to_the_same():
    write(
        "parts/base.gin",
        "LR = 0.25\nHOW = @probe_stream\nprobe_stream.names = ['x', 'y']\n",
    )
    write(
        "a.gin",
        """
include "parts/base.gin"
import email.mime.text
# Größe
ProbeMethod.learning_rate = %LR
ProbeMethod.tag = 'a  text that is quite long, so long that gin breaks ' \\
    'it over several lines when it is written back into a file é'
warm/ProbeMethod:
    epochs = 3
probe_stream.anything = {'b': (1, -2.5, None), 'a': [%LR, @ProbeMethod()]}
probe_experiment:
    method = @warm/ProbeMethod()
    stream = %HOW
""",
    )
    configuration.load(["a.gin"], ["probe_stream.shape = (2, 3)"])
    method, stream = probe_experiment()
    assert method.values[:2] == (0.25, 3)
    assert stream()[1] == (2, 3)
    first, text = configuration.bindings(), configuration.asked()
    assert first["ProbeMethod.learning_rate"] == "0.25"
    assert first["warm/ProbeMethod.epochs"] == "3"
    assert first["probe_experiment.stream"] == "@probe_stream"
    assert "import email.mime.text" in text
    configuration.load([write("saved.gin", text)], [])
    assert configuration.bindings() == first
    assert configuration.asked() == text
    assert configuration.parse_bindings(text) == first
    assert probe_experiment()[0].values == method.values


def test_a_later_line_wins_and_keeps_its_place():
    write("b.gin", "ProbeMethod.epochs = 2\n")
    write("a.gin", "include 'b.gin'\n\nProbeMethod.epochs = 3\n")
    selector = f"{__name__}.ProbeMethod"
    key = ("", selector, "epochs")
    configuration.load(["a.gin"], [])
    assert configuration.locations() == {key: "a.gin:3"}
    assert ProbeMethod().values[1] == 3
    configuration.load(["b.gin"], ["X=1", "ProbeMethod.epochs=5"])
    assert configuration.locations()[key] == "--gin_bindings #2"
    assert configuration.locations()[("X", "gin.macro", "value")]
    assert ProbeMethod().values[1] == 5


def test_loading_again_forgets_what_was_loaded_before():
    configuration.load([], ["ProbeMethod.epochs = 2"])
    ProbeMethod()
    configuration.load([], ["ProbeMethod.learning_rate = 0.5"])
    assert configuration.bindings() == {"ProbeMethod.learning_rate": "0.5"}
    assert configuration.used() == ""
    assert "epochs" not in str(configuration.locations())


def test_files_are_found_from_the_repository_root():
    configuration.load(["gin/base.gin"], [])
    assert all(
        os.path.isfile(place.rpartition(":")[0])
        for place in configuration.locations().values()
    )
    assert configuration.locations()
    configuration.load(["gin/base.gin"], [])  # The search path does not grow.
    prefixes = gin.config._LOCATION_PREFIXES
    assert len(set(prefixes)) == len(prefixes)


def test_nothing_to_load_is_an_empty_configuration():
    configuration.load([write("a.gin", "")], ["# only a comment"])
    assert configuration.bindings() == {}
    configuration.check_all_used()


# Files and syntax.


def test_a_missing_file_is_named_with_similar_ones():
    write("runs/first.gin", "")
    with pytest.raises(UserError) as caught:
        configuration.load(["runs/frist.gin"], [])
    assert str(caught.value) == (
        "--gin_file #1: gin file 'runs/frist.gin' does not exist. "
        "Did you mean 'runs/first.gin'?"
    )


def test_a_file_asked_for_in_the_wrong_folder_is_found():
    write("gin/methods/probe.gin", "")
    message = refused(text="include 'probe.gin'\n")
    assert "Did you mean 'gin/methods/probe.gin'?" in message


def test_a_missing_include_is_named_by_the_line_that_includes_it():
    write("gin/methods/probe.gin", "")
    message = refused(text="\n\ninclude 'gin/methods/prob.gin'\n")
    assert message == (
        "a.gin:3: gin file 'gin/methods/prob.gin' does not exist. "
        "Did you mean 'gin/methods/probe.gin'?"
    )


def test_a_mistake_in_an_include_is_placed_there():
    write("b.gin", "\nProbeMethod.epoch = 1\n")
    assert refused(text="include 'b.gin'").startswith("b.gin:2: ")


def test_a_folder_is_not_a_gin_file():
    os.mkdir("d")
    with pytest.raises(UserError, match="^--gin_file #1: .*is a folder"):
        configuration.load(["d"], [])


def test_a_file_that_includes_itself_is_refused():
    write("b.gin", "include 'a.gin'")
    message = refused(text="\ninclude 'b.gin'")
    assert message == "b.gin:1: 'a.gin' includes itself."


def test_a_file_that_is_not_text_is_refused():
    with open("b.gin", "wb") as file:
        file.write(b"\xff\xfe\x00")
    assert refused(text="include 'b.gin'").startswith(
        "a.gin:1: cannot read 'b.gin': "
    )


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
        ("ProbeMethod.tag = 'a", "a.gin:3: "),
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
    assert message.startswith("--gin_bindings #2: cannot read ")


def test_a_bracket_left_open_is_placed_where_its_statement_begins():
    text = "ProbeMethod.epochs = 1\n\n  # c\nprobe_stream.shape = (\n  1,\n"
    assert refused(text=text).startswith("a.gin:4: a bracket or quote")


# Names.


def test_an_unknown_configurable_is_placed_with_the_nearest():
    for written in ("ProbeMetod", "probemethod", "PROBEMETHOD"):
        message = refused(text=f"\n{written}.epochs = 1\n")
        assert message.startswith(
            f"a.gin:2: nothing configurable is called `{written}`. "
            "Did you mean 'ProbeMethod'?"
        )


def test_an_unknown_configurable_of_a_block_is_placed_at_the_block():
    message = refused(text="ProbeMetod:\n    epochs = 1\n")
    assert message.startswith("a.gin:1: nothing configurable is called")
    assert "'ProbeMethod'" in message


def test_an_unknown_parameter_is_placed_with_the_nearest_and_the_list():
    message = refused("warm/ProbeMethod.learning_rat = 1.0")
    assert message == (
        "--gin_bindings #1: `ProbeMethod` has no parameter `learning_rat`. "
        "Did you mean 'learning_rate'? "
        "Its parameters: epochs, learning_rate, tag."
    )


def test_a_parameter_that_the_program_gives_cannot_be_bound():
    message = refused("probe_stream.seed = 1")
    assert "`probe_stream.seed` is given by the program." in message
    assert "anything, limit, mode" in message


def test_a_parameter_outside_the_allowlist_cannot_be_bound():
    configuration.load([], ["probe_open.a = 1"])
    assert "no parameter `b`" in refused("probe_open.b = 1")


def test_an_unknown_reference_is_placed_with_the_nearest():
    message = refused(
        text="probe_experiment.stream = [\n    (1, @warm/ProbeMetod())]\n"
    )
    assert message.startswith(
        "a.gin:1: nothing configurable is called `@warm/ProbeMetod()`. "
        "Did you mean 'ProbeMethod'?"
    )


def test_an_ambiguous_name_is_refused_with_the_full_names():
    for module in ("one", "two"):
        gin.configurable("ProbeTwice", module=f"probe.{module}")(lambda a=1: a)
    message = refused("ProbeTwice.a = 1")
    assert "probe.one.ProbeTwice, probe.two.ProbeTwice" in message
    configuration.load([], ["two.ProbeTwice.a = 2"])
    assert configuration.bindings() == {"two.ProbeTwice.a": "2"}


@pytest.mark.parametrize(
    "line, said",
    [
        ("import tfcl.engine.observr", "Did you mean 'observer'?"),
        ("import tfc.engine", "Did you mean 'tfcl'?"),
        ("from tfcl.engine import observr", "Did you mean 'observer'?"),
        ("import tfcl.errors.more", "ModuleNotFoundError"),
    ],
)
def test_an_import_that_fails_is_placed(line, said):
    message = refused(text=f"\n{line}\n")
    assert message.startswith(f"a.gin:2: `{line}` failed: ")
    assert said in message


def test_an_import_that_fails_inside_names_what_is_missing(monkeypatch):
    write("probe_broken.py", "import probe_not_installed\n")
    write("probe_wrong.py", "1 / 0\n")
    monkeypatch.syspath_prepend(os.getcwd())
    message = refused(text="import probe_broken")
    assert "Install what provides 'probe_not_installed'." in message
    assert "ZeroDivisionError" in refused("import probe_wrong")


# Macros.


def test_an_undefined_macro_is_placed_with_the_nearest():
    message = refused(
        text="NUM_TASKS = 3\nProbeMethod.epochs = %NUM_TASK\n",
    )
    assert message.startswith(
        "a.gin:2: macro `%NUM_TASK` is not defined. Did you mean 'NUM_TASKS'?"
    )


def test_an_undefined_macro_inside_a_value_is_found():
    message = refused("A = 1", "probe_stream.anything = {'a': [%A, %BB]}")
    assert message.startswith("--gin_bindings #2: macro `%BB` is not defined.")
    assert "Defined are: A." in message


def test_a_macro_may_be_defined_after_its_use():
    configuration.load([], ["ProbeMethod.epochs = %N", "N = 3"])
    assert ProbeMethod().values[1] == 3
    configuration.check_all_used()


def test_macros_in_a_circle_are_refused():
    message = refused("A = [%B]", "B = %A", "ProbeMethod.tag = %A")
    assert "refers to itself" in message


def test_what_only_gin_finds_at_the_end_is_one_line_too():
    message = refused("ProbeMethod.tag = @UNKNOWN/macro()")
    assert message.startswith("configuration: No bindings specified")


def test_a_macro_may_be_called_like_a_configurable():
    configuration.load(
        [],
        ["ProbeMethod = @ProbeMethod()", "probe_stream.anything=%ProbeMethod"],
    )
    assert isinstance(probe_stream()[-1], ProbeMethod)


def test_a_required_value_that_is_not_set_is_placed():
    message = refused(text="\nTASKS = %gin.REQUIRED\nProbeMethod.tag = %TASKS")
    assert message.startswith("a.gin:2: `TASKS` is required but not set.")
    assert "--gin_bindings='TASKS=...'" in message
    write("a.gin", "TASKS = %gin.REQUIRED\nProbeMethod.tag = %TASKS")
    configuration.load(["a.gin"], ["TASKS = 3"])
    assert configuration.bindings() == {"ProbeMethod.tag": "3"}


# Types.


@pytest.mark.parametrize(
    "parameter, value, kind, repaired",
    [
        ("ProbeMethod.learning_rate", "'0.1'", "float", "0.1"),
        ("ProbeMethod.learning_rate", "True", "float", None),
        ("ProbeMethod.learning_rate", "None", "float", None),
        ("ProbeMethod.epochs", "1e3", "int", "1000"),
        ("ProbeMethod.epochs", "2.5", "int", None),
        ("ProbeMethod.epochs", "False", "int", None),
        ("probe_stream.shape", "[1, 2]", "tuple[int, ...]", "(1, 2)"),
        ("probe_stream.shape", "3", "tuple[int, ...]", "(3,)"),
        ("probe_stream.shape", "(1, 2.5)", "tuple[int, ...]", None),
        ("probe_stream.names", "'ab'", "Sequence[str]", "['ab']"),
        ("probe_stream.names", "('a', 1)", "Sequence[str]", None),
        ("probe_stream.mode", "'c'", "Literal['a', 'b']", None),
        ("probe_stream.limit", "'3'", "int or None", "3"),
        ("probe_stream.shuffle", "1", "bool", "True"),
        ("probe_stream.shuffle", "'false'", "bool", "False"),
        ("probe_stream.sizes", "{'a': 'b'}", "dict[str, int] or None", None),
        ("probe_stream.transform", "'relu'", "Callable or None", None),
        ("probe_needs.size", "'2'", "int", "2"),
    ],
)
def test_a_mistyped_value_is_placed(parameter, value, kind, repaired):
    name = parameter.rpartition(".")[2]
    message = refused(text=f"\n{parameter} = {value}\n")
    received = eval(value)  # noqa: S307
    assert message.startswith(
        f"a.gin:2: `{parameter}` must be {kind}. Received: {name}={received!r}."
    )
    assert message.endswith(f"Did you mean {repaired}?") is bool(repaired)


def test_values_of_the_right_type_are_accepted():
    configuration.load(
        [],
        [
            "ProbeMethod.learning_rate = 1",
            "ProbeMethod.tag = [1]",
            "probe_stream.shape = ()",
            "probe_stream.names = ('a', 'b')",
            "probe_stream.mode = 'b'",
            "probe_stream.limit = None",
            "probe_stream.sizes = {'a': 1}",
            "probe_stream.transform = @ProbeMethod",
            "probe_stream.anything = b'bytes'",
            "probe_needs.other = 'unknown annotation'",
            "probe_needs.value = 3",
            "N = 2",
            "warm/probe_stream.shape = (1, %N)",
            "cold/probe_stream.shape = @ProbeMethod()",
            "hot/probe_stream.shape = (1, @ProbeMethod())",
        ],
    )


def test_a_mistyped_macro_is_placed_at_its_use_and_named():
    message = refused(text="N = '3'\n\nProbeMethod.epochs = %N\n")
    assert message == (
        "a.gin:3: `ProbeMethod.epochs` must be int. Received: epochs='3' "
        "(%N is set at a.gin:1). Did you mean 3?"
    )


def test_an_overridden_mistake_is_still_a_mistake():
    message = refused("ProbeMethod.epochs = 2", text="ProbeMethod.epochs = 'a'")
    assert message.startswith("a.gin:1: ")


def test_a_value_that_cannot_be_saved_is_refused():
    message = refused("ProbeMethod.learning_rate = 1e999")
    assert "ProbeMethod.learning_rate=inf has no gin text" in message


@pytest.mark.parametrize(
    "value, kind, expected",
    [
        ((1, "a"), tuple[int, str], True),
        ((1, 2), tuple[int, str], False),
        ((1,), tuple[int, str], False),
        ((1, "a"), tuple, True),
        ([1], tuple, False),
        ([1.0, 2], list[float], True),
        ((1.0,), list[float], False),
        ([1], typing.List, True),
        ((1, "a"), typing.Sequence, True),
        ("ab", collections.abc.Iterable, False),
        ([(1, 2)], Sequence[tuple[int, int]], True),
        ({"a": 1}, collections.abc.Mapping[str, float], True),
        ({1: 1}, typing.Dict[str, float], False),
        ({}, dict, True),
        (1, Literal[True], False),
        (None, Literal["a", None], True),
        (None, None, True),
        (1, typing.Annotated[int, "unit"], True),
        ("a", typing.Annotated[int, "unit"], False),
        (1, typing.Callable[[int], int], False),
        (1, typing.TypeVar("T"), True),
        ("a", ProbeMethod, True),
        ("a", os.PathLike, True),
        ("a", int | Sequence[str], False),
        (["a"], int | Sequence[str], True),
    ],
)
def test_types_fit_as_python_means_them(value, kind, expected):
    assert fits(value, kind) is expected


# Errors of what gin calls.


def test_an_error_is_placed_at_the_binding_of_its_argument():
    message = explained(ProbeMethod, "# c", "ProbeMethod.learning_rate = -1")
    assert message == (
        "a.gin:2: `ProbeMethod.learning_rate`: Argument `learning_rate` must "
        "be positive. Received: learning_rate=-1"
    )


def test_an_error_of_a_referenced_constructor_is_placed():
    message = explained(
        probe_experiment,
        "probe_experiment.method = @low/ProbeMethod()",
        "ProbeMethod.learning_rate = 1",
        "low/ProbeMethod.learning_rate = -1",
    )
    assert message.startswith("a.gin:3: `low/ProbeMethod.learning_rate`: ")


def test_an_error_in_a_scope_falls_back_to_the_outer_binding():
    message = explained(
        probe_experiment,
        "probe_experiment.method = @low/deep/ProbeMethod()",
        "low/ProbeMethod.learning_rate = -1",
    )
    assert message.startswith("a.gin:2: `low/ProbeMethod.learning_rate`: ")


def test_an_error_names_the_place_of_the_macro_too():
    message = explained(
        ProbeMethod, "LR = -1", "ProbeMethod.learning_rate = %LR"
    )
    assert message.startswith(
        "a.gin:2: `ProbeMethod.learning_rate` (%LR is set at a.gin:1): "
    )


def test_an_error_of_an_unbound_argument_has_no_place():
    message = explained(functools.partial(ProbeMethod, -1.0))
    assert message.startswith(
        "`ProbeMethod.learning_rate` (not set in gin): Argument "
    )


def test_an_error_without_argument_names_the_configurable():
    message = explained(ProbeMethod, "ProbeMethod.epochs = 0")
    assert message == "`ProbeMethod`: Too few passes over the data."


def test_a_type_error_is_placed_at_the_first_bound_argument_it_names():
    message = explained(ProbeStrict, "", "ProbeStrict.rate = 0.25")
    assert message.startswith("a.gin:2: `ProbeStrict.rate`: `scale` does not")


def test_a_required_value_without_binding_is_named():
    message = explained(probe_experiment)
    assert message == (
        "`probe_experiment.method` has no value. Set it in a gin file or by "
        "--gin_bindings='probe_experiment.method=...'."
    )


def test_a_positional_argument_without_value_is_named():
    message = explained(probe_needs, "probe_needs.size = 3")
    assert message.startswith("`probe_needs.value` has no value.")


def test_a_users_error_keeps_its_own_words():
    message = explained(probe_fails, "probe_fails.size = 3")
    assert message == "The data set is missing."


def test_an_error_that_gin_had_no_part_in_is_one_line():
    found = configuration.explain(ValueError("One\n  two."))
    assert str(found) == "One two."


# Use.


def test_everything_used_is_accepted():
    configuration.load(
        [],
        [
            "A = 0.5",
            "B = [%A]",
            "ProbeMethod.learning_rate = %A",
            "probe_stream.anything = %B",
            "probe_experiment.method = @warm/ProbeMethod()",
            "warm/ProbeMethod.epochs = 2",
            "probe_experiment.stream = @probe_stream",
        ],
    )
    probe_experiment()[1]()
    configuration.check_all_used()


def test_bindings_never_called_are_refused_in_one_line():
    text = "ProbeMethod.epochs = 2\n\nprobe_stream.limit = 4\nN = 3\n"
    configuration.load([write("a.gin", text)], ["hot/ProbeMethod.tag = 'x'"])
    ProbeMethod()
    assert unused() == (
        "a.gin:3: `probe_stream.limit` has no effect: `probe_stream` was "
        "never called; a.gin:4: `N` has no effect: nothing that was used "
        "refers to it; --gin_bindings #1: `hot/ProbeMethod.tag` has no "
        "effect: `hot/ProbeMethod` was never called. "
        "Remove what is not needed."
    )


def test_a_binding_overridden_by_the_caller_is_refused():
    configuration.load([], ["ProbeMethod.epochs = 2", "ProbeMethod.tag = 'a'"])
    ProbeMethod(epochs=3)
    message = unused()
    assert "`ProbeMethod.epochs` has no effect: the program gives" in message
    assert "tag" not in message
    ProbeMethod()  # One call that takes it is enough.
    configuration.check_all_used()


def test_a_binding_hidden_by_that_of_a_scope_is_refused():
    configuration.load(
        [], ["ProbeMethod.epochs = 2", "low/ProbeMethod.epochs = 3"]
    )
    with gin.config_scope("low"):
        ProbeMethod()
    message = unused()
    assert message.startswith("--gin_bindings #1: `ProbeMethod.epochs`")
    assert "a binding with a scope takes its place" in message


def test_a_macro_of_an_unused_binding_is_unused():
    configuration.load([], ["N = 2", "probe_stream.limit = %N"])
    ProbeMethod()
    assert "--gin_bindings #1: `N`" in unused()


# Comparing.


def test_bindings_are_the_same_in_another_process():
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "import gin\n"
        "@gin.configurable\n"
        "def probe_other(a=1, b=2, c=3): pass\n"
        "from tfcl import configuration\n"
        "configuration.load([], ['probe_other.c = @s/probe_other()',"
        " 'N = 1e-4', 's/probe_other.b = {\"y\": %N, \"x\": 1}',"
        " 'probe_other.a = @probe_other'])\n"
        "print(configuration.bindings())"
    )
    root = str(pathlib.Path(__file__).resolve().parents[2])
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program, root],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {
        "{'probe_other.a': '@probe_other', "
        "'probe_other.c': '@s/probe_other()', "
        "'s/probe_other.b': \"{'x': 1, 'y': 0.0001}\"}\n"
    }


def test_a_saved_text_is_read_without_its_modules():
    found = configuration.parse_bindings(
        "import not_there\nLR = 0.1\nOPT = @Gone()\n\n"
        "Gone.rate = %LR\na/b/Gone.parts = [%OPT, %UNKNOWN, -1]\n"
    )
    assert found == {
        "Gone.rate": "0.1",
        "a/b/Gone.parts": "[@Gone(), %UNKNOWN, -1]",
    }


def test_a_saved_text_that_is_damaged_is_refused():
    with pytest.raises(UserError, match="^saved configuration, line 2: "):
        configuration.parse_bindings("A.b = 1\nA.c =\n")


def test_differences_are_lines_for_people():
    old = {"A.rate": "0.1", "s/B.x": "1", "HPS.configuration": "'0011'"}
    new = {"A.rate": "0.2", "s/B.x": "2", "m.C.y": "3"}
    assert configuration.differences(old, new, ignore=["B"]) == [
        "A.rate: 0.1 -> 0.2",
        "HPS.configuration: '0011' -> (not set)",
        "m.C.y: (not set) -> 3",
    ]
    assert configuration.differences(old, new, ["A", "B", "C", "HPS"]) == []
    assert configuration.differences(old, dict(old)) == []
