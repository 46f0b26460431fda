"""Draws the dummy data of the builder's test: python <this file>.

Two rows per fold, one of which has no group of age.
"""

import pathlib

from tfcl.data_builders import dummy_pictures

_HEADER = "user_id\toriginal_image\tface_id\tage\tgender\tx\n"
_AGES = ("(0, 2)", "(60, 100)", "(25, 32)", "(4, 6)", "(8, 12)")


def main():
    """Writes the files into the folder dummy_data beside this program."""
    root = pathlib.Path(__file__).parent / "dummy_data/adience"
    for fold, age in enumerate(_AGES):
        user = f"{fold}@N03"
        rows = f"{user}\t12.jpg\t7\t{age}\tf\t1\n{user}\t9.jpg\t8\t35\tm\t2\n"
        path = root / f"fold_{fold}_data.txt"
        file = root / "aligned" / user / "landmark_aligned_face.7.12.jpg"
        dummy_pictures.write(file)
        path.write_text(_HEADER + rows)


if __name__ == "__main__":
    main()
