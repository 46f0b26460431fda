"""What tfcl needs of Keras, which takes its settings from outside, too.

`~/.keras/keras.json` and environment variables hold for every program of a
user. Commands own their process and set what they need (`claim` before Keras
is loaded, `pin` after it); a program that imports tfcl is told what differs
(`refuse_other_backend`, `refuse_other`). One setting a program may choose:
`choose_floatx`.
"""

from __future__ import annotations

import json
import os
import sys
import typing

from tfcl.errors import UserError

if typing.TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


# Images are `(height, width, channels)`, variables float32; a precision is
# asked for by `Runtime.precision`.
NEEDED: dict[str, Any] = {
    "backend": "tensorflow",
    "image_data_format": "channels_last",
    "floatx": "float32",
    "epsilon": 1e-7,
}
FLOATX = ("float32", "float64")
# What this process has chosen in the place of `NEEDED`.
_chosen: dict[str, Any] = {}
_BACKEND = "KERAS_BACKEND"
_LEGACY = "TF_USE_LEGACY_KERAS"
_TRUE = ("1", "true", "True")  # As TensorFlow reads it.
# Of Keras' `fit`, which tfcl does not call, and of JAX.
_OTHERS = (
    "KERAS_MAX_EPOCHS",
    "KERAS_MAX_STEPS_PER_EPOCH",
    "KERAS_NNX_ENABLED",
)


def claim() -> None:
    """Sets the environment of this process, before Keras is loaded."""
    os.environ[_BACKEND] = NEEDED["backend"]
    for name in (_LEGACY, *_OTHERS):
        os.environ.pop(name, None)


def pin() -> None:
    """Loads Keras with TensorFlow, and sets what tfcl needs.

    Raises:
        UserError: If Keras does not load with the user's settings.
    """
    try:
        from keras import config
    except ModuleNotFoundError:
        raise  # A fault of the installation.
    except (ValueError, ImportError, AssertionError) as error:
        reason = " ".join(str(error).split()).rstrip(".") or _settings()
        raise UserError(
            f"Keras does not load with its settings, keras.json in KERAS_HOME "
            f"or else in ~/.keras: {reason}. Mend or delete that file."
        ) from error
    config.set_image_data_format(NEEDED["image_data_format"])
    choose_floatx(NEEDED["floatx"])
    config.set_epsilon(NEEDED["epsilon"])
    refuse_other()


def _settings():
    """The settings of keras.json, where Keras 3.12 says nothing of them."""
    home = os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")
    with open(os.path.join(home, "keras.json"), encoding="utf-8") as file:
        return ", ".join(f"{k}={v}" for k, v in json.load(file).items())


def choose_floatx(name: str) -> None:
    """Sets the dtype of variables that name none, for this process.

    float64 is for programs that follow published numbers of that precision.
    The layers of a network go on to follow `Runtime.precision`, unless they
    are given a dtype of their own (`memory_network.dtype`). A run records the
    choice, and goes on, or is served, in a process of the same one.

    Args:
        name: "float32" or "float64".

    Raises:
        ValueError: If it is another.
    """
    if name not in FLOATX:
        raise ValueError(
            f"Argument `name` must be {' or '.join(map(repr, FLOATX))}. "
            f"Received: {name!r}"
        )
    from keras import config

    config.set_floatx(name)
    _chosen["floatx"] = name


def refuse_other_floatx(numerics: Mapping[str, Any], run: object) -> None:
    """Refuses to serve what was learned with another choice.

    Args:
        numerics: What the run has recorded, with "keras.floatx"; empty if it
            has noted none.
        run: Its folder, for the message.

    Raises:
        UserError: With the call to make.
    """
    now = found()["floatx"]
    learned = numerics.get("keras.floatx", now)
    if learned != now:
        raise UserError(
            f"--model_dir {run} has learned with keras.config.floatx() "
            f"{learned!r}, and this process has {now!r}. Call "
            f"tfcl.keras_state.choose_floatx({learned!r}) before."
        )


def found() -> dict[str, Any]:
    """The settings of this process, by the names of `NEEDED`."""
    from keras import config

    return {name: getattr(config, name)() for name in NEEDED}


def refuse_other_backend() -> None:
    """Refuses a process whose Keras does not run on TensorFlow.

    Where nobody has said so in the environment, keras.json is passed over.
    Keras is not loaded.

    Raises:
        UserError: With the variable.
    """
    if os.environ.get(_LEGACY) in _TRUE:
        _refuse(f"{_LEGACY}={os.environ[_LEGACY]}", f"Unset {_LEGACY}")
    if "keras" in sys.modules:
        _refuse_different("backend")
        return
    backend = os.environ.get(_BACKEND) or NEEDED["backend"]
    if backend != NEEDED["backend"]:
        _refuse(f"{_BACKEND}={backend}", f"Unset {_BACKEND}")
    os.environ[_BACKEND] = backend


def refuse_other() -> None:
    """Refuses a process in which Keras is set to something else.

    Raises:
        UserError: With the first setting that differs.
    """
    for name in NEEDED:
        _refuse_different(name)


def _refuse_different(name):
    from keras import config

    value, needed = getattr(config, name)(), _needed()[name]
    if value == needed:
        return
    way_out = f"Call keras.config.set_{name}({needed!r}) before"
    if name == "backend":
        way_out = f"Set {_BACKEND}={needed} before Keras is imported"
    if name == "floatx" and value in FLOATX:
        way_out += (
            f"; or, if {value} is meant, tfcl.keras_state.choose_floatx"
            f"({value!r})"
        )
    _refuse(f"keras.config.{name}() is {value!r}", way_out)


def _refuse(what, way_out):
    needed = ", ".join(f"{n} {value!r}" for n, value in _needed().items())
    raise UserError(
        f"{what} in this process, but tfcl needs Keras 3 with {needed}. "
        f"{way_out}."
    )


def _needed():
    return {**NEEDED, **_chosen}
