"""Which answers are shown."""

import numpy as np

from tests.reporting.answers import told
from tfcl.reporting.answers.answers import (
    NUM_MISTAKES,
    NUM_RIGHT,
    Answers,
    VisitAnswers,
    class_name,
    num_classes,
)


def test_the_surest_mistakes_come_first_and_equal_ones_in_their_order():
    assert told.learned().mistakes() == [2, 1, 5]


def test_right_answers_are_those_of_different_classes_first():
    found = told.learned()
    # Dog 3 is surest; then cat 0, though dog 4 is as sure; then dog 4.
    assert found.right_ones() == [3, 0, 4]
    assert found.shown() == [2, 1, 5, 3, 0, 4]
    assert told.learned(given=told.LABELS).mistakes() == []


def test_only_a_dozen_are_shown():
    labels = np.arange(200) % 20
    given = np.where(np.arange(200) < 100, labels, (labels + 1) % 20)
    found = Answers(labels, given, np.linspace(0, 1, 200, dtype=np.float32))
    assert found.mistakes() == list(range(199, 199 - NUM_MISTAKES, -1))
    assert found.right_ones() == list(range(99, 99 - NUM_RIGHT, -1))


def test_an_end_that_has_not_changed_is_told_once():
    same, changed = told.same_answers(), told.visit_answers()
    assert list(same.moments()) == ["learned", "end"]
    assert list(same.differing()) == ["learned"] and not same.changed
    assert list(changed.differing()) == ["learned", "end"] and changed.changed
    only_now = VisitAnswers(None, told.learned())
    assert list(only_now.differing()) == ["end"] and only_now.changed
    assert VisitAnswers().moments() == {} and not VisitAnswers().changed
    assert list(VisitAnswers(told.learned()).differing()) == ["learned"]


def test_classes_without_a_name_have_a_number():
    assert class_name(told.NAMES, 1) == "dog"
    assert class_name(told.NAMES, 3) == "class 3"
    assert class_name(("a\nb",), 0) == "a\\nb"
    assert num_classes(told.NAMES, VisitAnswers()) == 3
    assert num_classes((), told.visit_answers()) == 3
