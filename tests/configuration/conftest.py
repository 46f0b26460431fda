import gin
import pytest


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    """Every test writes its gin files into a working folder of its own."""
    monkeypatch.chdir(tmp_path)
    yield
    gin.clear_config()
