"""Files of a task are known by their paths from its folder on."""

import keras
import numpy as np
import pytest

from tfcl.data.sources.folder_files import files_now, known_files
from tfcl.data.streams.folder_stream import folder_stream
from tfcl.errors import UserError


@pytest.fixture
def pets(tmp_path):
    generator = np.random.default_rng(0)
    for name in ("cat", "dog"):
        folder = tmp_path / "root/pets" / name
        folder.mkdir(parents=True)
        for number in range(4):
            image = generator.integers(256, size=(6, 6, 3))
            keras.utils.save_img(folder / f"{number}.png", image)
    return tmp_path / "root/pets"


def test_a_stream_notes_what_a_look_at_the_folder_finds(pets):
    (task,) = folder_stream(root=str(pets.parent), image_size=6).tasks
    names, files = files_now(pets)
    assert names == task.class_names == ("cat", "dog")
    assert files == task.files and len(files) == 8
    assert set(map(len, files.values())) == {16}
    (pets / "cat/0.png").write_bytes((pets / "dog/0.png").read_bytes())
    _, after = files_now(pets)
    assert [n for n in files if files[n] != after[n]] == ["cat/0.png"]


def test_a_folder_that_has_moved_has_the_same_files(pets):
    _, before = files_now(pets)
    moved = pets.rename(pets.with_name("animals"))
    assert files_now(moved)[1] == before


def test_files_from_elsewhere_keep_their_paths():
    found = known_files("/a", [("/a/pets/x.png", "1" * 64), ("/b/y.png", "2")])
    assert found == {"x.png": "1" * 16, "/b/y.png": "2"}


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty"):
        files_now(tmp_path / "empty")
