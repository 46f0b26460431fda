"""Files of answers come back as they were, or say that they are damaged."""

import dataclasses

import numpy as np
import pytest

from tfcl.engine.answers.answer_files import (
    END,
    LEARNED,
    AnswerFiles,
    StoredAnswers,
)
from tfcl.engine.storage.bank import Bank
from tfcl.errors import RunError
from tfcl.reporting.answers.answers import Answers

_ANSWERS = Answers(
    labels=np.array([0, 1, 300]),
    given=np.array([1, 1, 2]),
    scores=np.array([0.5, 0.25, 1.0], np.float32),
    images={2: b"abc", 0: b"", 1: b"de"},
    visits=4,
)
_STORED = StoredAnswers("d", 4, _ANSWERS)
_SAME = StoredAnswers("d", 5, None)


def _assert_equal(found, wanted):
    for field in dataclasses.fields(Answers):
        value = getattr(found, field.name)
        other = getattr(wanted, field.name)
        if isinstance(other, np.ndarray):
            np.testing.assert_array_equal(value, other)
        else:
            assert value == other, field.name


@pytest.fixture
def files(tmp_path):
    return AnswerFiles(tmp_path / "answers")


def test_what_is_written_comes_back(files):
    files.write(3, "pets", LEARNED, _STORED)
    found = files.read(3, "pets", LEARNED)
    assert (found.digest, found.visits) == ("d", 4)
    _assert_equal(found.answers, _ANSWERS)
    assert found.answers.labels.dtype == found.answers.given.dtype == np.uint16
    assert found.answers.scores.dtype == np.float32
    (path,) = files.folder.iterdir()
    assert path.name == "003_pets_learned.npz"
    # Written again, it is the same to the bit.
    content = path.read_bytes()
    files.write(3, "pets", LEARNED, _STORED)
    assert path.read_bytes() == content


def test_more_classes_than_two_bytes_can_count(files):
    many = dataclasses.replace(_ANSWERS, labels=np.array([0, 1, 70_000]))
    files.write(0, "a", LEARNED, StoredAnswers("d", 1, many))
    found = files.read(0, "a", LEARNED).answers
    assert found.labels.tolist() == [0, 1, 70_000]


def test_answers_without_images_keep_the_reason(files):
    blind = dataclasses.replace(_ANSWERS, images={}, without_images="points")
    files.write(0, "a", LEARNED, StoredAnswers("d", 4, blind))
    _assert_equal(files.read(0, "a", LEARNED).answers, blind)


def test_a_run_without_answers_has_none(files):
    assert files.read(0, "a", LEARNED) is None
    found, lost = files.of_visit(0, "a", 1)
    assert found.moments() == {} and lost == []


def test_both_moments_of_a_visit(files):
    files.write(0, "a", LEARNED, _STORED)
    found, _ = files.of_visit(0, "a", 5)
    assert found.learned is not None and found.end is None
    files.write(0, "a", END, _SAME)
    found, _ = files.of_visit(0, "a", 5)
    assert found.end is found.learned is not None
    # An end that came after the visits that are asked for.
    assert files.of_visit(0, "a", 4)[0].end is None
    files.write(0, "a", END, StoredAnswers("e", 5, _ANSWERS))
    found, lost = files.of_visit(0, "a", 6)
    assert found.changed and lost == []


@pytest.mark.parametrize("how", ["cut", "bit", "other", "gone"])
def test_damage_is_told_and_the_rest_is_read(files, how):
    files.write(0, "a", LEARNED, _STORED)
    files.write(0, "a", END, StoredAnswers("e", 5, _ANSWERS))
    path = files.folder / "000_a_learned.npz"
    content = bytearray(path.read_bytes())
    if how == "cut":
        path.write_bytes(content[:-30])
    elif how == "bit":
        content[content.index(b"abc")] ^= 1
        path.write_bytes(content)
    elif how == "other":
        files.write(1, "b", LEARNED, _STORED)
        path.write_bytes((files.folder / "001_b_learned.npz").read_bytes())
    else:
        path.unlink()
    found, lost = files.of_visit(0, "a", 5)
    assert found.learned is None and found.end is not None
    if how == "gone":
        assert lost == []
        return
    assert len(lost) == 1 and "answers of task 'a' cannot be read" in lost[0]
    with pytest.raises(RunError, match="delete it: reports then go without"):
        files.read(0, "a", LEARNED)


def test_a_wrong_checksum_is_noticed_where_the_archive_is_whole(
    files, monkeypatch
):
    with monkeypatch.context() as patched:
        name = "tfcl.engine.answers.answer_files._checksum"
        patched.setattr(name, lambda arrays: "0")
        files.write(0, "a", LEARNED, _STORED)
    with pytest.raises(RunError, match="its checksum is wrong"):
        files.read(0, "a", LEARNED)


def test_they_lie_beside_the_bank(tmp_path):
    files = AnswerFiles.beside(Bank(tmp_path / "tasks", writes=False))
    assert files.folder == tmp_path / "answers" and not files.writes


def test_a_disk_that_takes_nothing_ends_in_one_line(tmp_path):
    (tmp_path / "answers").write_text("in the way")
    files = AnswerFiles(tmp_path / "answers")
    with pytest.raises(RunError, match="Cannot write the answers of task 'a'"):
        files.write(0, "a", LEARNED, _STORED)
