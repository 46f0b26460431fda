"""The ways in which a command ends early, each with its exit code."""


class TfclError(Exception):
    """An error whose message is all a user needs to see.

    Commands print the message in one line, without a traceback, and end with
    `exit_code`.
    """

    exit_code = 1


class UserError(TfclError):
    """The input (configuration, data, arguments) is wrong. Exit code 2."""

    exit_code = 2


class RunError(TfclError):
    """The run cannot go on; everything learned so far is kept. Exit code 1."""

    exit_code = 1


class Interrupted(TfclError):
    """The run was asked to stop and has saved its state. Exit code 75.

    75 is `EX_TEMPFAIL` of sysexits.h: start the same command again.
    """

    exit_code = 75
