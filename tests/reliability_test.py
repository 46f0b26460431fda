"""docs/reliability.md: every line has its test, and readers find the page."""

import pathlib

from tests.testing.tables_of_tests import missing_tests, named_tests

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_PAGE = "docs/reliability.md"


def test_every_line_names_a_test_that_exists():
    assert len(named_tests(_PAGE)) > 70
    assert not missing_tests(_PAGE)


def test_a_line_of_a_test_that_is_gone_is_found(tmp_path):
    page = tmp_path / "page.md"
    row = "| a | b | `tests/reliability_test.py::test_{}` |\n"
    page.write_text(
        "| fault | what happens | test |\n|---|---|---|\n"
        + row.format("every_line_names_a_test_that_exists")
        + row.format("that_is_gone")
        + "| a | b | `tests/gone_test.py::test_a` |\n"
    )
    assert missing_tests(page) == [
        "tests/reliability_test.py::test_that_is_gone",
        "tests/gone_test.py::test_a",
    ]


def test_every_property_of_hostile_input_is_a_line():
    source = (_ROOT / "tests/hostile_input_test.py").read_text()
    named = {n for path, n in named_tests(_PAGE) if "hostile_input" in path}
    tests = {
        line.partition("(")[0].removeprefix("def ")
        for line in source.splitlines()
        if line.startswith("def test_")
    }
    assert named == tests != set()


def test_every_reader_finds_the_page():
    assert "(docs/reliability.md)" in (_ROOT / "README.md").read_text()
