"""The ways in which a command ends early, each with its exit code.

And how names that others gave are written into messages.
"""

import unicodedata

# Letters to control terminals and the direction of writing, halves of pairs,
# which no encoding takes. Of other groups than these, all are shown.
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
# Joiners, without which some scripts and emoji cannot be written.
_NEEDED = "\u200c\u200d"
BY_CTRL_C = 130  # Exit code: what shells say of a program that it ended.
# Packages that not every user needs, and the extra of pyproject.toml which
# brings them in a version that fits.
_EXTRAS = {
    "mlflow": "mlflow",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "optuna": "search",
    "sklearn": "demo",
    "tf2onnx": "onnx",
    "wandb": "wandb",
}


class TfclError(Exception):
    """An error whose message is all a user needs to see.

    Commands print the message in one line, without a traceback, and end with
    `exit_code`.
    """

    exit_code = 1


class UserError(TfclError):
    """The input (configuration, data, arguments) is wrong. Exit code 2."""

    exit_code = 2


class CannotGoOn(UserError):
    """A run that was begun does not go on with what is asked now."""


class RunError(TfclError):
    """The run cannot go on; everything learned so far is kept. Exit code 1."""

    exit_code = 1


class Interrupted(TfclError):
    """The run was asked to stop and has saved its state. Exit code 75.

    75 is `EX_TEMPFAIL` of sysexits.h: start the same command again. The
    commands set that of an error which Ctrl-C has caused to `BY_CTRL_C`.
    """

    exit_code = 75


def installing(error: ImportError) -> str:
    """The command that installs what an import has not found.

    Args:
        error: Of the import.
    """
    package = (error.name or "").partition(".")[0]
    if package in _EXTRAS:
        return f"pip install 'tfcl[{_EXTRAS[package]}]'"
    return f"pip install {package}"


def missing_package(what: str, error: ImportError) -> UserError:
    """The error to raise where a package is missing.

    Args:
        what: What needs it.
        error: Of the import.
    """
    return UserError(
        f"{what} needs the Python package '{error.name}'. Install it: "
        f"{installing(error)}"
    )


def printable(text: object, lines: bool = False) -> str:
    """A text in which everything can be seen, and printed in UTF-8.

    What cannot is written as in Python: `\\x1b`, `\\u202e`. So a name can
    neither colour a terminal nor turn a line around; bytes of a file's name
    that are no text are written `\\xe9`.

    Args:
        text: Anything, of which the text is taken.
        lines: Whether ends of lines stay, and tabs become blanks.
    """
    text = str(text)
    if not lines:
        return "".join(map(_shown, text))
    return "\n".join(map(printable, text.expandtabs(4).split("\n")))


def _shown(letter):
    if "\udc80" <= letter <= "\udcff":  # A byte, as Python keeps it in names.
        return f"\\x{ord(letter) - 0xDC00:02x}"
    if letter in _NEEDED or unicodedata.category(letter) not in _HIDDEN:
        return letter
    return letter.encode("unicode_escape").decode("ascii")
