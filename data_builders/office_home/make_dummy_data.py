"""Draws the dummy data of the builder's test: python <this file>.

One tiny JPEG per class of two domains, in the tree of the release, sizes
differing, with what copies of the set have too: other capitals, a grey
image, a file that is no image.
"""

import pathlib

import numpy as np
import tensorflow as tf

from tfcl.data_builders.office_home.office_home_dataset_builder import (
    CLASS_NAMES,
)

_TREE = pathlib.Path(__file__).parent / "dummy_data/OfficeHomeDataset_10072016"
_OTHER_CAPITALS = {"Ruler": "ruler", "ToothBrush": "Toothbrush"}


def main():
    """Writes the files into the folder dummy_data beside this program."""
    for place, domain in enumerate(("Product", "Real World")):
        for label, name in enumerate(CLASS_NAMES):
            folder = _TREE / domain / _OTHER_CAPITALS.get(name, name)
            folder.mkdir(parents=True, exist_ok=True)
            channels = 1 if name == "Mug" else 3
            shape = (4 + label % 3, 4 + label % 2, channels)
            colour = np.random.default_rng((place, label)).integers(
                0, 256, channels, np.uint8
            )
            image = np.broadcast_to(colour, shape)
            encoded = tf.io.encode_jpeg(image, quality=50)
            (folder / "00001.jpg").write_bytes(encoded.numpy())
        (_TREE / domain / "Mug" / "Thumbs.db").write_bytes(b"no picture")


if __name__ == "__main__":
    main()
