"""Draws the dummy data of the builder's test: python <this file>.

Two classes of five sketches, numbered through as in the release.
"""

import pathlib

from tfcl.data_builders import dummy_pictures


def main():
    """Writes the files into the folder dummy_data beside this program."""
    root = pathlib.Path(__file__).parent / "dummy_data/png"
    for label, name in enumerate(("airplane", "alarm clock")):
        for number in range(8 + 5 * label, 13 + 5 * label):
            dummy_pictures.write(root / name / f"{number}.png", channels=1)
    (root / "filelist.txt").write_text("airplane/8.png\n")


if __name__ == "__main__":
    main()
