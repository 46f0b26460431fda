"""CONTRIBUTING.md prints code as it is in the tree."""

import pathlib
import re

import pytest

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_TEXT = (_ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"```(\w*)\n(.*?)```\n", re.DOTALL)
_OWN = "keras_state.pin()\ntesting.two_cpus()\n"  # Of the reader's conftest.
_FILE = re.compile(r"^###.*`([\w/]+\.\w+)`$", re.MULTILINE)


def _printed():
    """`(file, code)`: each block with the file that its chapter names."""
    chapters = re.split(r"(?=^##)", _TEXT, flags=re.MULTILINE)
    for chapter in chapters:
        (*_, file) = [None, *_FILE.findall(chapter)]
        for _, code in _BLOCK.findall(chapter):
            if not code.endswith(_OWN):
                yield file, code


@pytest.mark.parametrize(("file", "code"), list(_printed()))
def test_code_is_printed_from_the_file_of_its_chapter(file, code):
    assert code in (_ROOT / file).read_text(encoding="utf-8")


def test_all_of_the_method_but_names_and_text_is_printed():
    assert len(list(_printed())) >= 8
    module = _ROOT / "tfcl/methods/regularization/lwf.py"
    printed = "".join(code for _, code in _printed())
    for name in re.findall(r"def (\w+)", module.read_text()):
        if name not in ("task_state", "_weights"):
            assert f"def {name}(" in printed, name


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([\w/.]+)\)", _TEXT):
        assert (_ROOT / target).exists(), target


def test_files_it_names_are_there():
    for file in _FILE.findall(_TEXT):
        assert (_ROOT / file).is_file(), file
