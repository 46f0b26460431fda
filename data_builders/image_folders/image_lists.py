"""Lists of images and their labels: the file `train.txt` of a task."""

import os
import pathlib

from tfcl.data_builders import regular_files
from tfcl.data_builders.image_folders.tree_faults import (
    BadImages,
    TreeError,
    check_distinct,
    named_like_an_image,
)


def read(
    file: pathlib.Path, bad: BadImages, inside: pathlib.Path | None
) -> dict:
    """The images of a list, by class.

    Args:
        file: Text of lines `path label`; paths start at the list's folder.
        bad: What to do with files that are not there, or are no images by
            their names.
        inside: Folder that the paths may not lead out of, None for any. What
            a link leads to does not count: links are in the folder, and part
            of what its owner laid out.

    Returns:
        `{class: [paths]}`, as listed; classes by value if all are numbers,
        else by name.

    Raises:
        TreeError: If it is no such list.
    """
    try:
        lines = regular_files.read(file).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TreeError(
            f"'{file}' cannot be read ({_told(error)}). Save it as text in "
            "UTF-8."
        ) from error
    found: dict[str, list] = {}
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
        _check_inside(path, inside, f"'{file}', line {number}")
        mine = found.setdefault(parts[1], [])
        if not os.path.exists(path):
            bad(path, f"(line {number} of '{file}') does not exist")
        elif named_like_an_image(path, bad):
            mine.append(path)
    if not found:
        raise TreeError(f"'{file}' lists no image. Fill or delete it.")
    check_distinct(found, file, "classes")
    numbers = all(label.isdecimal() for label in found)
    return {
        label: found[label]
        for label in sorted(found, key=int if numbers else None)
    }


def _check_inside(path, inside, where):
    if inside is None:
        return
    # As written: what `..` behind a link means is up to the link's owner.
    full = pathlib.PurePath(os.path.abspath(path))
    tops = (os.path.abspath(inside), os.path.realpath(inside))
    if not any(full.is_relative_to(top) for top in tops):
        raise TreeError(
            f"{where}: {str(path)!r} leads out of '{inside}'. Images of a "
            "list lie below the folder of the tasks; if you know the list, "
            "allow more: folder_stream.lists_may_leave_root = True, for "
            "tfcl.build --lists_may_leave_root."
        )


def _told(error):
    return getattr(error, "strerror", None) or str(error)
