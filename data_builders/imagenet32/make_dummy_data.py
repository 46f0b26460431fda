"""Writes the dummy data of the builder's test: python <this file>.

Two training batches and one validation batch of a few rows.
"""

import pathlib
import pickle

import numpy as np

_FILES = {
    "train/train_data_batch_1": [1, 1000],
    "train/train_data_batch_2": [500],
    "test/val_data": [7, 2],
}


def main():
    """Writes the files into the folder dummy_data beside this program."""
    root = pathlib.Path(__file__).parent / "dummy_data/imagenet"
    for seed, (name, labels) in enumerate(_FILES.items()):
        content = {"data": planes(seed, len(labels)), "labels": labels}
        if name.startswith("train"):
            content["mean"] = content["data"].mean(axis=0)
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(content, protocol=3))


def planes(seed, count):
    """Rows whose planes have one value each."""
    values = np.random.default_rng(seed).integers(0, 256, (count, 3), np.uint8)
    return np.repeat(values, 32 * 32, axis=1)


if __name__ == "__main__":
    main()
