"""Draws the dummy data of the builder's test: python <this file>.

Two paintings per list, one with a comma in its name.
"""

import pathlib

from tfcl.data_builders import dummy_pictures

_TRAIN = (("Impressionism/a_b-1900,c.jpg", 12), ("Rococo/d_e.jpg", 23))
_HELD_OUT = (("Cubism/f_g.jpg", 7),)


def main():
    """Writes the files into the folder dummy_data beside this program."""
    root = pathlib.Path(__file__).parent / "dummy_data/wikiart"
    for ending, rows in (("train", _TRAIN), ("val", _HELD_OUT)):
        for name, _ in rows:
            dummy_pictures.write(root / name)
        style = "".join(f"{name},{label}\n" for name, label in rows)
        artist = "(Path to image),, (Groundtruth class)\n" + "".join(
            f"{name},,{label % 23}\n" for name, label in rows
        )
        for kind, text in (("style", style), ("artist", artist)):
            path = root / kind.title() / f"{kind}_{ending}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


if __name__ == "__main__":
    main()
