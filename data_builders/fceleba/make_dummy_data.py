"""Draws the dummy data of the builder's test: python <this file>.

Two users with three training and two test images.
"""

import json
import pathlib

from tfcl.data_builders import dummy_pictures

_USERS = {
    "train": {"4": ("000001.jpg", "000002.jpg"), "0": ("000004.jpg",)},
    "test": {"4": ("000003.jpg",), "0": ("000006.jpg",)},
}


def main():
    """Writes the files into the folder dummy_data beside this program."""
    root = pathlib.Path(__file__).parent / "dummy_data"
    for split, users in _USERS.items():
        samples = {
            user: {"x": names, "y": [float(n % 2) for n in range(len(names))]}
            for user, names in users.items()
        }
        content = {
            "users": list(users),
            "num_samples": [len(names) for names in users.values()],
            "user_data": samples,
        }
        name = f"all_data_iid_01_0_keep_5_{split}_9.json"
        path = root / "fceleba" / split / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        for names in users.values():
            for name in names:
                dummy_pictures.write(root / "img_align_celeba" / name)


if __name__ == "__main__":
    main()
