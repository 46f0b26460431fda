"""Writes the dummy data of the builder's test: python <this file>.

Two files with one user each, as LEAF writes them.
"""

import json
import pathlib

import numpy as np

_SIZES = {"train": 2, "test": 1}


def main():
    """Writes the files into the folder dummy_data beside this program."""
    root = pathlib.Path(__file__).parent / "dummy_data/femnist"
    for number in range(2):
        for split, size in _SIZES.items():
            generator = np.random.default_rng((number, size))
            # White with some grey dots; 0.999 must not become white.
            images = np.ones((size, 784))
            images[:, 380:400] = generator.uniform(0, 1, (size, 20)).round(3)
            images[:, 0] = 0.999
            user = f"user_{number}"
            samples = {
                "x": images.tolist(),
                "y": generator.integers(0, 62, size).tolist(),
            }
            name = f"all_data_{number}_iid_01_0_keep_0_{split}_9.json"
            path = root / split / name
            path.parent.mkdir(parents=True, exist_ok=True)
            content = {
                "users": [user],
                "num_samples": [size],
                "user_data": {user: samples},
            }
            path.write_text(json.dumps(content))


if __name__ == "__main__":
    main()
