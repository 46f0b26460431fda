"""An optimizer as users name it: a function, a Keras name, or an instance."""

from __future__ import annotations

import difflib
import functools
import numbers
import typing
from typing import Annotated, Any, TypeAlias

import keras

from tfcl.arguments import Range

if typing.TYPE_CHECKING:
    from collections.abc import Callable


def _is_optimizer(value: Any) -> bool:
    if isinstance(value, str):
        return value.isidentifier()
    return callable(value) or isinstance(value, keras.optimizers.Optimizer)


OptimizerLike: TypeAlias = Annotated[
    Any,
    Range(
        "a function without arguments to a Keras optimizer, the name of one "
        "('adam'), or one",
        _is_optimizer,
        says_all=True,
    ),
]
"""What `maker_of` takes."""


def maker_of(optimizer: OptimizerLike) -> Callable[[], Any]:
    """The function that makes an optimizer, a new one at every call.

    Args:
        optimizer: Such a function, which is returned as it is; a name of
            Keras, such as "adam"; or a `keras.optimizers.Optimizer`, of whose
            configuration today the new ones are made, without its state.

    Raises:
        ValueError: If Keras knows no such name, or the instance has a
            schedule of Keras.
    """
    if isinstance(optimizer, str):
        return _named(optimizer)
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        return optimizer
    config = optimizer.get_config()
    _refuse_schedule(config)
    return functools.partial(type(optimizer).from_config, config)


def rate_of(make_optimizer: Callable[[], Any]) -> float:
    """The constant learning rate that an optimizer is made with.

    Args:
        make_optimizer: See `maker_of`.

    Raises:
        ValueError: If it has a schedule of Keras.
    """
    made = make_optimizer()
    _refuse_schedule(made.get_config())
    # The shortest text of the float32: 0.001 stays 0.001.
    return float(str(keras.ops.convert_to_numpy(made.learning_rate)))


def _named(name):
    classes = {
        key.lower(): value
        for key, value in vars(keras.optimizers).items()
        if isinstance(value, type)
        and issubclass(value, keras.optimizers.Optimizer)
        # Of others; nothing by itself.
        and key not in ("Optimizer", "LossScaleOptimizer", "MultiOptimizer")
    }
    if name.lower() in classes:
        return classes[name.lower()]
    close = difflib.get_close_matches(name.lower(), classes, n=1)
    advice = f"Did you mean {close[0]!r}? " if close else ""
    raise ValueError(
        "Argument `optimizer` must be a name that Keras knows: "
        f"{', '.join(sorted(classes))}. {advice}Received: optimizer={name!r}"
    )


def _refuse_schedule(config):
    rate = config.get("learning_rate", 0.0)
    if not isinstance(rate, numbers.Real):
        raise ValueError(
            "Argument `optimizer` must have a number as its learning rate, "
            "not a schedule of Keras, which counts steps and knows no tasks. "
            "Give the schedule as `schedule`: one of "
            "tfcl.optimizers.schedules, such as CosineDecay(0.01). Received: "
            f"learning_rate={rate!r}"
        )
