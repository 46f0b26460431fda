"""classes.csv, confusion.csv and mistakes.csv, line by line."""

from tests.reporting.answers import told
from tfcl.reporting.answers.answers import VisitAnswers
from tfcl.reporting.answers.tables import texts

_CLASSES = """\
task,class,examples,learned_right,learned_accuracy,end_right,end_accuracy
pets,cat,3,1,0.333333,0,0.000000
pets,dog,2,2,1.000000,2,1.000000
pets,<b>cow,1,0,0.000000,0,0.000000
"""
_CONFUSION = """\
task,moment,true_class,given_class,examples
pets,learned,cat,cat,1
pets,learned,cat,dog,2
pets,learned,dog,dog,2
pets,learned,<b>cow,dog,1
pets,end,cat,dog,3
pets,end,dog,dog,2
pets,end,<b>cow,dog,1
"""
_MISTAKES = """\
task,moment,test_example,true_class,given_class,score
pets,learned,2,cat,dog,0.875000
pets,learned,1,cat,dog,0.750000
pets,learned,5,<b>cow,dog,0.750000
pets,end,0,cat,dog,0.750000
pets,end,1,cat,dog,0.750000
pets,end,2,cat,dog,0.750000
pets,end,5,<b>cow,dog,0.750000
"""


def test_every_number_of_a_task():
    found = texts([("pets", told.NAMES, told.visit_answers())])
    assert found == {
        "classes.csv": _CLASSES,
        "confusion.csv": _CONFUSION,
        "mistakes.csv": _MISTAKES,
    }


def test_a_class_without_examples_has_no_line_and_what_is_unknown_no_number():
    names = (*told.NAMES, "never")
    found = texts([("pets", names, VisitAnswers(told.learned()))])
    lines = found["classes.csv"].splitlines()
    assert lines[1:] == [
        "pets,cat,3,1,0.333333,,",
        "pets,dog,2,2,1.000000,,",
        "pets,<b>cow,1,0,0.000000,,",
    ]
    assert ",end," not in found["confusion.csv"] + found["mistakes.csv"]
    now = texts([("pets", names, VisitAnswers(None, told.learned()))])
    assert now["classes.csv"].splitlines()[1] == "pets,cat,3,,,1,0.333333"


def test_an_end_that_has_not_changed_is_told_for_those_who_read_it():
    lines = texts([("pets", told.NAMES, told.same_answers())])
    assert "pets,cat,3,1,0.333333,1,0.333333" in lines["classes.csv"]
    assert "pets,end,2,cat,dog,0.875000" in lines["mistakes.csv"]


def test_without_answers_there_is_no_file():
    assert texts([("pets", told.NAMES, VisitAnswers())]) == {}
    assert texts([]) == {}
