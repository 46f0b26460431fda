"""Which files a task out of a folder is made of, to say what has changed."""

from __future__ import annotations

import hashlib
import os
import pathlib
import typing

from tfcl.data_builders import regular_files
from tfcl.data_builders.image_folders import image_tree
from tfcl.data_builders.image_folders.tree_faults import BadImages
from tfcl.errors import UserError

if typing.TYPE_CHECKING:
    from collections.abc import Iterable

    from tfcl.types import Folder


# Hexadecimal letters of a SHA-256: they only tell two files of one name apart.
_LETTERS = 16


def known_files(
    root: Folder, found: Iterable[tuple[str, str]]
) -> dict[str, str]:
    """Files of a task, as a run notes them.

    Args:
        root: Folder of the task's folder.
        found: `(path, SHA-256 of the content)` of each.

    Returns:
        `{path from the task's folder on: begin of the SHA-256}`.
    """
    base = os.path.expanduser(os.fspath(root))
    noted = {}
    for path, digest in found:
        first, *rest = pathlib.PurePath(os.path.relpath(path, base)).parts
        # Lists may lead out of the folder.
        inside = rest and first != os.pardir
        name = "/".join(rest) if inside else path
        noted[name] = digest[:_LETTERS]
    return noted


def files_now(folder: Folder) -> tuple[tuple[str, ...], dict[str, str]]:
    """Classes and files of a task's folder, none of them decoded.

    Args:
        folder: Of the task; what is no image by its name does not count.

    Returns:
        Names of the classes, and files as of `known_files`.

    Raises:
        UserError: If it holds no task, or a file cannot be read.
    """
    path = pathlib.Path(folder).resolve()
    try:
        found = image_tree.find_images(
            path.parent, BadImages(skip=True), [path.name]
        )
        ((_, splits),) = found.items()
        files = [
            (str(file), hashlib.sha256(regular_files.read(file)).hexdigest())
            for classes in splits.values()
            for paths in classes.values()
            for file in paths
        ]
    except (image_tree.TreeError, OSError) as error:
        raise UserError(str(error)) from error
    return tuple(splits["train"]), known_files(path.parent, files)
