"""Loads TensorFlow without its start-up remarks.

On every machine without a GPU TensorFlow's C++ part writes a dozen lines
before it can be told not to; they would bury the one line that matters. The
commands import this module first.
"""

import os
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _load_tensorflow():
    try:
        stderr = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        import tensorflow  # noqa: F401  (no real stderr, nothing to keep clean)

        return
    kept = os.dup(stderr)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), stderr)
        try:
            import tensorflow  # noqa: F401
        except BaseException:
            # What it said may be the reason.
            said.seek(0)
            os.write(kept, said.read())
            raise
        finally:
            os.dup2(kept, stderr)
            os.close(kept)


_load_tensorflow()
