"""Stored values go by names that are the same in every process."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing.running import no_figures
from tfcl.engine.experiment import Experiment
from tfcl.engine.loop import learn_stream
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.errors import RunError
from tfcl.methods.baselines.fine_tuning import FineTuning
from tfcl.methods.baselines.frozen_backbone import FrozenBackbone
from tfcl.methods.baselines.individual import Individual
from tfcl.methods.baselines.joint import Joint
from tfcl.methods.clr.clr import CLR
from tfcl.methods.clr.parallel_convolutions import ParallelConvolutions
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
from tfcl.methods.spg.spg import SPG
from tfcl.testing import learned, tiny_stream, tiny_training

layers = keras.layers


def _unnamed(image_shape, norm=True):
    """A backbone whose layers Keras has to name."""
    model = keras.Sequential([keras.Input(image_shape)])
    for filters in (6, 8):
        model.add(layers.Conv2D(filters, 3, padding="same"))
        if norm:
            model.add(layers.BatchNormalization())
        model.add(layers.ReLU())
        model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    return model


def _name_some():
    layers.Conv2D(1, 1)
    layers.Dense(1)
    layers.BatchNormalization()


def _training(epochs=1, norm=True, **kwargs):
    backbone = functools.partial(_unnamed, norm=norm)
    return tiny_training(epochs, backbone=backbone, **kwargs)


_METHODS = {
    "individual": lambda: Individual(_training()),
    "fine_tuning": lambda: FineTuning(_training(), heads="per_task"),
    "frozen": lambda: FrozenBackbone(_training()),
    "joint": lambda: Joint(_training()),
    "ewc": lambda: EWC(_training()),
    "gpm": lambda: GPM(_training()),
    "clr": lambda: CLR(_training(hidden_units=())),
    "parallel": lambda: ParallelConvolutions(_training()),
    "packnet": lambda: PackNet(_training(), retraining_epochs=0),
    "gating": lambda: ChannelGating(_training()),
    "lasem": lambda: LASEM(_training(norm=False)),
    "darts": lambda: DARTS(_training()),
    "brute_force": lambda: BruteForce(_training()),
    "static": lambda: StaticTransfer(_training(), "10"),
    "prognn": lambda: ProgNN(_training()),
    "den": lambda: DEN(_training(norm=False)),
    "hat": lambda: HAT(_training(norm=False)),
    "supsup": lambda: SupSup(_training(norm=False)),
    "spg": lambda: SPG(_training(norm=False, hidden_units=())),
}


def _begun(make):
    method, stream = make(), tiny_stream()()
    method.setup(stream.spec(), seed=0)
    method.begin_task(stream.tasks[0])
    owned = method.shared + method.slot
    return {o.name: o.variable.numpy() for o in owned}


@pytest.mark.parametrize("name", _METHODS)
def test_names_and_start_values_are_those_of_a_clean_process(name):
    first = _begun(_METHODS[name])
    _name_some()
    second = _begun(_METHODS[name])
    assert list(first) == list(second)
    for key, value in first.items():
        np.testing.assert_array_equal(second[key], value, err_msg=key)


@pytest.mark.parametrize("name", ["clr", "packnet", "lasem"])
def test_a_run_is_served_alike_after_another_layer_was_named(tmp_path, name):
    make = _METHODS[name]
    run = learned(tmp_path / "run", make(), class_counts=(2, 2))
    task = run.stream.tasks[0]
    entry = run.bank.load(0, task.name)
    run.method.activate(entry.values, 0)
    images = tf.constant(task.test.images)
    logits = run.method.predict(entry.preprocessing(images))
    wanted = tf.nn.softmax(logits)[:, :2].numpy()
    _name_some()
    served = LearnedTasks(run.model_dir, make())
    entry = served.find(task.name)
    np.testing.assert_array_equal(served.probabilities(entry, images), wanted)
    loaded = tf.saved_model.load(str(served.export(entry)))
    outputs = loaded.serve(images)
    np.testing.assert_allclose(outputs["probabilities"], wanted, atol=1e-5)
    if name == "clr":
        path = served.export_bundle([served.find(n) for n in served.names])
        bundle = tf.saved_model.load(str(path))
        outputs = bundle.serve(images, tf.zeros(len(images), tf.int32))
        np.testing.assert_allclose(outputs["probabilities"], wanted, atol=1e-5)


class _Stopping(Individual):
    """Asks its run to stop in the second epoch of the second task."""

    run = None

    def begin_task(self, task):
        super().begin_task(task)
        if self.run is not None and task.index:
            self.run.stop_wished = True


def test_a_run_goes_on_to_the_same_bits_after_another_layer_was_named(
    tmp_path,
):
    """From a checkpoint in a task, whose best weights go by names."""
    training = functools.partial(_training, 3, restore_best=True)
    whole = learned(
        tmp_path / "whole", Individual(training()), class_counts=(2, 2)
    )
    folder = tmp_path / "stopped"
    with no_figures():
        for stops in (True, False):
            _name_some()
            method = (_Stopping if stops else Individual)(training())
            run = Experiment(
                folder,
                method=method,
                stream=tiny_stream((2, 2)),
                exports=False,
            )
            method.run = run
            run.start({})
            if stops:
                with pytest.raises(Exception, match="(?i)stop|interrupt"):
                    learn_stream(run)
            else:
                learn_stream(run)
            run.close()
    for visit, task in enumerate(whole.stream.tasks):
        one, other = (
            r.bank.load(visit, task.name).values for r in (whole, run)
        )
        assert list(one) == list(other)
        for key, value in one.items():
            np.testing.assert_array_equal(other[key], value, err_msg=key)


def test_values_of_another_backbone_are_refused_not_zeros(tmp_path):
    run = learned(
        tmp_path / "run", Individual(_training()), class_counts=(2, 2)
    )

    def renamed(image_shape):
        model = _unnamed(image_shape)
        model.layers[0].name = "first"
        return model

    training = tiny_training(1, backbone=renamed)
    served = LearnedTasks(run.model_dir, Individual(training))
    entry = served.find(run.stream.tasks[0].name)
    with pytest.raises(RunError, match="no values are stored for 'first/"):
        images = tf.constant(run.stream.tasks[0].test.images)
        served.probabilities(entry, images)


def test_units_that_came_after_a_task_of_den_stay_closed():
    method = _METHODS["den"]()
    stream = tiny_stream()()
    method.setup(stream.spec(), seed=0)
    method.begin_task(stream.tasks[0])
    values = method.bank_values()
    sources = [[*range(width), -1] for width in method.widths]
    method.grow(sources)
    method.activate(values, 0)
    for gate in method.gates:
        opened = gate.open.numpy()
        assert opened[-1] == 0.0
        assert opened[:-1].all()
