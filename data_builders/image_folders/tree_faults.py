"""What may be wrong with a folder of tasks, and with the names in it."""

import os
import pathlib
import unicodedata
from collections.abc import Iterable

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")


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


def named_like_an_image(path: pathlib.Path, bad: BadImages) -> bool:
    """Whether a file has the ending of one; tells `bad` if not."""
    if path.suffix.lower() in SUFFIXES:
        return True
    bad(path, f"has none of the endings {' '.join(SUFFIXES)}")
    return False


def composed(name: str) -> str:
    """A name in the form that is compared (Unicode's NFC).

    The same letter may be stored as one character or as two, a letter and its
    accent, as macOS does; nobody can see which.
    """
    return unicodedata.normalize("NFC", name)


def check_encoding(folder: pathlib.Path) -> None:
    """Refuses the folder of a task or class whose name is no text.

    Raises:
        TreeError: If it holds bytes that are not UTF-8.
    """
    try:
        folder.name.encode()
    except UnicodeEncodeError:
        # As bytes, since the name cannot be printed or stored.
        raise TreeError(
            f"The name of the folder {os.fsencode(folder)!r} is not in UTF-8, "
            "so that it cannot be written into results. Rename it: "
            "convmv -f latin1 -t utf8 --notest FOLDER, or by hand."
        ) from None


def check_distinct(names: Iterable[str], place: object, what: str) -> None:
    """Refuses names that many file systems or readers do not tell apart.

    Raises:
        TreeError: If two differ by capitals, or by the form of their letters.
    """
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(composed(name).casefold(), name)
        if other == name:
            continue
        way, shown = "capitals", (f"'{other}'", f"'{name}'")
        if composed(other) == composed(name):
            way = "the form of their letters (Unicode's NFC and NFD)"
            shown = (ascii(other), ascii(name))
        raise TreeError(
            f"'{place}': the {what} {shown[0]} and {shown[1]} differ by "
            f"{way} only, which many file systems do not tell apart. "
            "Join or rename them."
        )
