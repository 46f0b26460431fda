"""Draws the dummy data of the builder's test: python <this file>.

Four images of two classes in the tree of the release, with boxes that end
inside, at and beyond the edge.
"""

import pathlib

from tfcl.data_builders import dummy_pictures

# (id, image, class, in train, box as x, y, width, height)
_IMAGES = (
    (1, "001.Black_footed_Albatross/A_0046_18.jpg", 1, 1, "1.0 2.0 4.0 3.0"),
    (2, "001.Black_footed_Albatross/A_0009_34.jpg", 1, 0, "0.0 0.0 8.0 6.0"),
    (7, "002.Laysan_Albatross/B_0002_1027.jpg", 2, 1, "5.0 3.0 9.0 9.0"),
    (9, "002.Laysan_Albatross/B_0003_1033.jpg", 2, 0, "2.0 1.0 3.0 2.0"),
)


def main():
    """Writes the files into the folder dummy_data beside this program."""
    tree = pathlib.Path(__file__).parent / "dummy_data/CUB_200_2011"
    for _, name, *_ in _IMAGES:
        dummy_pictures.write(tree / "images" / name, size=(6, 8))
    columns = {
        "images": [(p[0], p[1]) for p in _IMAGES],
        "image_class_labels": [(p[0], p[2]) for p in _IMAGES],
        "train_test_split": [(p[0], p[3]) for p in _IMAGES],
        "bounding_boxes": [(p[0], p[4]) for p in _IMAGES],
    }
    for name, rows in columns.items():
        text = "".join(f"{key} {value}\n" for key, value in rows)
        (tree / f"{name}.txt").write_text(text)


if __name__ == "__main__":
    main()
