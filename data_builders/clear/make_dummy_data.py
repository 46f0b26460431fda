"""Draws the dummy data of the builder's test: python <this file>.

Bucket 2 of CLEAR-10, one image per class and split.
"""

import pathlib

from tfcl.data_builders import dummy_images
from tfcl.data_builders.clear.clear_dataset_builder import CLASS_NAMES


def main():
    """Writes the files into the folder dummy_data beside this program."""
    root = pathlib.Path(__file__).parent / "dummy_data/clear10"
    for number, folder in enumerate(("train_image_only", "test")):
        for name in CLASS_NAMES:
            place = root / folder / "labeled_images/2" / name
            dummy_images.write(place / f"{number}.jpg")


if __name__ == "__main__":
    main()
