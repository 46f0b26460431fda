"""Draws the dummy data of the builder's test: python <this file>.

Two folds of one pair each of one person and of two.
"""

import pathlib

from tfcl.data_builders import dummy_pictures

_PAIRS = """2\t1
Ann_A\t1\t2
Ann_A\t1\tBob_B\t1
Cyd_C\t1\t3
Bob_B\t1\tCyd_C\t3
"""
_FACES = ("Ann_A 1", "Ann_A 2", "Bob_B 1", "Cyd_C 1", "Cyd_C 3")


def main():
    """Writes the files into the folder dummy_data beside this program."""
    root = pathlib.Path(__file__).parent / "dummy_data"
    for face in _FACES:
        name, number = face.split()
        file = f"{name}_{int(number):04d}.jpg"
        dummy_pictures.write(root / "lfw" / name / file)
    (root / "pairs.txt").write_text(_PAIRS)


if __name__ == "__main__":
    main()
