"""Every method on every make of backbone: it works, or says why not.

Two tasks of two steps each. A pair is refused before the first step, in one
line with the reason, or all that is promised holds; nothing is silent.
"""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.testing import running, toy_run
from tests.testing.backbones import BACKBONES, LARGE, side_of
from tfcl.engine.loop import learn_stream
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.errors import UserError
from tfcl.learner import runs
from tfcl.methods.baselines.fine_tuning import FineTuning
from tfcl.methods.baselines.frozen_backbone import FrozenBackbone
from tfcl.methods.baselines.individual import Individual
from tfcl.methods.baselines.joint import Joint
from tfcl.methods.baselines.rehearsal import Rehearsal
from tfcl.methods.clr.clr import CLR
from tfcl.methods.clr.parallel_convolutions import ParallelConvolutions
from tfcl.methods.cpg.accuracy_goals import SameGoal
from tfcl.methods.cpg.cpg import CPG
from tfcl.methods.cpg.cpg_phases import PickAgain, PruningLadder
from tfcl.methods.cpg.packnet import PackNet
from tfcl.methods.expansion.den import DEN
from tfcl.methods.expansion.prognn import ProgNN
from tfcl.methods.lasem.brute_force import BruteForce
from tfcl.methods.lasem.darts import DARTS
from tfcl.methods.lasem.lasem import LASEM
from tfcl.methods.lasem.static_transfer import StaticTransfer
from tfcl.methods.masks.channel_gating import ChannelGating
from tfcl.methods.masks.hat import HAT
from tfcl.methods.masks.supsup import SupSup
from tfcl.methods.regularization.ewc import EWC
from tfcl.methods.regularization.gpm import GPM
from tfcl.methods.regularization.mas import MAS
from tfcl.methods.regularization.si import SI
from tfcl.methods.spg.spg import SPG
from tfcl.optimizers.schedules import Constant
from tfcl.testing import tiny_training


def _cpg(training):
    again = PickAgain(Constant(1e-3), Constant(1e-3), epochs=1)
    ladder = PruningLadder(Constant(1e-3), (0.5,), epochs=1, ramp_epochs=1)
    return CPG(
        training,
        SameGoal(0.0),
        ladder,
        picking_schedule=Constant(1e-2),
        pick_again=again,
    )


_METHODS = {
    "brute_force": BruteForce,
    "channel_gating": ChannelGating,
    "clr": CLR,
    "clr_norms": functools.partial(CLR, mode="norms"),
    "cpg": _cpg,
    "darts": DARTS,
    "den": functools.partial(DEN, expansion=2, loss_threshold=0.0),
    "ewc": EWC,
    "fine_tuning": functools.partial(FineTuning, heads="per_task"),
    "frozen_backbone": FrozenBackbone,
    "gpm": GPM,
    "hat": HAT,
    "hps": functools.partial(StaticTransfer, configuration="top_1"),
    "individual": Individual,
    "joint": Joint,
    "lasem": LASEM,
    "mas": MAS,
    "packnet": functools.partial(PackNet, retraining_epochs=0),
    "parallel": ParallelConvolutions,
    "prognn": ProgNN,
    "rehearsal": functools.partial(Rehearsal, capacity=8),
    "si": SI,
    "spg": SPG,
    "supsup": SupSup,
}
_FORGET_NOTHING = (
    *("clr", "clr_norms", "cpg", "frozen_backbone", "individual", "packnet"),
    *("parallel", "prognn", "supsup"),
)
# Methods that take whatever can be exported.
_TAKE_ALL = (
    *("ewc", "fine_tuning", "individual", "joint", "mas", "rehearsal", "si"),
    "spg",
)
# A configuration for each of so many layers would be trained.
_TOO_MANY = ("brute_force", "lasem")
# What a refusal may give as its reason.
_REASONS = (
    "has no graph of layers",
    "has no normalisation",
    "holds the convolution",
    "must have no layers that change what",
    "must train no matrices for GPM",
    "must have no weights but those of convolutions and dense layers",
    "is no convolution, dense layer",
    "takes more than the output of the layer before it",
    "is used twice",
    "sits in an inner model",
    "is a model with convolutions of its own",
    "without groups",
    "has groups",
    "has no bias",
    "keeps statistics or random state",
)
_PAIRS = [
    (method, backbone)
    for method in sorted(_METHODS)
    for backbone in sorted(BACKBONES)
    if method not in _TOO_MANY or backbone not in LARGE
]


def _training(backbone):
    return tiny_training(
        1, backbone=BACKBONES[backbone], hidden_units=(), dropout=0.0
    )


def _made(method, backbone):
    return _METHODS[method](_training(backbone))


def _logits(method, entry, task):
    """Of a finished task, on its own test images."""
    method.activate(entry.values, entry.index)
    images = entry.preprocessing(tf.constant(task.test.images))
    return method.predict(images).numpy()[:, : task.num_classes]


def _of_run(run, index):
    task = run.stream.tasks[index]
    return _logits(run.method, run.bank.load(index, task.name), task)


def _started(method, backbone, folder):
    side = side_of(backbone)
    stream = toy_run.toy_stream(
        (2, 2), image_shape=(side, side, 3), train_size=32, test_size=8
    )
    with runs.explained():
        run = toy_run.open_run(folder, _made(method, backbone), stream)
        try:
            run.start({})
        except BaseException:
            run.close()
            raise
    return run


def _learned(run):
    """Logits of the first task after each of the two."""
    finish, found = run.finish_visit, []

    def finished(visit):
        finish(visit)
        found.append(_of_run(run, 0))

    run.finish_visit = finished
    try:
        with running.no_figures():
            learn_stream(run)
    finally:
        run.close()
    return found


@pytest.mark.large
@pytest.mark.parametrize(("method", "backbone"), _PAIRS)
def test_a_pair_keeps_its_promises_or_is_refused(
    method, backbone, tmp_path, caplog
):
    caplog.set_level("INFO", logger="absl")
    try:
        run = _started(method, backbone, tmp_path / "run")
    except (UserError, ValueError) as error:
        _is_a_refusal(str(error), method, backbone)
        return
    told = [r.getMessage() for r in caplog.records]
    (shares,) = [text for text in told if "its own" in text]
    assert run.method.name in shares
    early, late = _learned(run)
    assert np.isfinite(early).all() and np.isfinite(late).all()
    for record in run.results()["tasks"]:
        assert record["steps"] >= 2
    if method in _FORGET_NOTHING:
        np.testing.assert_array_equal(early, late)
    _serves_the_same(run, _made(method, backbone))


def _is_a_refusal(said, method, backbone):
    assert "\n" not in said
    assert any(reason in said for reason in _REASONS), said
    assert backbone == "subclassed" or method not in _TAKE_ALL, said
    assert backbone != "plain" or method == "clr_norms", said


def _serves_the_same(run, method):
    served = LearnedTasks(run.model_dir, method)
    for index, task in enumerate(run.stream.tasks):
        entry = served.find(task.name)
        np.testing.assert_array_equal(
            _logits(served.method, entry, task), _of_run(run, index)
        )
    images = tf.constant(task.test.images)
    loaded = tf.saved_model.load(str(served.export(entry)))
    outputs = loaded.signatures["serving_default"](images)
    np.testing.assert_allclose(
        outputs["probabilities"], served.probabilities(entry, images), atol=1e-4
    )
