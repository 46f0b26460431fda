"""One word per thing: words that the glossary replaced do not come back.

Nothing is imported; texts are read: README, docs, the READMEs of the builders,
comments of gin files, and Python files as they are, names included. What stands
in backticks or in a block of code is left out: users type it.
"""

import functools
import pathlib
import re

import pytest

_ROOT = pathlib.Path(__file__).resolve().parents[1]
# (what was written, what is written instead, an example). Only words that are
# wrong wherever they stand: "numbers" or "head" are not.
_REPLACED = (
    ("pictures?", "image (a photograph) or figure (drawn)", "a grey picture"),
    ("trunks?", "backbone", "the trunk is shared"),
    ("dear(er)?", "expensive", "draws are dear"),
    (
        r"(give[ns]?|gave)( \w+){0,2} free",
        "release",
        "gives the directory free",
    ),
    ("hang(s|ing)? on", "depend on", "C-20 hangs on the seed"),
    (
        "(they|that|it|scores|keys|heads|picks|memories|layers) rests?|resting",
        "is frozen",
        "after this the keys rest",
    ),
    ("for good", "final, or frozen", "the choice falls for good"),
    ("who of (them|these)", "which of them", "who of them may change"),
    (
        "(million numbers|numbers (stored|per task|per batch norm))",
        "parameters",
        "0.33 million\nnumbers",
    ),
    ("(?-i:[Ff]inetun(e|ed|ing))", "fine-tune, ...", "Finetuned models"),
    ("on and on", "fine-tuning", "one network trained on and on"),
    ("of before", "from before, former", "the kernel of\n# before"),
    ("it is the seeds", "the seeds are the reason", "it is the seeds"),
)
# (path, line that holds it, why the word is right there).
_ALLOWED = (
    (
        "tfcl/configuration/moved.py",
        '"tfcl.data.pictures": ',
        "the former name of a module",
    ),
    (
        "tfcl/configuration/former_names.py",
        '"finetune": ',
        "the former name of a file",
    ),
    (
        "data_builders/office_home/make_dummy_data.py",
        'b"no picture"',
        "the content of a file that is kept beside it",
    ),
    (
        "tfcl/methods/cpg/cpg.py",
        'phase("finetune")',
        "the name of a phase, in journals and histories",
    ),
    (
        "tfcl/methods/cpg/packnet.py",
        'finetune = self.training.phase("finetune")',
        "the name of a phase, in journals and histories",
    ),
    ("tfcl/methods/cpg/packnet.py", "finetune,", "that phase"),
    ("tfcl/methods/cpg/packnet.py", "replace(finetune, ", "that phase"),
    (
        "benchmarks/cpg.py",
        '"finetune": _case(',
        "the name of a case, in tables of former versions",
    ),
)
_SPAN = re.compile(r"`[^`\n]*`")
_FENCED = re.compile(r"^```.*?^```", re.M | re.S)
_INDENTED = re.compile(r"^ {4}.*", re.M)
_NO_COMMENT = re.compile(r"^[^#\n]+", re.M)
_CODE = {
    ".md": (_FENCED, _INDENTED, _SPAN),
    ".gin": (_NO_COMMENT, _SPAN),
    ".py": (_SPAN,),
}


def _pattern(words):
    # A phrase may be broken into two lines, of a comment, too.
    words = words.replace(" ", r"\s+(?:#\s+)?")
    return re.compile(rf"(?<![\w/-])(?:{words})(?![\w/-])", re.I)


_PATTERNS = tuple((_pattern(words), word) for words, word, _ in _REPLACED)


def test_replaced_words_do_not_come_back():
    wrong = [
        f"{path}:{number}: '{text}'; write: {word}"
        for path, number, line, text, word in _every_find()
        if not any(path == p and part in line for p, part, _ in _ALLOWED)
    ]
    assert not wrong, "\n" + "\n".join(wrong)


def test_every_exception_is_needed():
    found = [(path, line) for path, _, line, _, _ in _every_find()]
    idle = [
        (allowed, part)
        for allowed, part, _ in _ALLOWED
        if not any(path == allowed and part in line for path, line in found)
    ]
    assert not idle, idle


@pytest.mark.parametrize("words, word, example", _REPLACED)
def test_every_word_is_found(words, word, example):
    for kind in (".md", ".py"):
        assert [w for *_, w in _finds(f"A text.\n{example}\n", kind)] == [word]


def test_what_users_type_is_no_word():
    text = "`picture`\n```\npicture\n```\n    --picture\n\na picture\n"
    assert [number for number, *_ in _finds(text, ".md")] == [7]
    text = "picture/Rate.value = 1  # of a picture, `picture`\n"
    assert len(_finds(text, ".gin")) == 1
    assert not _finds("on_bad_picture = runs/picture, picture/x\n", ".py")


@functools.cache
def _every_find():
    return [
        (path.relative_to(_ROOT).as_posix(), *find)
        for path in _files()
        for find in _finds(path.read_text(encoding="utf-8"), path.suffix)
    ]


def _files():
    found = [_ROOT / "README.md"]
    for pattern in (
        "docs/*.md",
        "data_builders/*/README.md",
        "gin/**/*.gin",
        "tfcl/**/*.py",
        "data_builders/**/*.py",
        "benchmarks/*.py",
        "examples/*.py",
    ):
        some = sorted(_ROOT.glob(pattern))
        assert some, pattern
        found += some
    return found


def _finds(text, kind):
    """[(number of the line, line, what was found, what to write), ...]."""
    prose = text
    for code in _CODE[kind]:
        prose = code.sub(_blank, prose)
    lines = text.splitlines()
    finds = []
    for pattern, word in _PATTERNS:
        for match in pattern.finditer(prose):
            number = prose.count("\n", 0, match.start()) + 1
            found = " ".join(match.group().split())
            finds.append((number, lines[number - 1], found, word))
    return finds


def _blank(match):
    # Not by spaces: words beside it would become a phrase.
    return re.sub(r"[^\n]", "~", match.group())
