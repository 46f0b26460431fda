"""Draws the dummy data of the builder's test: python <this file>.

Two tasks of two classes, one with folders of splits and one without, in
several kinds of files.
"""

import pathlib

import numpy as np
import PIL.Image

_TREE = pathlib.Path(__file__).parent / "dummy_data"
_FILES = (
    "birds/train/magpie/1.png",
    "birds/train/magpie/2.jpg",
    "birds/train/robin/1.bmp",
    "birds/test/magpie/3.gif",
    "birds/test/robin/2.webp",
    "cars/beetle/1.png",
    "cars/mini/1.png",
    "cars/mini/2.png",
)


def main():
    """Writes the files into the folder dummy_data beside this program."""
    for number, name in enumerate(_FILES):
        pixels = np.random.default_rng(number).integers(
            0, 256, (4 + number % 3, 5, 3), np.uint8
        )
        path = _TREE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(pixels).save(path)


if __name__ == "__main__":
    main()
