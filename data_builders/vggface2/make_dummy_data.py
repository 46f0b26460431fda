"""Draws the dummy data of the builder's test: python <this file>.

Two identities for training, one for testing, as the owners' lists have them.
"""

import pathlib

from tfcl.data_builders import dummy_pictures

_LISTS = {
    "train": ("n000004/0001_01.jpg", "n000002/0003_02.jpg"),
    "test": ("n000001/0002_01.jpg",),
}


def main():
    """Writes the files into the folder dummy_data beside this program."""
    root = pathlib.Path(__file__).parent / "dummy_data/vggface2"
    for split, names in _LISTS.items():
        for name in names:
            dummy_pictures.write(root / split / name)
        (root / f"{split}_list.txt").write_text("\n".join(names) + "\n")


if __name__ == "__main__":
    main()
