"""LASEM's options and rules, beside the golden parity."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.testing import running
from tfcl.methods import machine_memory
from tfcl.methods.lasem.lasem import LASEM
from tfcl.methods.lasem.transfers import DeconvTransfer, TuckerTransfer
from tfcl.testing import learned, runner_for, tiny_stream, tiny_training


def _trained(steps=4, task=0, **options):
    """(method, posteriors summed over steps) after one epoch's steps."""
    stream = tiny_stream()()
    method = LASEM(tiny_training(), **options)
    method.setup(stream.spec(), seed=0)
    task = stream.tasks[task]
    method.begin_task(task)
    runner = runner_for(method, task.train.image_shape)
    phase = next(method.phases(task))
    order = np.arange(len(task.train))
    sums = [
        runner.train(phase, task.train, order, s, s + 1, 16, [1, 2], False)[0]
        for s in range(steps)
    ]
    return method, np.array([s["posterior"] for s in sums])


def test_mean_prior_is_the_running_mean_of_posteriors():
    method, posteriors = _trained()
    np.testing.assert_allclose(
        method.prior.numpy(), posteriors.mean(0), rtol=1e-5
    )


def test_count_prior_counts_the_winners():
    method, posteriors = _trained(prior="count", initial_count=2.0)
    counts = np.full(4, 2.0)
    for posterior in posteriors:
        counts[posterior.argmax()] += 1
    np.testing.assert_allclose(
        method.prior.numpy(), counts / counts.sum(), rtol=1e-5
    )


@pytest.mark.parametrize("prior", ["mean", "count"])
def test_reset_prior_forgets_the_last_epoch(prior):
    stream = tiny_stream()()
    task = stream.tasks[0]
    method = LASEM(tiny_training(), prior=prior, reset_prior=True)
    method.setup(stream.spec(), seed=0)
    method.begin_task(task)
    runner = runner_for(method, task.train.image_shape)
    phase = next(method.phases(task))
    order = np.arange(len(task.train))
    for epoch in range(3):
        sums, *_ = runner.train(
            phase, task.train, order, 0, 4, 16, [epoch, 0], False
        )
    prior_now = method.prior.numpy()
    if prior == "mean":
        np.testing.assert_allclose(prior_now, sums["posterior"] / 4, rtol=1e-5)
    else:
        # Four batches and one initial count for each of four configurations.
        np.testing.assert_allclose(prior_now.sum(), 1.0, rtol=1e-6)
        assert np.isclose(prior_now * 8, np.rint(prior_now * 8)).all()


def test_product_likelihood_multiplies_over_the_batch():
    method, posteriors = _trained(steps=1, likelihood="product")
    stream = tiny_stream()()
    task = stream.tasks[0]
    again = LASEM(tiny_training(), likelihood="product")
    again.setup(stream.spec(), seed=0)
    again.begin_task(task)
    split = task.train
    pixels = split.images[:16].astype(np.float32) / 255
    images = (pixels - split.mean[0]) / split.std[0]
    logits = again.head(again._tree(tf.constant(images)))
    log_probs = np.reshape(keras.ops.log_softmax(logits), (4, 16, -1))
    true = log_probs[:, np.arange(16), split.labels[:16]].sum(1)
    wanted = np.exp(true - true.max())
    np.testing.assert_allclose(posteriors[0], wanted / wanted.sum(), rtol=1e-3)
    del method


def test_common_dropout_mask_is_the_same_for_every_configuration():
    method = LASEM(tiny_training(dropout=0.5), dropout_masks="common")
    stream = tiny_stream()()
    method.setup(stream.spec(), seed=0)
    runner = runner_for(method, (8, 8, 3))
    runner._train.load(stream.tasks[0].train)
    batch = runner._shared.batch(
        runner._train, tf.range(16), 0, tf.constant([3, 4])
    )
    common = np.reshape(method._mask(batch, 32), (4, 16, 32))
    assert (common == common[:1]).all()
    method.dropout_masks = "independent"
    independent = np.reshape(method._mask(batch, 32), (4, 16, 32))
    assert not (independent == independent[:1]).all()


def test_layers_that_are_not_shared_are_rolled_back():
    method, _ = _trained()
    before = [variable.numpy() for variable in method.choice.before]
    method.prior.assign([0.1, 0.7, 0.1, 0.1])  # "01": second layer shared
    method.end_task(None)
    first, second = method.layers
    np.testing.assert_array_equal(first.generator.kernel.numpy(), before[0])
    assert (second.generator.kernel.numpy() != before[2]).any()
    assert method.bank_notes()["configuration"] == "01"
    banked = method.bank_values()
    assert "conv_0/task_kernel" in banked
    assert "conv_1/task_kernel" not in banked
    read = {owned.name for owned in method.read_variables()}
    assert read == {"conv_1/shared_kernel", "conv_1/shared_bias"}


def test_a_layer_that_no_task_shares_is_drawn_afresh():
    method, _ = _trained()
    method.prior.assign([0.1, 0.7, 0.1, 0.1])
    method.end_task(None)
    first, second = method.layers
    kept = second.generator.kernel.numpy()
    old = first.generator.kernel.numpy()
    method.begin_task(tiny_stream()().tasks[1])
    assert (first.generator.kernel.numpy() != old).any()
    np.testing.assert_array_equal(second.generator.kernel.numpy(), kept)


def test_batch_statistics_in_the_tree_are_refused():
    def backbone(image_shape):
        inputs = keras.Input(image_shape)
        hidden = keras.layers.Conv2D(4, 3, name="conv")(inputs)
        hidden = keras.layers.BatchNormalization(name="bn")(hidden)
        return keras.Model(inputs, keras.layers.Flatten()(hidden))

    method = LASEM(tiny_training(backbone=backbone))
    with pytest.raises(ValueError, match="bn"):
        method.setup(tiny_stream()().spec(), seed=0)


def test_a_skip_connection_is_searched_like_any_other_network():
    def backbone(image_shape):
        inputs = keras.Input(image_shape)
        one = keras.layers.Conv2D(4, 3, padding="same", name="a")(inputs)
        two = keras.layers.Conv2D(4, 3, padding="same", name="b")(one)
        joined = keras.layers.Add()([one, two])
        return keras.Model(inputs, keras.layers.Flatten()(joined))

    stream = tiny_stream()()
    method = LASEM(tiny_training(1, backbone=backbone))
    method.setup(stream.spec(), seed=0)
    runner = runner_for(method, (8, 8, 3))
    sums = running.train_task(method, runner, stream.tasks[0], 16)
    assert np.isfinite(sums[-1]["loss"])
    assert method.names == ["11", "01", "10", "00"]


@pytest.mark.parametrize(
    "options",
    [
        {"prior": "median"},
        {"likelihood": "sum"},
        {"dropout_masks": "none"},
        {"initial_count": 0.0},
        {"fixed_probability": 0.0},
        {"fixed_probability": 1.5},
    ],
)
def test_options_out_of_range_are_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        LASEM(tiny_training(), **options)


def _deep(image_shape, depth):
    """`depth` convolutions without a pool."""
    inputs = hidden = keras.Input(image_shape)
    for number in range(depth):
        hidden = keras.layers.Conv2D(
            2, 1, padding="same", name=f"conv_{number}"
        )(hidden)
    return keras.Model(inputs, keras.layers.Flatten()(hidden))


def _set_up(depth=3, **options):
    backbone = functools.partial(_deep, depth=depth)
    method = LASEM(tiny_training(backbone=backbone), **options)
    method.setup(tiny_stream()().spec(), seed=0)
    return method


def test_more_than_the_memory_holds_is_refused_before_it_is_built():
    message = r"2199023255552 config.* [\d.]+ GB .*16 images.*has [\d.]+ GB"
    with pytest.raises(ValueError, match=f"{message}.*`groups`.*batch_size"):
        _set_up(depth=41)


def test_the_machine_s_memory_decides(monkeypatch, caplog):
    # 17 layers: 2^17 configurations of 128 numbers for 16 images alone.
    memory = 2**17 * 128 * 4 * 16
    monkeypatch.setattr(machine_memory, "machine_memory", lambda: memory)
    with pytest.raises(ValueError, match="131072.*has 1.1 GB"):
        _set_up(depth=17)
    with caplog.at_level("INFO", logger="absl"):
        assert len(_set_up(depth=17, groups=(5, 4, 4, 4)).names) == 16
    assert "16 configurations, batch 16: 0.0" in caplog.text


def test_a_system_that_does_not_tell_its_memory_is_trusted(monkeypatch):
    monkeypatch.setattr(machine_memory, "machine_memory", lambda: None)
    machine_memory.require_memory(2**80, 4, 16)


def test_the_machine_has_memory():
    assert 2**27 < machine_memory.machine_memory() < 2**60


def test_groups_are_searched_together():
    method, posteriors = _trained(groups=(2,))
    assert method.names == ["11", "00"]
    np.testing.assert_allclose(
        method.prior.numpy(), posteriors.mean(0), rtol=1e-5
    )
    method.prior.assign([0.2, 0.8])
    method.end_task(None)
    assert method.bank_notes() == {
        "configuration": "00",
        "prior": pytest.approx({"11": 0.2, "00": 0.8}),
    }


def test_groups_that_do_not_sum_to_the_layers_are_refused():
    with pytest.raises(ValueError, match="`groups`.*convolutions, 3. Receiv"):
        _set_up(groups=(2, 2))


_DECONV = DeconvTransfer(((2, 4), (2, 6)), ((3, 6), (3, 8)))


@pytest.mark.parametrize(
    "transfer",
    [None, TuckerTransfer(), _DECONV],
    ids=["hard", "tucker", "deconv"],
)
def test_a_fixed_posterior_replaces_the_search(transfer):
    method, posteriors = _trained(
        transfer=transfer, fixed_configuration="01", fixed_probability=0.7
    )
    wanted = np.float32([0.1, 0.7, 0.1, 0.1])  # 11, 01, 10, 00
    np.testing.assert_allclose(posteriors, np.tile(wanted, (4, 1)), rtol=1e-6)
    np.testing.assert_allclose(method.prior.numpy(), wanted, rtol=1e-6)
    method.end_task(None)
    assert method.choice.name == "01"


def test_a_certain_configuration_trains_nothing_else():
    method, _ = _trained(fixed_configuration="01", fixed_probability=1.0)
    start, _ = _trained(
        steps=0, fixed_configuration="01", fixed_probability=1.0
    )
    moved = {
        owned.name: (owned.variable.numpy() != old.variable.numpy()).any()
        for owned, old in zip(
            method.shared + method.slot, start.shared + start.slot
        )
    }
    assert not moved["conv_0/shared_kernel"] and moved["conv_0/task_kernel"]
    assert moved["conv_1/shared_kernel"] and not moved["conv_1/task_kernel"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fixed_configuration": "01"}, "`fixed_configuration` needs one"),
        ({"fixed_configuration": "middle"}, "`fixed_configuration`: names"),
        (
            {"fixed_configuration": "010", "groups": (2, 1)},
            r"`fixed_configuration` must be constant.*\(2, 1\).*'010'",
        ),
        (
            {"fixed_configuration": "011", "fixed_probability": 0.125},
            "`fixed_probability` must exceed 1/8.*0.125",
        ),
    ],
)
def test_a_fixed_configuration_must_fit(options, message):
    with pytest.raises(ValueError, match=message):
        _set_up(**options)


def test_results_tell_the_course_of_the_search(tmp_path):
    run = learned(tmp_path, LASEM(tiny_training(3)), class_counts=(2, 2))
    for task in run.results()["tasks"]:
        assert set(task["vectors"]) == {"prior", "train/posterior"}
        course = task["vectors"]["prior"]
        assert course["epochs"] == [1, 2, 3]
        found = np.array(course["values"])
        assert found.shape == (3, 4)
        np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)
        final = list(task["method"]["prior"].values())
        np.testing.assert_allclose(found[-1], final, atol=1e-6)
