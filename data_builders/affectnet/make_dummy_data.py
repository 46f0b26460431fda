"""Draws the dummy data of the builder's test: python <this file>.

Two faces for training, one of which shows contempt, and one for validation.
"""

import pathlib

from tfcl.data_builders import dummy_pictures

_HEADER = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,"
    "facial_landmarks,expression,valence,arousal\n"
)
_ROWS = {
    "training.csv": "689/a.jpg,1,1,3,4,1;2,6,0,0\n"
    "689/b.jpg,0,0,5,6,1;2,7,0,0\n",
    "validation.csv": "7/c.jpg,0,0,5,6,1;2,0,0,0\n",
}


def main():
    """Writes the files into the folder dummy_data beside this program."""
    root = pathlib.Path(__file__).parent / "dummy_data/affectnet"
    for name in ("689/a.jpg", "7/c.jpg"):
        path = root / "Manually_Annotated_Images" / name
        dummy_pictures.write(path, size=(6, 5))
    for name, rows in _ROWS.items():
        (root / name).write_text(_HEADER + rows)


if __name__ == "__main__":
    main()
