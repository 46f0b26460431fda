"""Finds the images of a folder of tasks, and says what is wrong with it."""

import difflib
import os
import pathlib
from collections.abc import Sequence

from tfcl.data_builders.image_folders import image_lists
from tfcl.data_builders.image_folders.tree_faults import (
    SUFFIXES,
    BadImages,
    TreeError,
    check_distinct,
    check_encoding,
    composed,
    named_like_an_image,
)

SPLITS = ("train", "validation", "test")
# What the folders and lists of the splits may be called, in any capitals.
_SPLIT_NAMES = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}
# What systems put beside images by themselves.
_JUNK = ("thumbs.db", "desktop.ini", "__macosx")
_LAYOUT = (
    "<task>/{train,validation,test}/<class>/*.jpg, <task>/<class>/*.jpg, or "
    "<task>/train.txt with lines 'path label'"
)


def find_images(
    root: str | os.PathLike,
    bad: BadImages,
    tasks: Sequence[str] | None = None,
    leave_root: bool = False,
) -> dict:
    """The image files of a folder of tasks.

    Args:
        root: Folder with one folder per task, which holds

            - `{train,validation,test}/<class>/` with images (`valid` and
              `val` mean validation; only `train` is needed), or
            - `<class>/` with images, or
            - `train.txt`, and perhaps `validation.txt` and `test.txt`, with
              lines `path label`; paths start at the task's folder.
        bad: What to do with files that are no images by their names.
        tasks: Names of the tasks to take, in this order. None takes all,
            sorted by name.
        leave_root: Whether paths of lists may lead out of `root`.

    Returns:
        `{task: {split: {class: [paths]}}}`. Splits are some of `SPLITS`,
        always "train". Classes are sorted by name, those of lists that are
        all numbers by value; paths by name, those of lists as listed. Tasks
        are called by the composed form of their names, classes as in train.

    Raises:
        TreeError: If the folder is not laid out as said.
    """
    root = pathlib.Path(root).expanduser()
    if not root.is_dir():
        raise TreeError(
            f"'{root}' is no folder. Give the folder that holds one folder "
            f"per task: {_LAYOUT}."
        )
    paths = [path for path in _listing(root) if path.is_dir()]
    check_distinct([path.name for path in paths], root, "tasks")
    folders = {composed(path.name): path for path in paths}
    if not folders:
        raise TreeError(f"'{root}' holds no folder of a task: {_LAYOUT}.")
    if all(name.lower() in _SPLIT_NAMES for name in folders):
        raise TreeError(
            f"'{root}' holds the splits of one task. Put them into a folder "
            f"of the task's own: {root.name}/<task>/train/<class>/*.jpg."
        )
    chosen = chosen_tasks(tasks, folders, root)
    inside = None if leave_root else root
    return {name: _task(folders[name], bad, inside) for name in chosen}


def chosen_tasks(tasks, known, root):
    """The tasks to take out of a folder.

    Args:
        tasks: Names in order; None takes all.
        known: Names of the tasks that are there.
        root: The folder, for the message.

    Returns:
        `tasks`, in the composed form of their names, or `known`.

    Raises:
        TreeError: If a task is not there; names the nearest.
    """
    tasks = [composed(name) for name in tasks or ()]
    for name in tasks:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise TreeError(
                f"'{root}' holds no task '{name}'.{hint} It holds: "
                f"{', '.join(known)}."
            )
    return tasks or known


def _task(folder, bad, inside):
    lists, splits, classes, beside = {}, {}, [], []
    for path in _listing(folder):
        stem, suffix = path.stem.lower(), path.suffix.lower()
        if path.is_dir() and _is_split(path):
            _put(splits, _SPLIT_NAMES[path.name.lower()], path)
        elif path.is_dir():
            classes.append(path)
        elif suffix == ".txt" and stem in _SPLIT_NAMES:
            _put(lists, _SPLIT_NAMES[stem], path)
        elif suffix in SUFFIXES:
            beside.append(path)
    if not lists:  # Where there are lists, images may lie anywhere.
        for path in beside:
            bad(path, "lies outside of a class's folder")
    if lists and splits:
        raise TreeError(
            f"'{folder}' holds lists and folders of splits. Keep either."
        )
    if splits and classes:
        raise TreeError(
            f"'{classes[0]}' lies beside folders of splits. Move it into one "
            f"of them, or rename it: {_LAYOUT}."
        )
    given = lists or splits
    if given and "train" not in given:
        raise TreeError(
            f"'{folder}' holds no train{'.txt' if lists else ''}, from which "
            "to learn. Add it; the other splits may be missing."
        )
    found = {"train": _classes(folder, bad)} if not given else {}
    for split in SPLITS:
        if split in lists:
            found[split] = image_lists.read(lists[split], bad, inside)
        elif split in splits:
            found[split] = _classes(splits[split], bad)
    found = _called_as_in_train(found)
    _check_task(folder, found)
    return found


def _called_as_in_train(found):
    names = {composed(name): name for name in found["train"]}
    return {
        split: {
            names.get(composed(name), name): paths
            for name, paths in classes.items()
        }
        for split, classes in found.items()
    }


def _put(found, split, path):
    if split in found:
        raise TreeError(
            f"'{found[split]}' and '{path}' both mean the {split} split. "
            "Keep one."
        )
    found[split] = path


def _is_split(folder):
    """Whether a folder is a split, and no class that is called like one."""
    if folder.name.lower() not in _SPLIT_NAMES:
        return False
    return not any(
        path.is_file() and path.suffix.lower() in SUFFIXES
        for path in _listing(folder)
    )


def _classes(folder, bad):
    folders = {path.name: path for path in _listing(folder) if path.is_dir()}
    if not folders:
        raise TreeError(f"'{folder}' holds no folder of a class: {_LAYOUT}.")
    check_distinct(folders, folder, "classes")
    return {name: _images(path, bad) for name, path in folders.items()}


def _images(folder, bad):
    found = []
    for path in _listing(folder):
        if path.is_dir():
            raise TreeError(
                f"'{path}' is a folder inside of a class's folder. Move its "
                f"images one level up, or check the layout: {_LAYOUT}."
            )
        if named_like_an_image(path, bad):
            found.append(path)
    return found


def _check_task(folder, found):
    train = found["train"]
    for split, classes in found.items():
        unknown = [name for name in classes if name not in train]
        if unknown:
            raise TreeError(
                f"'{folder}', split '{split}': class '{unknown[0]}' is not "
                f"among those to learn, {', '.join(train)} (capitals count). "
                "Add it to train, or remove or rename it."
            )
    if len(train) < 2:
        raise TreeError(
            f"'{folder}' holds the class '{next(iter(train))}' alone. A task "
            "tells at least two classes apart: add one."
        )


def _listing(folder):
    """What a folder holds, by name, without hidden files and junk."""
    try:
        paths = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        raise TreeError(
            f"'{folder}' cannot be read ({error.strerror}). Give yourself the "
            f"right to: chmod -R u+rX '{folder}'."
        ) from error
    paths = [
        path
        for path in paths
        if not path.name.startswith(".") and path.name.lower() not in _JUNK
    ]
    for path in paths:
        # Names of images are nowhere written: only those of folders matter.
        if not path.name.isascii() and path.is_dir():
            check_encoding(path)
    return paths
