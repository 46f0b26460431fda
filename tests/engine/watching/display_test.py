"""What a terminal of 80 columns shows, and what a log file holds."""

import io
import logging as stdlib_logging
import re
import sys
import threading
import time

import pytest
from absl import flags, logging
from rich.console import Console

from tfcl.engine.watching.display import THREAD, Display, shows_bars
from tfcl.engine.watching.pace import Moment

_MOMENT = Moment(12, 2000, 9, 18, 0.006, 5120.4, 185.0, 545.0, 920.0, 6600.0)


class _Pace:
    moment = _MOMENT

    def now(self):
        return self.moment


@pytest.fixture(name="stderr")
def _stderr():
    """Standard error as a terminal, which the log's handler holds."""
    flags.FLAGS.mark_as_parsed()  # Before, absl asks for no stream.
    stream = io.StringIO()
    handler = logging.get_absl_handler().python_handler
    before, form = handler.setStream(stream), handler.formatter
    handler.setFormatter(None)
    yield stream
    handler.setStream(before)
    handler.setFormatter(form)


@pytest.fixture(name="opened")
def _opened(stderr, monkeypatch):
    """Function that opens a display on `stderr`."""

    def opened():
        # In the test itself: pytest sets its own between the two.
        monkeypatch.setattr(sys, "stderr", stderr)
        return Display(_Pace(), _terminal(stderr))

    return opened


def _terminal(stream, **options):
    settings = {"force_terminal": True, "width": 80, "legacy_windows": False}
    return Console(file=stream, **{**settings, **options})


def _shown(stream):
    """Lines as a terminal has them in the end."""
    lines, row = [""], 0
    text = re.sub(r"\x1b\[[0-9;?]*[hlm]", "", stream.getvalue())
    for part in re.split(r"(\x1b\[\d*[AK]|\r|\n)", text):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part.endswith("A"):
            row -= int(part[2:-1] or 1)
        elif part.endswith("K"):
            lines[row] = ""
        elif part != "\r":
            lines[row] += part
    return lines


def test_three_lines_tell_place_numbers_and_times(opened, stderr):
    display = opened()
    display.begin("Task 2/10 fish, train")
    display.end_epoch("loss 0.530, validation 61.2 %")
    time.sleep(0.6)
    seen = _shown(stderr)
    display.close()
    head, numbers, times = [line.rstrip() for line in seen if line][-3:]
    assert head.startswith("Task 2/10 fish, train: epoch 12/2000, step 9/18 ")
    assert "━" in head
    assert numbers == "loss 0.530, validation 61.2 %, 5,120 images/s"
    assert times == "task 3:05, about 9:05 left; run 15:20, about 1:50:00 left"
    assert max(map(len, seen)) <= 80
    assert not any(_shown(stderr)), "nothing stays"


def test_lines_of_the_log_appear_above_and_whole(opened, stderr):
    display = opened()
    display.begin("Task 2/10 fish, train")
    time.sleep(0.4)
    long = f"{'a word ' * 20}[red]end"
    logger = stdlib_logging.getLogger("absl")
    handler = logging.get_absl_handler().python_handler
    handler.handle(logger.makeRecord("absl", 20, "f.py", 1, long, (), None))
    print("half a", end="", file=sys.stderr)
    print(" line", file=sys.stderr)
    time.sleep(0.4)
    seen = _shown(stderr)
    display.close()
    (line,) = [text for text in seen if "a word" in text]
    assert line.endswith("a word [red]end") and "Task 2/10" not in line
    assert "half a line" in seen
    assert sum("Task 2/10" in text for text in seen) == 1
    assert handler.stream is stderr, "the log is as before"


def test_a_long_name_leaves_no_room_for_the_bar(opened, stderr):
    display = opened()
    display.begin(f"Task 2/10 {'f' * 90}, train")
    time.sleep(0.4)
    seen = [line for line in _shown(stderr) if line]
    display.close()
    assert len(seen) == 3
    assert all(len(line.rstrip()) <= 80 for line in seen)


def test_a_latin_terminal_gets_a_bar_of_its_letters(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stderr", stream)
    display = Display(_Pace(), _terminal(stream))
    display.begin("Task 2/10 fish, train")
    time.sleep(0.4)
    display.close()
    stream.flush()
    assert "----------" in stream.buffer.getvalue().decode("latin-1")


def _lines(caplog):
    return [record.getMessage() for record in caplog.records]


def test_without_a_terminal_a_line_comes_now_and_then(caplog):
    caplog.set_level("INFO", logger="absl")
    console = Console(file=io.StringIO())
    display = Display(_Pace(), console, every=0.2)
    time.sleep(0.5)
    assert not _lines(caplog), "there is nothing to tell yet"
    display.begin("Task 2/10 fish, train")
    display.end_epoch("loss 0.530")
    time.sleep(0.9)
    display.rest()
    time.sleep(0.5)
    display.close()
    told = _lines(caplog)
    assert 3 <= len(told) <= 8
    assert told[0] == (
        "Task 2/10 fish, train: epoch 12/2000, step 9/18, loss 0.530, 5,120 "
        "images/s; task 3:05, about 9:05 left; run 15:20, about 1:50:00 left."
    )
    assert told[-1] == (
        "Task 2/10 fish, train done, measuring and saving; run 15:20, about "
        "1:50:00 left."
    )
    assert not console.file.getvalue()
    time.sleep(0.5)
    assert len(_lines(caplog)) == len(told)


def test_a_display_that_nobody_holds_tells_no_more(caplog):
    """Such is the one of a run that a program has given up, and not closed."""
    caplog.set_level("INFO", logger="absl")
    display = Display(_Pace(), Console(file=io.StringIO()), every=0.2)
    (thread,) = (t for t in threading.enumerate() if t.name == THREAD)
    display.begin("Task 2/10 fish, train")
    del display
    thread.join(10)
    assert not thread.is_alive()
    told = len(_lines(caplog))
    time.sleep(0.5)
    assert len(_lines(caplog)) == told


def test_a_line_waits_if_another_has_told_of_the_run(caplog):
    caplog.set_level("INFO", logger="absl")
    display = Display(_Pace(), Console(file=io.StringIO()), every=0.4)
    display.begin("Task 2/10 fish, train")
    for _ in range(8):
        time.sleep(0.1)
        display.told()
    display.close()
    assert not _lines(caplog)


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({"force_terminal": True}, True),
        ({"force_terminal": False}, False),
        ({"force_terminal": True, "_environ": {"TERM": "dumb"}}, False),
    ],
)
def test_bars_are_for_terminals_that_can_move(options, shown):
    environment = {"_environ": {"TERM": "xterm"}}
    console = Console(file=io.StringIO(), **{**environment, **options})
    assert shows_bars(console) is shown


def test_a_closed_terminal_does_not_end_the_run():
    class Closed(io.StringIO):
        closed_at = None

        def write(self, text):
            if self.closed_at:
                raise OSError(5, "Input/output error")
            return super().write(text)

    stream = Closed()
    display = Display(_Pace(), _terminal(stream))
    display.begin("Task 2/10 fish, train")
    stream.closed_at = 1
    display.close()
