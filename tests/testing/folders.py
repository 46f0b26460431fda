"""Folders of made-up images, as a user would lay them out."""

import pathlib

import numpy as np
import PIL.Image


def draw(path, key=0, size=(10, 12), **options):
    """Writes an image of noise, different for every key; returns its path."""
    generator = np.random.default_rng(key)
    pixels = generator.integers(0, 256, (*size, 3), np.uint8)
    return save(path, pixels, **options)


def save(path, pixels, mode=None, **options):
    """Writes pixels as an image of any mode; returns its path."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = PIL.Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def draw_task(root, name, per_class, splits=("",), size=(10, 12)):
    """Writes `<root>/<name>/<split>/<class>/<k>.png`.

    Args:
        root: Folder of the tasks.
        name: Task.
        per_class: `{class: number of images}`.
        splits: Names of folders; "" leaves that level out.
        size: `(height, width)`.
    """
    for split in splits:
        for class_name, count in per_class.items():
            for k in range(count):
                path = pathlib.Path(root, name, split, class_name, f"{k}.png")
                # Different in every place, the same in every run.
                key = list(f"{name}/{split}/{class_name}/{k}".encode())
                draw(path, key, size)
    return pathlib.Path(root)
