"""Ctrl-C, SIGTERM and SIGHUP as a wish to save and stop, for the commands."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
import typing

from tfcl.errors import BY_CTRL_C, Interrupted

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


# SIGHUP is not known everywhere.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
# Of one wish: `timeout`, a service manager and a terminal that is closed send
# two signals at a time.
_SAME_WISH = 0.5  # Seconds.
_NOTICE = (
    "tfcl: stopping and saving behind the steps in hand; once more: at once."
)
_AT_ONCE = "tfcl: stopped at once: what was saved before is kept."
_SHOW_CURSOR = "\x1b[?25h"


class Stopping:
    """While open, a signal asks the run to stop, and a second one ends it.

    Python calls a handler between two of its own instructions, and a stretch
    of steps is one call that may take minutes. So a thread waits for the
    signals' numbers, which arrive at once (`signal.set_wakeup_fd`).

    What is ignored at the begin (`nohup`, a script's `&`) stays ignored.
    Outside of the main thread, which alone may ask for signals, nothing is
    done. An `Interrupted` that leaves the context says by its `exit_code`
    whether it was Ctrl-C.

    Args:
        wish: Function without arguments that asks the run to stop; called
            from several threads, perhaps more than once.
    """

    def __init__(self, wish: Callable[[], None]):
        self._wish = wish
        self._first: int | None = None
        self._since = 0.0
        self._before: dict[int, typing.Any] = {}
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Stopping:
        if threading.current_thread() is not threading.main_thread():
            return self
        numbers = [getattr(signal, n) for n in _NAMES if hasattr(signal, n)]
        taken = [
            number
            for number in numbers
            if signal.getsignal(number) is not signal.SIG_IGN
        ]
        self._read, self._written = socket.socketpair()
        self._written.setblocking(False)
        self._former_fd = signal.set_wakeup_fd(
            self._written.fileno(), warn_on_full_buffer=False
        )
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        for number in taken:
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._thread is not None:
            for number, handler in self._before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(self._former_fd)
            self._written.send(b"\0")
            self._thread.join()
            self._thread = None
            self._read.close()
            self._written.close()
        if isinstance(error, Interrupted) and self._first == signal.SIGINT:
            error.exit_code = BY_CTRL_C

    def _handle(self, number, frame):
        del frame
        if self._first is None:  # Quicker than the thread.
            self._begin(number)

    def _begin(self, number):
        self._since = time.monotonic()
        self._first = number
        self._wish()

    def _watch(self):
        """Waits for signals, in a thread; a 0 ends it."""
        told = False
        while number := self._read.recv(1)[0]:
            if number not in self._before:
                continue  # Somebody else's.
            if self._first is None:
                self._begin(number)
            if not told:
                told = True
                _tell(_NOTICE)
            elif time.monotonic() - self._since > _SAME_WISH:
                _end_at_once(number)


def _tell(text):
    """Writes a line to stderr, above a progress bar if there is one."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        # The terminal is closed. Nothing that is still to be said may end the
        # run before it is saved.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.__stdout__, sys.__stderr__):
            if stream is not None:
                os.dup2(nowhere, stream.fileno())


def _end_at_once(number):
    code = BY_CTRL_C if number == signal.SIGINT else Interrupted.exit_code
    stderr = sys.__stderr__
    if stderr is not None and stderr.isatty():
        # A progress bar may have hidden it, and cannot end by itself.
        _tell_plainly(_SHOW_CURSOR)
    _tell_plainly(f"{_AT_ONCE}\n")
    os._exit(code)  # As SIGKILL, which a run survives.


def _tell_plainly(text):
    """By the system's own call: whoever holds a lock is not waited for."""
    try:
        os.write(2, text.encode())
    except OSError:
        pass
