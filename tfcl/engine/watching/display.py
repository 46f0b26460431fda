"""What a terminal shows of a run: a bar of three lines, or a line at times."""

from __future__ import annotations

import contextlib
import importlib.util
import logging as stdlib_logging
import sys
import threading
import time
import typing
import weakref

from absl import logging
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from tfcl.engine.watching.pace import clock_text

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tfcl.engine.watching.pace import Moment, Pace


EVERY = 20.0  # Seconds between two lines of a run without a bar.
THREAD = "tfcl display"  # Name of the thread that writes them.
_PER_SECOND = 4  # Times that the bar is drawn.
_MIN_BAR = 10  # Columns.


class Display:
    """Shows the pace of a run until it is closed.

    On a terminal and in a notebook three lines at the bottom, kept up to date
    by a thread; what is logged or printed meanwhile appears above them. Else
    a line of the log every `EVERY` seconds, unless another one has told of
    the run.

    Args:
        pace: `Pace`.
        console: Where to draw; standard error if None.
        every: Seconds between two lines.
    """

    def __init__(
        self,
        pace: Pace,
        console: Console | None = None,
        every: float = EVERY,
    ):
        self._pace = pace
        self._place = ""
        self._news = ""
        self._resting = True  # Between two pieces of work.
        self._every = every
        self._told_at = time.monotonic()
        self._ends = threading.Event()
        self._open = contextlib.ExitStack()
        console = console or Console(stderr=True)
        if shows_bars(console):
            live = Live(
                get_renderable=self._drawn,
                console=console,
                refresh_per_second=_PER_SECOND,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._open.callback(_close, live)
            live.start()
            if console.is_terminal and not console.is_jupyter:
                self._open.enter_context(_written_above(console))
            return
        thread = threading.Thread(
            target=_tell_at_times,
            args=(weakref.ref(self), self._ends, min(every / 4, 1.0)),
            name=THREAD,
            daemon=True,
        )
        thread.start()
        self._open.callback(thread.join)

    def begin(self, place: str) -> None:
        """A piece of work begins.

        Args:
            place: Task and work, in a few words.
        """
        self._place, self._news, self._resting = place, "", False
        self._told_at = time.monotonic()

    def end_epoch(self, news: str) -> None:
        """An epoch is done; `news` are its numbers."""
        self._news = news

    def rest(self) -> None:
        """A piece of work is done, its task is not yet measured."""
        self._resting = True

    def told(self) -> None:
        """A line has told of the run just now."""
        self._told_at = time.monotonic()

    def close(self) -> None:
        """Ends the display; closing twice does nothing."""
        self._ends.set()
        self._open.close()

    def _tell(self):
        # Rates are of the last minute: look at them all the time.
        moment = self._pace.now()
        if time.monotonic() - self._told_at >= self._every and self._place:
            self._told_at = time.monotonic()
            logging.info("%s", self._line(moment))

    def _line(self, moment):
        if self._resting:
            return f"{self._place} done, measuring and saving; {_run(moment)}."
        parts = [f"{self._place}: {_progress(moment)}"]
        parts += filter(None, [self._news, _speed(moment)])
        return f"{', '.join(parts)}; {_task(moment)}; {_run(moment)}."

    def _drawn(self):
        """The lines at the bottom of a terminal."""
        if not self._place:
            return Text()
        moment = self._pace.now()
        times = f"{_task(moment)}; {_run(moment)}"
        if self._resting:
            head = Text(f"{self._place}: done, measuring and saving", "bold")
            return Group(head, Text(_run(moment), style="dim"))
        numbers = ", ".join(filter(None, [self._news, _speed(moment)]))
        lines = [
            _Headed(f"{self._place}: {_progress(moment)} ", moment.share),
            Text(numbers or "preparing the first steps", overflow="ellipsis"),
            Text(times, style="dim", overflow="ellipsis"),
        ]
        for line in lines[1:]:
            line.no_wrap = True
        return Group(*lines)


def _tell_at_times(reference, ends, pause):
    """Lets a display tell of its run until it is closed, or nobody's."""
    while not ends.wait(pause):
        display = reference()
        if display is None:
            return  # Its run was given up without `close`.
        display._tell()
        del display  # While it waits, it keeps no run alive.


class _Headed:
    """A line of a text, and a bar over what is left of its width."""

    def __init__(self, text, share):
        self._text, self._share = text, share

    def __rich_console__(self, console, options):
        width = options.max_width
        text = Text(self._text, "bold", no_wrap=True, end="")
        room = width - text.cell_len
        if room < _MIN_BAR:
            text.truncate(width, overflow="ellipsis")
            yield text
            yield Text()
            return
        yield text
        yield ProgressBar(total=1.0, completed=self._share, width=room)
        yield Text()


def _progress(moment: Moment) -> str:
    parts = []
    if moment.epochs > 1:
        parts.append(f"epoch {moment.epoch}/{moment.epochs}")
    if moment.steps:
        parts.append(f"step {moment.step}/{moment.steps}")
    return ", ".join(parts) or "at work"


def _speed(moment: Moment) -> str:
    rate = moment.images_per_second
    if rate is None:
        return ""
    return f"{rate:,.0f} images/s" if rate >= 10 else f"{rate:.2g} images/s"


def _task(moment: Moment) -> str:
    return _times("task", moment.task_seconds, moment.task_left)


def _run(moment: Moment) -> str:
    return _times("run", moment.run_seconds, moment.run_left)


def _times(name, seconds, left):
    rest = "" if left is None else f", about {clock_text(left)} left"
    return f"{name} {clock_text(seconds)}{rest}"


def shows_bars(console: Console) -> bool:
    """Whether it is a terminal, or a notebook that can show a moving bar."""
    if console.is_jupyter:
        return importlib.util.find_spec("ipywidgets") is not None
    return console.is_terminal and not console.is_dumb_terminal


def _close(live):
    with contextlib.suppress(OSError):  # The terminal may be closed.
        live.stop()


class _Above:
    """A stream whose lines appear above what is drawn at the bottom."""

    def __init__(self, console, stream):
        self._console, self._stream = console, stream
        self._begun = ""
        self.rich_proxied_file = stream  # Where rich itself writes.

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:  # Neither markup nor broken into lines.
            self._console.print(Text.from_ansi(line), soft_wrap=True)
        return len(text)

    def flush(self) -> None:
        self._console.file.flush()


@contextlib.contextmanager
def _written_above(console: Console) -> Iterator[None]:
    """Gives those who write to the terminal the console instead.

    Also handlers of the log, which hold standard error as it was when they
    were made.
    """
    before = {"stdout": sys.stdout, "stderr": sys.stderr}
    absl = logging.get_absl_handler()
    handlers: list[typing.Any] = [
        getattr(absl, "python_handler", absl),
        *logging.get_absl_logger().handlers,
        *stdlib_logging.root.handlers,
    ]
    back: list[Callable] = []
    for name, stream in before.items():
        if stream is None or not (name == "stderr" or stream.isatty()):
            continue  # What goes to a file stays there.
        above = _Above(console, stream)
        setattr(sys, name, above)
        back.append(lambda n=name, s=stream: setattr(sys, n, s))
        for handler in dict.fromkeys(handlers):
            if getattr(handler, "stream", None) is stream:
                handler.setStream(above)
                back.append(lambda h=handler, s=stream: h.setStream(s))
    try:
        yield
    finally:
        for undo in back:
            undo()
