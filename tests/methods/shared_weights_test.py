"""One line of the log says what tasks share, a warning what is copied."""

import keras
import pytest

from tfcl.methods.baselines.individual import Individual
from tfcl.methods.baselines.joint import Joint
from tfcl.methods.clr.clr import CLR
from tfcl.methods.expansion.den import DEN
from tfcl.methods.expansion.prognn import ProgNN
from tfcl.methods.lasem.lasem import LASEM
from tfcl.methods.lasem.static_transfer import StaticTransfer
from tfcl.methods.regularization.ewc import EWC
from tfcl.testing import tiny_stream, tiny_training

layers = keras.layers
_CONV, _DENSE = 3 * 3 * 3 * 4 + 4, 4 * 5 + 5


def _backbone(image_shape):
    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.Conv2D(4, 3, name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5, name="dense"),
        ],
        name="small",
    )


def _told(method, caplog, level):
    with caplog.at_level(level, logger="absl"):
        method.setup(tiny_stream()().spec(), seed=0)
    return [r.getMessage() for r in caplog.records]


def _training():
    return tiny_training(1, backbone=_backbone, hidden_units=())


_SHARED = f"share {_CONV + _DENSE} weights of backbone 'small'"


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (EWC, (_SHARED + ";", "none of its own, and its head.")),
        (Joint, (_SHARED + ", and the head;", "has none of its own.")),
        (
            Individual,
            (
                "share 0 weights",
                f"{_CONV + _DENSE} of its own ({_CONV} in 1 Conv2D, {_DENSE} "
                "in 1 Dense)",
            ),
        ),
        (CLR, (_SHARED, "has 36 of its own (36 in 1 ChannelReprogram)")),
        (DEN, (f"share {_CONV + _DENSE} weights", "9 in 2 UnitGate")),
        (ProgNN, ("a column of its own", f"{_CONV + _DENSE} weights")),
    ],
)
def test_the_log_says_once_what_tasks_share(make, parts, caplog):
    told = _told(make(_training()), caplog, "INFO")
    (line,) = [text for text in told if "its own" in text]
    assert line.startswith(f"{make.__name__}: ")
    for part in parts:
        assert part in line


@pytest.mark.parametrize(
    "make", [LASEM, lambda training: StaticTransfer(training, "1")]
)
def test_kernels_that_could_be_shared_but_are_copied_are_warned_of(
    make, caplog
):
    (line,) = _told(make(_training()), caplog, "WARNING")
    assert "shares convolutions alone" in line
    assert line.endswith(f"dense (Dense, {_DENSE} weights).")


def test_nothing_is_warned_of_where_all_is_shared_as_asked(caplog):
    assert not _told(EWC(_training()), caplog, "WARNING")
