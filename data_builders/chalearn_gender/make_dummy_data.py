"""Draws the dummy data of the builder's test: python <this file>.

Lists with a header; boxes in the validation list only.
"""

import pathlib

from tfcl.data_builders import dummy_pictures

_LISTS = {
    "train": "image_name,Gender\na.jpg,Male\nb.jpg,2\n",
    "valid": "image_name,bbox_x,bbox_y,bbox_width,bbox_height,gender\n"
    "c.jpg,1,0,2,4,female\n",
}


def main():
    """Writes the files into the folder dummy_data beside this program."""
    root = pathlib.Path(__file__).parent / "dummy_data/chalearn_gender"
    for split, files in (("train", "ab"), ("valid", "c")):
        for name in files:
            dummy_pictures.write(root / split / f"{name}.jpg")
        (root / f"{split}.csv").write_text(_LISTS[split])


if __name__ == "__main__":
    main()
