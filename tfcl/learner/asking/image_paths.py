"""Image files that a user has named: one by one, or by their folders."""

from __future__ import annotations

import os
import pathlib
import typing
import unicodedata

from tfcl.data_builders.image_folders.tree_faults import SUFFIXES
from tfcl.errors import UserError
from tfcl.files import local_path

if typing.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


STDIN = "-"


def image_paths(given: Sequence[str], lines: Iterable[str]) -> list[str]:
    """The files that arguments of a command name.

    Args:
        given: Files; folders, whose images are taken with those of their
            sub-folders, by their endings and sorted; and `-` for `lines`.
        lines: A file or folder per line, such as of standard input; read only
            if asked for.

    Raises:
        UserError: If a folder has no image, or nothing is named.
    """
    found: list[str] = []
    for path in given:
        if path == STDIN:
            named = (line.rstrip("\r\n") for line in lines)
            found += image_paths([p for p in named if p not in ("", STDIN)], ())
        else:
            path = local_path(path, "path")
            found += images_below(path) if os.path.isdir(path) else [path]
    return found


def images_below(folder: str | pathlib.Path) -> list[str]:
    """The image files of a folder and its sub-folders, sorted.

    Hidden ones are passed over, and links to folders, which may lead in
    circles.

    Raises:
        UserError: If there is none.
    """
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            os.path.join(place, name)
            for name in files
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
    if not found:
        raise UserError(
            f"Folder {folder} holds no image: no file ends in "
            f"{' '.join(SUFFIXES)}."
        )
    return sorted(found)


def class_folders(folder: str | pathlib.Path) -> dict[str, list[str]]:
    """`{class: image files}` of a folder with one sub-folder per class.

    Raises:
        UserError: If there is no such folder, no sub-folder, or one without
            images.
    """
    root = pathlib.Path(folder)
    if not root.is_dir():
        raise UserError(
            f"--images {folder} is no folder. Give one that has a sub-folder "
            "of images for each class."
        )
    inside = sorted(
        each
        for each in root.iterdir()
        if each.is_dir() and not each.name.startswith(".")
    )
    if not inside:
        raise UserError(
            f"--images {folder} has no sub-folders: put the images of each "
            "class into one that is called like the class."
        )
    # As tasks of folders are called.
    return {
        unicodedata.normalize("NFC", each.name): images_below(each)
        for each in inside
    }
