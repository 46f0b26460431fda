"""Whoever keeps the files that backbones begin with is asked for them."""

import pytest

from tfcl.models import start_files


class _Keeper:
    def given(self, path):
        return f"kept/{path}"

    def built(self, name, build):
        return name, build()


def test_without_a_keeper_files_are_read_and_models_built_as_they_are():
    assert start_files.given("a.npz") == "a.npz"
    assert start_files.built("net", lambda: 3) == 3


def test_a_keeper_is_asked_inside_its_context_alone():
    with start_files.kept_by(_Keeper()):
        assert start_files.given("a.npz") == "kept/a.npz"
        assert start_files.built("net", lambda: 3) == ("net", 3)
    with pytest.raises(OSError), start_files.kept_by(_Keeper()):
        raise OSError
    assert start_files.given("a.npz") == "a.npz"
