"""Writes dummy data for the builder's test: python <this file> FOLDER.

One class of 10 images per pickle. Some 600 KB, so the test makes them.
"""

import pathlib
import pickle
import sys

import numpy as np

PER_CLASS = 10


def write(folder, names):
    """Writes the three pickles.

    Args:
        folder: `pathlib.Path`.
        names: A class of each part: training, validation, test.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (part, name) in enumerate(zip(("train", "val", "test"), names)):
        generator = np.random.default_rng(seed)
        colours = generator.integers(0, 256, (PER_CLASS, 1, 1, 3), np.uint8)
        images = np.broadcast_to(colours, (PER_CLASS, 84, 84, 3)).copy()
        content = {
            "image_data": images,
            "class_dict": {name: list(range(PER_CLASS))},
        }
        path = folder / f"mini-imagenet-cache-{part}.pkl"
        path.write_bytes(pickle.dumps(content, protocol=2))


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]), ("n01532829", "n01855672", "n01930112"))
