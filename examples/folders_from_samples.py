"""Lays data sets out as a folder of tasks, for gin/lasem_folders.gin.

    python examples/folders_from_samples.py my_tasks \
        birds=CUB_200_2011/images cars=stanford_cars/train \
        tiny=tiny-imagenet-200/train things=cifar-10-batches-bin

Each source becomes the task of that name. It is a folder with a folder of
images per class, at any depth (a folder called `images` is no class), or one
of CIFAR-10's binary files (`*.bin` with `batches.meta.txt`). Images are
copied, not changed.
"""

import argparse
import collections
import pathlib
import shutil
import sys

import numpy as np
import PIL.Image

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
_SIDE = 32  # Pixels of a CIFAR image.


def main(arguments=None):
    """Copies every source; returns the number of images per task."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("root", type=pathlib.Path, help="folder to make")
    parser.add_argument("sources", nargs="+", metavar="TASK=PATH")
    parser.add_argument(
        "--per_class", type=int, help="images per class; default: all"
    )
    asked = parser.parse_args(arguments)
    made = {}
    for text in asked.sources:
        task, equals, path = text.partition("=")
        if not task or not equals or not pathlib.Path(path).is_dir():
            parser.error(f"a source is TASK=PATH of a folder, not {text!r}")
        if (asked.root / task).exists():
            parser.error(f"'{asked.root / task}' is there already; remove it")
        made[task] = _copy(
            pathlib.Path(path), asked.root / task, asked.per_class
        )
        if not made[task]:
            parser.error(f"'{path}' holds neither images nor CIFAR's *.bin")
        print(f"{task}: {made[task]} images")
    return made


def _copy(source, target, limit):
    counts = collections.Counter()
    write = _cifar if list(source.glob("*.bin")) else _class_folders
    for name, stem, save in write(source):
        if limit is not None and counts[name] >= limit:
            continue
        (target / name).mkdir(parents=True, exist_ok=True)
        save(target / name / stem)
        counts[name] += 1
    return counts.total()


def _class_folders(source):
    """(class, file name, function that writes the file) of each image."""
    for path in sorted(source.rglob("*")):
        if path.suffix.lower() not in _SUFFIXES:
            continue
        folder = path.parent
        if folder.name.lower() == "images" and folder != source:
            folder = folder.parent
        if folder != source:
            yield folder.name, path.name, _copier(path)


def _copier(path):
    return lambda target: shutil.copyfile(path, target)


def _cifar(source):
    """The same of CIFAR-10's binary files: label, then planes R, G, B."""
    text = (source / "batches.meta.txt").read_text(encoding="utf-8")
    names = text.split()
    for file in sorted(source.glob("*.bin")):
        rows = np.fromfile(file, np.uint8).reshape(-1, 1 + 3 * _SIDE**2)
        for number, row in enumerate(rows):
            pixels = row[1:].reshape(3, _SIDE, _SIDE).transpose(1, 2, 0)
            image = PIL.Image.fromarray(np.ascontiguousarray(pixels))
            yield names[row[0]], f"{file.stem}_{number:05d}.png", image.save


if __name__ == "__main__":
    main()
    sys.exit(0)
