"""Finds the images of a folder of tasks, and says what is wrong with it."""

import difflib
import os
import pathlib
from collections.abc import Sequence

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
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


class TreeError(ValueError):
    """A folder that cannot be learned; names file, rule and way out."""


class BadImages:
    """What happens to files that cannot be used.

    Args:
        skip: Leave them out and count them, instead of raising.

    Attributes:
        skipped: `(path, fault)` of the files left out.
    """

    def __init__(self, skip: bool = False):
        self.skip = skip
        self.skipped = []

    def __call__(self, path, fault):
        """Takes note of a file.

        Raises:
            TreeError: Unless such files are skipped.
        """
        if not self.skip:
            raise TreeError(
                f"'{path}' {fault}. Repair or remove it, or leave all such "
                "files out with on_bad_image = 'skip'."
            )
        self.skipped.append((path, fault))


def find_images(
    root: str | os.PathLike,
    bad: BadImages,
    tasks: Sequence[str] | None = None,
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

    Returns:
        `{task: {split: {class: [paths]}}}`. Splits are some of `SPLITS`,
        always "train". Classes are sorted by name, those of lists that are
        all numbers by value; paths by name, those of lists as listed.

    Raises:
        TreeError: If the folder is not laid out as said.
    """
    root = pathlib.Path(root).expanduser()
    if not root.is_dir():
        raise TreeError(
            f"'{root}' is no folder. Give the folder that holds one folder "
            f"per task: {_LAYOUT}."
        )
    folders = {path.name: path for path in _listing(root) if path.is_dir()}
    if not folders:
        raise TreeError(f"'{root}' holds no folder of a task: {_LAYOUT}.")
    if all(name.lower() in _SPLIT_NAMES for name in folders):
        raise TreeError(
            f"'{root}' holds the splits of one task. Put them into a folder "
            f"of the task's own: {root.name}/<task>/train/<class>/*.jpg."
        )
    _check_capitals(folders, root, "tasks")
    chosen = chosen_tasks(tasks, folders, root)
    return {name: _task(folders[name], bad) for name in chosen}


def chosen_tasks(tasks, known, root):
    """The tasks to take out of a folder.

    Args:
        tasks: Names in order; None takes all.
        known: Names of the tasks that are there.
        root: The folder, for the message.

    Returns:
        `tasks` or `known`.

    Raises:
        TreeError: If a task is not there; names the nearest.
    """
    for name in tasks or ():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise TreeError(
                f"'{root}' holds no task '{name}'.{hint} It holds: "
                f"{', '.join(known)}."
            )
    return tasks or known


def _task(folder, bad):
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
    read = _listed if lists else _classes
    found = {s: read(given[s], bad) for s in SPLITS if s in given}
    if not given:
        found = {"train": _classes(folder, bad)}
    _check_task(folder, found)
    return found


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
    _check_capitals(folders, folder, "classes")
    return {name: _images(path, bad) for name, path in folders.items()}


def _images(folder, bad):
    found = []
    for path in _listing(folder):
        if path.is_dir():
            raise TreeError(
                f"'{path}' is a folder inside of a class's folder. Move its "
                f"images one level up, or check the layout: {_LAYOUT}."
            )
        if _named_like_an_image(path, bad):
            found.append(path)
    return found


def _named_like_an_image(path, bad):
    if path.suffix.lower() in SUFFIXES:
        return True
    bad(path, f"has none of the endings {' '.join(SUFFIXES)}")
    return False


def _listed(file, bad):
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TreeError(
            f"'{file}' cannot be read ({error}). Save it as text in UTF-8."
        ) from error
    found = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        # Paths may hold blanks, labels may not.
        parts = line.strip().rsplit(None, 1)
        if len(parts) < 2:
            raise TreeError(
                f"'{file}', line {number}: a line is 'path label'. "
                f"Received: {line.strip()!r}"
            )
        path = file.parent / parts[0]
        mine = found.setdefault(parts[1], [])
        if not path.is_file():
            bad(path, f"(line {number} of '{file}') does not exist")
        elif _named_like_an_image(path, bad):
            mine.append(path)
    if not found:
        raise TreeError(f"'{file}' lists no image. Fill or delete it.")
    _check_capitals(found, file, "classes")
    numbers = all(label.isdecimal() for label in found)
    return {
        label: found[label]
        for label in sorted(found, key=int if numbers else None)
    }


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


def _check_capitals(names, place, what):
    seen = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise TreeError(
                f"'{place}': the {what} '{other}' and '{name}' differ by "
                "capitals only, which many file systems do not tell apart. "
                "Join or rename them."
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
    return [
        path
        for path in paths
        if not path.name.startswith(".") and path.name.lower() not in _JUNK
    ]
