"""A method made in Python, told by gin, and made again by it."""

import functools
import importlib
import pkgutil

import keras
import pytest

from tests.learner.programs import model
from tfcl import configuration
from tfcl.arguments import made_with, notes_what_is_made
from tfcl.configuration import gin_internals
from tfcl.data.augmentation import PadAndCrop, RandomFlip
from tfcl.engine import experiment  # noqa: F401  (gin knows its name)
from tfcl.errors import UserError
from tfcl.learner import recipe
from tfcl.learner.recipe import gin_text
from tfcl.methods import (
    CLR,
    LASEM,
    SPG,
    HardTransfer,
    TaskTraining,
    TensorNorms,
)
from tfcl.models.backbones.given_model import given_model
from tfcl.models.backbones.lasem_cnn import lasem_cnn
from tfcl.optimizers import schedules
from tfcl.optimizers.sgd_momentum import SGDMomentum


@pytest.fixture(autouse=True)
def _apart():
    with configuration.apart():
        yield


def _again(method):
    text = gin_text(method, {"Experiment.seed": 3})
    path_free = [line for line in text.splitlines() if line]
    configuration.load([], path_free_bindings(path_free))
    return configuration.build("Experiment.method"), text


def path_free_bindings(lines):
    """The bindings; modules are imported by this test."""
    return [line for line in lines if not line.startswith(("#", "import "))]


def _same(one, other):
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    given, again = made_with(one), made_with(other)
    if given is None or again is None:
        return one == other or getattr(one, "__wrapped__", one) == getattr(
            other, "__wrapped__", other
        )
    return type(one) is type(other) and all(
        _same(given[name], again[name]) for name in given
    )


def _training(**kwargs):
    settings = dict(
        backbone=lasem_cnn, epochs=3, schedule=schedules.Constant(0.1)
    )
    return TaskTraining(**{**settings, **kwargs})


@pytest.mark.parametrize(
    "method",
    [
        CLR(_training(), mode="full", tensor_norms=TensorNorms(weight=0.5)),
        LASEM(_training(hidden_units=(8, 4), dropout=0.25), HardTransfer()),
        SPG(_training(stop=schedules.PlateauStop(patience=2), hidden_units=())),
        CLR(_training(augmentation=[RandomFlip(), PadAndCrop(padding=2)])),
        CLR(
            _training(
                schedule=schedules.ByTask({}, schedules.Constant(0.2)),
            )
        ),
    ],
    ids=["norms", "head", "stop", "augmentation", "nested"],
)
def test_the_text_makes_the_same_method(method):
    again, _ = _again(method)
    assert _same(method, again)


def test_two_of_a_kind_keep_their_own_values():
    early, late = schedules.Constant(0.5), schedules.Constant(0.25)
    by_task = schedules.ByTask({"shoes": early}, late)
    again, text = _again(CLR(_training(schedule=by_task)))
    assert "Constant_0/Constant.learning_rate = 0.5" in text
    assert again.training.schedule.others["shoes"].learning_rate == 0.5
    assert again.training.schedule.schedule.learning_rate == 0.25


def test_functions_with_arguments_are_told():
    backbone = functools.partial(
        lasem_cnn, channels=(4, 6), kernel_sizes=(3, 3), pool_sizes=(2, 2)
    )
    optimizer = functools.partial(SGDMomentum, momentum=0.5)
    method = CLR(_training(backbone=backbone, optimizer=optimizer))
    again, _ = _again(method)
    assert again.training.make_optimizer().momentum == 0.5
    built = again.training.make_backbone(image_shape=(16, 16, 3))
    assert [la.filters for la in built.layers if hasattr(la, "filters")] == [
        4,
        6,
    ]


def test_a_keras_model_and_optimizer_are_told():
    training = _training(backbone=model(), optimizer=keras.optimizers.Adam(0.5))
    _, text = _again(CLR(training))
    assert given_model.__name__ in text and "given_model.name = 'mine'" in text
    assert "'learning_rate': 0.5" in text


class _Own:
    """A schedule of the program's own."""

    def __call__(self, clock):
        return 0.1


@pytest.mark.parametrize(
    ("schedule", "said"),
    [(lambda clock: 0.1, "<lambda>"), (_Own(), "_Own"), (float, "float")],
)
def test_what_has_no_name_is_said_when_the_method_is_asked_for(schedule, said):
    text = gin_text(CLR(_training(schedule=schedule)), {})
    configuration.load([], path_free_bindings(text.splitlines()))
    with pytest.raises(UserError, match=f"{said}.*for which gin has no name"):
        configuration.build("Experiment.method")


def test_whatever_a_method_is_made_of_can_be_told():
    for floor in ("methods", "models", "optimizers", "replay", "data"):
        package = importlib.import_module(f"tfcl.{floor}")
        for module in pkgutil.walk_packages(package.__path__, f"tfcl.{floor}."):
            if module.name != "tfcl.data.build":  # The former place of it.
                importlib.import_module(module.name)
    lost = [
        name
        for name, kind in gin_internals.classes()
        if name.startswith("tfcl.")
        # Optimizers are named as functions that make them.
        and not issubclass(kind, keras.optimizers.Optimizer)
        and not notes_what_is_made(kind)
    ]
    # Of streams, not of methods.
    assert lost == ["tfcl.data.lazy_images.MemoryLimits"]


def test_each_of_two_optimizers_keeps_its_own_values():
    first, second = keras.optimizers.SGD(0.5), keras.optimizers.SGD(0.25)
    teller = recipe._Teller({"keras_optimizer": 2})
    names = [teller.told(each) for each in (first, second)]
    assert len(set(names)) == 2
    assert ["0.5" in text for text in teller.bindings.values()] == [True, False]
