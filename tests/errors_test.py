"""Exit codes of the ways in which a command ends."""

import os

import pytest

from tfcl import errors


@pytest.mark.parametrize(
    "kind, code",
    [
        (errors.UserError, 2),
        (errors.RunError, 1),
        (errors.Interrupted, os.EX_TEMPFAIL),
    ],
)
def test_each_has_its_code_and_is_one_of_them(kind, code):
    assert kind("why").exit_code == code
    with pytest.raises(errors.TfclError, match="why"):
        raise kind("why")
