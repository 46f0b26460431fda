"""Loads Keras on TensorFlow as tfcl needs it, without start-up remarks.

On every machine without a GPU TensorFlow's C++ part writes a dozen lines
before it can be told not to; they would bury the one line that matters. The
commands import this module first.
"""

import os
import sys
import tempfile

from tfcl import keras_state
from tfcl.errors import BY_CTRL_C, UserError

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _end_in_one_line(kind, error, trace):
    """Says what Ctrl-C has ended while the packages were loaded."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    print("tfcl: stopped: Stopped by Ctrl-C.", file=sys.stderr, flush=True)
    os._exit(BY_CTRL_C)  # Else Python ends by the signal itself.


def _load():
    try:
        stderr = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        keras_state.pin()  # No real stderr, nothing to keep clean.
        return
    kept = os.dup(stderr)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), stderr)
        try:
            keras_state.pin()
        except UserError:
            raise
        except BaseException:
            # What it said may be the reason.
            said.seek(0)
            os.write(kept, said.read())
            raise
        finally:
            os.dup2(kept, stderr)
            os.close(kept)


# Until `tfcl.commands.run`, which has a better way.
sys.excepthook = _end_in_one_line
keras_state.claim()
if "TFDS_DATA_DIR" in os.environ:  # TFDS takes `~` for a name.
    os.environ["TFDS_DATA_DIR"] = os.path.expanduser(
        os.environ["TFDS_DATA_DIR"]
    )
try:
    _load()
except UserError as error:
    # No command has begun that could tell it.
    print(f"tfcl: error: {error}", file=sys.stderr)
    sys.exit(error.exit_code)
