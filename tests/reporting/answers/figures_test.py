"""Figures of confusion and mistakes for TensorBoard."""

import numpy as np

from tests.reporting.answers import told
from tfcl.reporting import drawing
from tfcl.reporting.answers import figures
from tfcl.reporting.answers.answers import VisitAnswers


def _texts(axes):
    return [text.get_text() for text in axes.texts]


def test_a_matrix_shows_counts_and_shares():
    counts = told.learned().confusion(4)
    figure = figures.confusion_figure(counts, told.NAMES, "pets $x$")
    axes = figure.axes[0]
    # Cows are never answered but have examples; class 3 has nothing.
    assert _texts(axes) == ["1", "2", "", "", "2", "", "", "1", ""]
    np.testing.assert_allclose(
        axes.images[0].get_array(), [[1 / 3, 2 / 3, 0], [0, 1, 0], [0, 1, 0]]
    )
    assert [t.get_text() for t in axes.get_yticklabels()] == list(told.NAMES)
    assert len(drawing.png_bytes(figure)) > 1000


def test_many_classes_have_no_numbers():
    counts = np.eye(40, dtype=int) * 5
    figure = figures.confusion_figure(counts, [f"c{k}" for k in range(40)], "")
    assert _texts(figure.axes[0]) == []


def test_a_sheet_shows_what_was_taken_for_what():
    figure = figures.mistakes_figure(told.learned(), told.NAMES, "pets")
    assert _texts(figure.axes[0]) == [
        *("cat\nas dog\n88 %", "cat\nas dog\n75 %", "<b>cow\nas dog\n75 %"),
        *("dog\n100 %", "cat\n50 %", "dog\n50 %"),
    ]
    # The image of example 2, in its shade.
    assert (figure.axes[0].images[0].get_array() == 2).all()
    assert len(drawing.png_bytes(figure)) > 1000


def test_tags_are_the_same_when_learned_and_at_the_end():
    answers = told.visit_answers()
    tags = ["confusion/pets", "mistakes/pets"]
    learned = figures.when_learned("pets", told.NAMES, answers)
    assert list(learned) == tags
    end = figures.at_the_end(
        [
            ("pets", told.NAMES, answers),
            ("same", told.NAMES, told.same_answers()),
            ("none", told.NAMES, VisitAnswers()),
        ]
    )
    assert list(end) == tags
    blind = VisitAnswers(told.learned(images={}))
    assert list(figures.when_learned("a", told.NAMES, blind)) == ["confusion/a"]
    assert figures.when_learned("a", told.NAMES, VisitAnswers()) == {}
