"""Answers worked by hand, for the tests of this folder."""

import io

import numpy as np
from PIL import Image

from tfcl.reporting.answers.answers import Answers, VisitAnswers

NAMES = ("cat", "dog", "<b>cow")
# Cats: one of three right. Dogs: both. A cow, taken for a dog.
LABELS = np.array([0, 0, 0, 1, 1, 2], np.uint16)
GIVEN = np.array([0, 1, 1, 1, 1, 1], np.uint16)
SCORES = np.array([0.5, 0.75, 0.875, 1.0, 0.5, 0.75], np.float32)


def png(shade=100, side=8):
    """A grey square."""
    buffer = io.BytesIO()
    pixels = np.full((side, side), shade, np.uint8)
    Image.fromarray(pixels).save(buffer, format="png")
    return buffer.getvalue()


def learned(**changes):
    """Half of the answers are right."""
    plain = {"labels": LABELS, "given": GIVEN, "scores": SCORES, "visits": 1}
    plain["images"] = {row: png(row) for row in (2, 1, 5, 3, 0, 4)}
    return Answers(**{**plain, **changes})


def forgotten():
    """All taken for dogs, the same surety for all."""
    scores = np.full(6, 0.75, np.float32)
    return learned(given=np.ones(6, np.uint16), scores=scores, visits=3)


def visit_answers():
    """Learned, and then partly forgotten."""
    return VisitAnswers(learned(), forgotten())


def same_answers():
    """An end that is as it was when learned."""
    found = learned()
    return VisitAnswers(found, found)
