"""Draws the dummy data of the builder's test: python <this file>.

Two of the 200 classes in the tree of the release, one grey image.
"""

import pathlib

from tfcl.data_builders import dummy_pictures

_NAMES = ("n01443537", "n02124075")


def main():
    """Writes the files into the folder dummy_data beside this program."""
    tree = pathlib.Path(__file__).parent / "dummy_data/tiny-imagenet-200"
    for name in _NAMES:
        for number in range(2):
            file = f"{name}_{number}.JPEG"
            dummy_pictures.write(tree / "train" / name / "images" / file)
        boxes = "".join(f"{name}_{n}.JPEG\t0\t0\t3\t3\n" for n in range(2))
        (tree / "train" / name / f"{name}_boxes.txt").write_text(boxes)
    rows = []
    for number, name in enumerate(reversed(_NAMES)):
        file = f"val_{number}.JPEG"
        channels = 1 if number else 3
        dummy_pictures.write(tree / "val/images" / file, channels=channels)
        rows.append(f"{file}\t{name}\t0\t0\t3\t3\n")
    (tree / "val/val_annotations.txt").write_text("".join(rows))
    (tree / "wnids.txt").write_text("\n".join(reversed(_NAMES)) + "\n")


if __name__ == "__main__":
    main()
