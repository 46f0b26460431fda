"""Methods made in Python, with no more than a backbone."""

import functools
import inspect

import gin
import keras
import numpy as np
import pytest

import tfcl.methods
from tests.testing import toy_run
from tfcl import configuration
from tfcl.configuration.binding import winning
from tfcl.configuration.gin_internals import configurables
from tfcl.data.scenario import CLASS, TASK
from tfcl.data.scenarios.class_incremental_stream import (
    class_incremental_stream,
)
from tfcl.errors import UserError
from tfcl.methods import (
    CLR,
    CPG,
    ClassifierAlignment,
    ClassIncremental,
    GDumb,
    Method,
    NetworkMethod,
    PackNet,
    PromptMethod,
    Rehearsal,
    TaskTraining,
)
from tfcl.methods.task_training import training_of
from tfcl.models import mlp_network, vit
from tfcl.optimizers.schedules import Clock
from tfcl.testing import learned

_CLASSES = [
    value
    for value in map(
        functools.partial(getattr, tfcl.methods), tfcl.methods.__all__
    )
    if inspect.isclass(value)
    and issubclass(value, Method)
    and configurables(value.__name__)  # Others are bases.
]
_TAKE_A_TRAINING = [
    each for each in _CLASSES if issubclass(each, NetworkMethod)
]
_ONLINE = [
    each
    for each in _CLASSES
    if "network" in inspect.signature(each).parameters
    and each.__name__ != "MemoryHead"
]
# What takes long, and is no matter of defaults.
_SHORT = {
    CPG: {"pruning": tfcl.methods.PruningLadder(ratios=(0.5,), epochs=4)},
    PackNet: {"retraining_epochs": 1},
}


@pytest.fixture(autouse=True)
def _no_gin():
    yield
    gin.clear_config()


@functools.cache
def _model():
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(5, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(7, activation="softmax"),
        ],
        name="small",
    )


@functools.cache
def _transformer():
    return vit((8, 8, 3), patch=4, width=8, depth=5, heads=2)


def _run(folder, method):
    counts = {"class_counts": (2, 2), "train_size": 32, "test_size": 16}
    scenario = None if TASK in method.scenarios else CLASS
    run = learned(folder, method, scenario, **counts)
    matrix = run.journal.accuracy_matrix(2)
    assert np.isfinite(matrix[np.tril_indices(2)]).all()
    return run


def test_all_methods_are_tried():
    names = {each.__name__ for each in _TAKE_A_TRAINING}
    assert {"CLR", "CPG", "DEN", "HAT", "LASEM", "LwF", "SPG"} <= names
    assert len(names) >= 21
    assert len(_ONLINE) >= 6


@pytest.mark.parametrize("make", _TAKE_A_TRAINING)
def test_a_method_learns_on_a_live_model(make, tmp_path):
    model = _transformer() if issubclass(make, PromptMethod) else _model()
    before = model.get_weights()
    method = make(backbone=model, epochs=1, **_SHORT.get(make, {}))
    assert method.training.epochs == 1
    _run(tmp_path, method)
    for old, new in zip(before, model.get_weights()):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("make", _ONLINE)
def test_an_online_method_learns_with_its_defaults(make, tmp_path):
    method = make(mlp_network)
    method.training.jit_compile = False  # Longer than the run.
    _run(tmp_path, method)


@pytest.mark.parametrize("make", _ONLINE)
def test_an_online_method_asks_for_its_network(make):
    with pytest.raises(ValueError, match=f"mlp_network.*{make.__name__}.netw"):
        make()


@pytest.mark.parametrize("make", _CLASSES)
def test_nothing_is_required_of_gin_and_nothing_made_is_shared(make):
    parameters = inspect.signature(make).parameters.values()
    kinds = (int, float, str, bool, tuple, type(None))
    for each in parameters:
        if each.kind is not each.VAR_KEYWORD:
            assert isinstance(each.default, kinds), each


def test_what_a_method_makes_itself_is_its_own():
    one, other = (CPG(backbone=_model()) for _ in range(2))
    for name in ("training", "pruning", "goals", "picking_schedule"):
        assert getattr(one, name) is not getattr(other, name), name
    one, other = (tfcl.methods.ExperienceReplay(mlp_network) for _ in range(2))
    assert one.buffer is not other.buffer
    assert (one.buffer.capacity, one.replay_size) == (200, 20)
    assert GDumb(mlp_network).capacity == Rehearsal(backbone=_model()).capacity


def test_the_defaults_are_those_that_the_documentation_names():
    training = TaskTraining(_model())
    assert training.epochs == 20
    assert training.schedule(Clock(19, 39, 20)) == 0.001


def test_options_are_arguments_of_the_training():
    method = CLR(backbone=_model(), kernel_size=5, schedule=0.5, dropout=0.0)
    assert (method.kernel_size, method.training.dropout) == (5, 0.0)
    assert method.training.schedule(Clock(3, 3, 9)) == 0.5


def test_a_training_comes_without_options():
    training = TaskTraining(_model())
    assert CLR(training).training is training_of(training, {}, CLR)
    said = (
        r"CLR\(TaskTraining\(..., epochs=.*Received: `training`, and epochs=3"
    )
    with pytest.raises(ValueError, match=said):
        CLR(training, epochs=3)
    with pytest.raises(ValueError, match=r"must be a TaskTraining.*CLR\(backb"):
        CLR(_model())


@pytest.mark.parametrize(
    ("make", "option", "said"),
    [
        (CLR, "kernal_size", "Did you mean 'kernel_size'"),
        (CLR, "epoch", "Did you mean 'epochs'"),
        (CLR, "qqq", "CLR: training, mode.*TaskTraining: backbone, hidden"),
        # Of a class between the method and `NetworkMethod`.
        (PackNet, "picks", "PackNet: training, pruned"),
        (CPG, "picks_", "Did you mean 'picks'"),
        (Rehearsal, "heights", "Rehearsal: training, capacity"),
    ],
)
def test_an_unknown_option_is_told_with_the_nearest(make, option, said):
    with pytest.raises(TypeError, match=f"no argument '{option}'.*{said}"):
        make(backbone=_model(), **{option: 3})


def test_without_a_backbone_nothing_is_made():
    for make in (TaskTraining, CLR):
        with pytest.raises(ValueError, match="From Python.*In a gin file"):
            make(epochs=1)


@pytest.mark.parametrize(
    ("binding", "said"),
    [
        (
            "CLR.kernal_size = 3",
            "`CLR` has no parameter `kernal_size`. Did you mean 'kernel_size'? "
            "Its parameters: kernel_size, mode, norm_momentum, "
            "penalize_frozen, squeeze_excite, tensor_norms, training.",
        ),
        (
            "CLR.epochs = 5",
            "`CLR` has no parameter `epochs` in gin files, where it is one of "
            "`TaskTraining`. Write `TaskTraining.epochs`.",
        ),
    ],
)
def test_gin_files_bind_the_training_itself(binding, said):
    with pytest.raises(UserError) as caught:
        configuration.load([], [binding])
    assert str(caught.value) == f"--gin_bindings #1: {said}"


def test_a_method_without_a_binding_of_its_training_hears_the_parts():
    """The network's file speaks of the TaskTraining that the method makes."""
    files = ["gin/streams/digits_5.gin", "gin/training/lasem.gin"]
    configuration.load(files, ["Experiment.method = @CLR()"])
    ours = [key for key in winning if key[2] == "backbone"]
    assert len(ours) == 1 and ours[0][1].endswith("TaskTraining")
    method = configuration.build("Experiment.method")
    assert method.training.epochs == 30


def test_gin_says_what_it_has_no_backbone_of():
    configuration.load([], ["TaskTraining.epochs = 2"])
    with pytest.raises(ValueError) as caught:
        gin.get_configurable("CLR")()
    said = str(configuration.explain(caught.value))
    assert said.startswith("`TaskTraining.backbone` (not set in gin): ")
    assert "TaskTraining.backbone = @keras_file" in said


def test_class_incremental_needs_no_more_than_a_model(tmp_path):
    method = ClassIncremental(_model(), alignment=ClassifierAlignment())
    assert method.training.epochs == 20
    assert method.training.make_optimizer().momentum == 0.9
    method.training.epochs = 1
    stream = functools.partial(
        class_incremental_stream, stream=toy_run.toy_stream((3, 3, 2))
    )
    with toy_run.no_figures():
        run = toy_run.learn(tmp_path, method, stream).run
    assert method.heads.sizes == (3, 3, 2)
    assert run.journal.accuracy_matrix(3)[0, 0] > 1 / 3
