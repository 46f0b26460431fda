"""Decisions of the host."""

from tfcl.engine.training.deciding import Deciding
from tfcl.methods.work import Decision


def test_the_method_is_asked_once():
    asked = []
    work = Decision("grow", lambda: asked.append(0) or [3, 4])
    assert Deciding().perform(None, work) == {"value": [3, 4]}
    assert len(asked) == 1
