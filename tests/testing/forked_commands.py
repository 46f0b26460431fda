"""Runs commands as a user starts them, without loading TensorFlow for each.

A server, a process of its own, loads what the commands load and forks for
every command; so each has its own flags, bindings, exit code and end, and one
that hangs or crashes takes nothing with it. Figures are built and not drawn.
"""

# isort: off
import tfcl.commands  # noqa: F401  (before anything loads TensorFlow)

# isort: on
import importlib
import json
import os
import pathlib
import re
import runpy
import signal
import subprocess
import sys
import time
import traceback
import typing

from tfcl.testing import undrawn_figures

_ROOT = pathlib.Path(__file__).resolve().parents[2]
# What `python -m tfcl.X` loads in the end; not X itself, whose flags clash.
_LOADED = (
    "tfcl.engine.experiment",
    "tfcl.engine.loop",
    "tfcl.reporting.tables",
    "tfcl.reporting.comparison",
    "tfcl.data.sources.image_files",
    "tfcl.data.streams.folder_stream",
    "tfcl.methods.lasem.static_transfer",
    "tfcl.models.backbones.lasem_cnn",
    "matplotlib.backends.backend_agg",
    "matplotlib.pyplot",
)


class Ended(typing.NamedTuple):
    """How a command has ended.

    Attributes:
        code: Exit code, negative of a signal; None if it was ended because it
            took longer than it may.
        out, err: What it wrote.
    """

    code: int | None
    out: str
    err: str

    @property
    def words(self):
        """Warnings and errors on stderr."""
        return [
            line
            for line in self.err.splitlines()
            if re.match(r"[WEF]\d{4} |tfcl: ", line)
        ]


class ForkedCommands:
    """Runs commands one after the other; use as a context.

    Args:
        folder: Temporary folder, for what the commands write to the terminal.
        seconds: How long a command may take.
    """

    def __init__(self, folder, seconds):
        self.folder = pathlib.Path(folder)
        self.seconds = seconds
        self._server = None

    def __enter__(self):
        own = ("TF_CONFIG", "TFDS_DATA_DIR")
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.testing.forked_commands"],
            cwd=_ROOT,
            env={k: v for k, v in os.environ.items() if k not in own},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._server.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *error):
        self._server.stdin.close()
        self._server.wait(60)
        self._server.stdout.close()

    def __call__(self, name, *arguments):
        """Runs `python -m tfcl.<name>`; returns an `Ended`."""
        out, err = self.folder / "stdout", self.folder / "stderr"
        argv = [os.fspath(each) for each in arguments]
        request = {
            "module": f"tfcl.{name}",
            "argv": argv,
            "out": str(out),
            "err": str(err),
            "seconds": self.seconds,
        }
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        code = json.loads(self._server.stdout.readline())
        texts = [p.read_text("utf-8", "backslashreplace") for p in (out, err)]
        return Ended(code, *texts)


def _child(request):
    """Is the command; does not return."""
    code = 1
    try:
        os.setpgid(0, 0)
        for descriptor, name in ((1, "out"), (2, "err")):
            file = os.open(
                request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600
            )
            os.dup2(file, descriptor)
            os.close(file)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        sys.argv = [request["module"], *request["argv"]]
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _ended(child, seconds):
    """The exit code of a process, None if it had to be killed."""
    deadline = time.monotonic() + seconds
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(0.02)


def _serve():
    for name in _LOADED:
        importlib.import_module(name)
    print("ready", flush=True)
    with undrawn_figures():
        for line in sys.stdin:
            request = json.loads(line)
            child = os.fork()
            if not child:
                _child(request)
            print(json.dumps(_ended(child, request["seconds"])), flush=True)


if __name__ == "__main__":
    _serve()
