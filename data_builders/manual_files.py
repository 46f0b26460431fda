"""Finding what a user has put into `manual_dir`, with faults that say where.

Everything here raises `OSError`s with one clear line: which file or folder,
what is wrong with it, what was expected.
"""

import contextlib
import contextvars
import csv
import hashlib
import io
import os
import pathlib

from absl import logging

from tfcl.data_builders import regular_files

_CHUNK = 1 << 24  # Bytes read at a time for a checksum.
_SHOWN = 3  # Paths named in a message about missing ones.
_WAY_OUT = ": complete it"
_PARTIAL = contextvars.ContextVar("partial", default=False)


class DataFileError(OSError):
    """A file that is there and is not what the data set's owner publishes."""


@contextlib.contextmanager
def parts_accepted(accepted=True):
    """Within, builders take a part of a release, and warn of what it lacks.

    Args:
        accepted: False leaves all as it is: only whole releases.
    """
    token = _PARTIAL.set(accepted)
    try:
        yield
    finally:
        _PARTIAL.reset(token)


def lacking(error):
    """Raises over something that is missing; warns if parts are accepted."""
    if not _PARTIAL.get():
        raise error
    logging.warning(
        "A part of the release: %s.", str(error).removesuffix(_WAY_OUT)
    )


def present(images, place):
    """The images whose files are there, as a list, if parts are accepted.

    Otherwise all of them, as they are given: reading tells which is missing.

    Args:
        images: Iterable of `image_files.Image`.
        place: The folder or file, for the message.

    Raises:
        FileNotFoundError: If no file is there.
    """
    if not _PARTIAL.get():
        return images
    images = list(images)
    found = [image for image in images if image.path.exists()]
    if images and not found:
        raise FileNotFoundError(
            f"none of the {len(images):,} listed images is in '{place}', "
            f"the first being '{images[0].path}'"
        )
    return found


def find(root, *candidates, marker=""):
    """The first of several paths below `root` that exists.

    Args:
        root: Folder, `epath.Path`.
        *candidates: Paths below it as texts, "" is `root` itself; a path
            object is taken as it is.
        marker: Relative path that must exist below the candidate.

    Raises:
        FileNotFoundError: If none exists.
    """
    # Joining `root` to a path that begins with it would double a relative one.
    paths = [c if isinstance(c, os.PathLike) else root / c for c in candidates]
    for path in paths:
        if (path / marker).exists():
            return path
    raise _nothing(root, [path / marker for path in paths])


def _nothing(root, paths):
    """The error for a folder that has none of several files."""
    shown = [
        str(path.relative_to(root)) if root in path.parents else str(path)
        for path in paths[:_SHOWN]
    ]
    tried = " nor ".join(f"'{name}'" for name in shown)
    more = len(paths) - len(shown)
    others = f" (nor at {more} other places)" if more else ""
    neither = "neither " if len(shown) > 1 else "no "
    return FileNotFoundError(f"'{root}' has {neither}{tried}{others}")


def tree(dl_manager, *folders, marker="", archives=()):
    """The folder of a data set in `manual_dir`, unpacking its archive if need.

    Args:
        dl_manager: TFDS's.
        *folders: The names that the folder may have; "" for `manual_dir`.
        marker: Relative path that tells the set's folder from others.
        archives: `(file name, sha256 or None)` of archives that hold one of
            the folders; used if no folder is there.

    Raises:
        FileNotFoundError: If neither folder nor archive is there.
        DataFileError: If an archive has another checksum.
    """
    root = dl_manager.manual_dir
    paths = [root / folder / marker for folder in folders]
    if any(path.exists() for path in paths):
        return find(root, *folders, marker=marker)
    for name, sha256 in archives:
        if (root / name).exists():
            check_sha256(root / name, sha256)
            unpacked = dl_manager.extract(root / name)
            return find(unpacked, *folders, marker=marker)
    raise _nothing(root, [*(root / name for name, _ in archives), *paths])


def check_sha256(path, expected):
    """Compares a file with its known checksum; None stands for unknown."""
    if expected is None:
        return
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != expected:
        raise DataFileError(
            f"'{path}' has the checksum {digest.hexdigest()[:12]}... where "
            f"{expected[:12]}... is right: fetch it again"
        )


def check_count(found, expected, what, place):
    """Refuses a copy that holds another number of examples than the release.


    Args:
        found: Number of examples listed.
        expected: That of the release; None if not known.
        what: Of what, "training images".
        place: The folder or file, for the message.
    """
    if expected is not None and found != expected:
        raise DataFileError(
            f"'{place}' holds {found:,} {what} where the release has "
            f"{expected:,}{_WAY_OUT}"
        )


def check_whole(found, expected, what, place):
    """`check_count`, but within `parts_accepted` warns if there are fewer."""
    try:
        check_count(found, expected, what, place)
    except DataFileError as error:
        if not 0 < found < expected:
            raise
        lacking(error)


def content(path):
    """The bytes of a file.

    Raises:
        FileNotFoundError: If it is missing.
        DataFileError: If it cannot be read.
    """
    with opened(path) as file:
        return file.read()


@contextlib.contextmanager
def opened(path):
    """A file opened for reading bytes, with the errors of `content`."""
    try:
        if os.path.exists(path):  # On the disk, not in a bucket.
            regular_files.opened(path).close()
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise FileNotFoundError(f"the file '{path}' is missing") from None
    except DataFileError:
        raise
    except OSError as error:
        raise DataFileError(
            f"'{path}' cannot be read ({error.strerror})"
        ) from None


def text(path):
    """The text of a UTF-8 file, with or without a byte order mark."""
    try:
        return content(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataFileError(f"'{path}' is no UTF-8 text") from None


def lines(path):
    """The lines of a text file without ends of lines, empty ones left out."""
    return [line for line in text(path).splitlines() if line.strip()]


def fields(path, count, delimiter=None):
    """The lines of a table without header, cut into `count` fields each.

    Args:
        path: The file, `epath.Path`.
        count: Number of fields of every line.
        delimiter: What stands between fields. None for any white space.
    """
    rows = []
    for number, line in enumerate(lines(path), 1):
        row = line.split(delimiter)
        if len(row) != count:
            raise DataFileError(
                f"'{path}' line {number} has {len(row)} fields where {count} "
                "are expected"
            )
        rows.append(row)
    return rows


def table(path, columns, delimiter=","):
    """The rows of a table with a header, `{column: text}` each.

    Raises:
        DataFileError: If the header lacks one of `columns`.
    """
    reader = csv.DictReader(
        io.StringIO("\n".join(lines(path))), delimiter=delimiter
    )
    try:
        rows = list(reader)
    except csv.Error as error:
        raise DataFileError(f"'{path}' is no table ({error})") from None
    missing = set(columns) - set(reader.fieldnames or ())
    if missing:
        raise DataFileError(
            f"'{path}' lacks the columns {', '.join(sorted(missing))}; its "
            f"header is {', '.join(reader.fieldnames or ['empty'])}"
        )
    for number, row in enumerate(rows, 2):
        if any(row[column] is None for column in columns):
            raise DataFileError(f"'{path}' line {number} is cut off")
    return rows


def names(module_file, name="classes.txt"):
    """A list of class names beside a builder's module, one per line."""
    path = pathlib.Path(module_file).parent / name
    return tuple(path.read_text(encoding="utf-8").splitlines())
