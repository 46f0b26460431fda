"""CPG: the controller, growth, what old tasks keep, what a kill loses."""

import json

import numpy as np
import pytest

from tests.methods.cpg.masked_training import masked_training
from tests.testing import toy_run
from tfcl.errors import UserError
from tfcl.methods.cpg.accuracy_goals import GoalFile, OwnGoal, SameGoal
from tfcl.methods.cpg.cpg import CPG
from tfcl.methods.cpg.cpg_phases import PickAgain, PruningLadder
from tfcl.methods.cpg.packnet import PackNet
from tfcl.methods.work import Decision, Validate
from tfcl.optimizers.schedules import Clock, Constant, PlateauStop
from tfcl.testing import (
    first_task_logits,
    learned,
    run_method_test,
    tiny_stream,
)


def ladder(ratios=(0.4, 0.6), **kwargs):
    settings = {"epochs": 2, "ramp_epochs": 1, "frequency": 2}
    return PruningLadder(Constant(1e-3), ratios, **{**settings, **kwargs})


def cpg(goals=None, epochs=8, rate=0.02, **kwargs):
    settings = {
        "pruning": ladder(),
        "picking_schedule": Constant(1e-2),
        "picking_epochs": epochs // 2,
        "pick_again": PickAgain(Constant(1e-3), Constant(1e-3), epochs=2),
    }
    return CPG(
        masked_training(epochs, rate),
        goals or OwnGoal(0.1),
        **{**settings, **kwargs},
    )


def test_cpg(tmp_path):
    run_method_test(cpg, tmp_path, forgets=False)


def growing():
    """Misses every goal, so it grows as far as it may."""
    return cpg(
        SameGoal(1.0),
        epochs=1,
        rate=1e-7,
        max_width=1.5,
        pruning=ladder((0.6,)),
        picking_epochs=None,
    )


def test_kills_change_nothing(tmp_path):
    wanted = toy_run.assert_kills_change_nothing(tmp_path, growing, moments=2)
    notes = [task["method"] for task in wanted.results["tasks"]]
    assert [note["width"] for note in notes] == [1.5, 1.5, 1.5]
    assert [len(note["tried"]) for note in notes] == [2, 1, 1]


@pytest.fixture(scope="module", name="run")
def _run(tmp_path_factory):
    """A run whose second picking only does harm."""
    worse = PickAgain(Constant(5.0), Constant(1.0), epochs=1)
    method = cpg(OwnGoal(0.05), epochs=4, pick_again=worse)
    return learned(tmp_path_factory.mktemp("cpg"), method)


def _classifier(features=12, classes=2):
    """What `application_classifier` gives, for the tiny network."""
    kernel = np.arange(features * classes, dtype=np.float32)
    return kernel.reshape(features, classes), np.ones(classes, np.float32)


def pretrained(make=_classifier, name="task_00", **kwargs):
    """Takes the first task as it is and prunes it."""
    training = masked_training(1, 0.02, pretrained=True)
    settings = {
        "pruning": ladder(keep_best=True),
        "picking_schedule": Constant(1e-2),
        "untrained": {name: make},
    }
    return CPG(training, SameGoal(0.0), **{**settings, **kwargs})


@pytest.mark.parametrize("width", [1.0, 1.5])
def test_a_pretrained_task_is_measured_and_pruned_alone(tmp_path, width):
    run = learned(tmp_path, pretrained(max_width=width), class_counts=(2, 3))
    first, second = run.results()["tasks"]
    # What owns weights, a measurement or a training, two runs of pruning, the
    # last measurement.
    assert _epochs(first) == [None, None, 2, 2, None]
    assert first["method"]["sparsity"] == pytest.approx(0.6, abs=0.02)
    assert first["method"]["tried"] == [
        {
            "width": 1.0,
            "accuracy": first["method"]["accuracy_of_target"]["0"],
        }
    ]
    assert _epochs(second) == [None, 1, 2, 2, None]


def _epochs(record):
    """Epochs of each piece of work, None for what is no training."""
    return [result.get("epochs") for result in record["phases"]]


def test_the_head_of_a_pretrained_task_is_the_given_one():
    stream = tiny_stream((2, 3))()
    method = pretrained()
    method.setup(stream.spec(), seed=0)
    layer = method.masked[0]
    wanted = layer.kernel.numpy()
    method.begin_task(stream.tasks[0])
    np.testing.assert_array_equal(layer.kernel, wanted)
    kernel, bias = _classifier()
    # The head is as wide as the widest task.
    assert method.head.kernels[0].shape == (12, 3)
    np.testing.assert_array_equal(method.head.kernels[0][:, :2], kernel)
    np.testing.assert_array_equal(method.head.biases[0][:2], bias)
    phases = method.phases(stream.tasks[0])
    assert isinstance(next(phases), Decision)
    work = phases.send({"value": 1})
    assert isinstance(work, Validate) and work.name == "untrained"


def test_packnet_takes_a_pretrained_task_as_it_is(tmp_path):
    method = PackNet(
        masked_training(1, 0.02, pretrained=True),
        retraining_schedule=Constant(1e-3),
        retraining_epochs=1,
        untrained={"task_00": _classifier},
    )
    run = learned(tmp_path, method, class_counts=(2, 2))
    epochs = [_epochs(record) for record in run.results()["tasks"]]
    assert epochs == [[None, 1], [1, 1]]


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("task_01", _classifier, "must name the first task, 'task_00'"),
        ("task_00", lambda: _classifier(9), r"a kernel of \(12, 2\)"),
        ("task_00", lambda: _classifier(12, 5), r"a bias of \(2,\)"),
    ],
)
def test_what_cannot_be_taken_untrained_is_named(tmp_path, name, make, message):
    with pytest.raises(ValueError, match=f"`untrained` .*{message}"):
        learned(tmp_path, pretrained(make, name), class_counts=(2, 2))


def test_untrained_tasks_need_pretrained_weights():
    method = cpg(untrained={"task_00": _classifier})
    with pytest.raises(ValueError, match="`untrained` must be empty unless"):
        method.setup(tiny_stream()().spec(), seed=0)


def test_tasks_have_pruning_of_their_own(tmp_path):
    method = cpg(
        SameGoal(0.0),
        epochs=1,
        pick_again=None,
        task_pruning={"task_00": ladder((0.3,), epochs=1)},
        ratios_by_hand={"task_00": 0.3, "task_01": 0.4},
    )
    run = learned(tmp_path, method, class_counts=(2, 2))
    notes = [task["method"] for task in run.results()["tasks"]]
    # Two of the first one's four steps come after its only event, step 2, where
    # the ramp has come to 1 - (1 - 2 / 4)^3 of 0.3.
    assert _sparsities(notes) == pytest.approx([0.2625, 0.4], abs=0.02)
    with pytest.raises(ValueError, match=r"must be 0 or one of \(0.3,\)"):
        cpg(
            task_pruning={"task_00": ladder((0.3,))},
            ratios_by_hand={"task_00": 0.4},
        )


def test_growth_needs_a_backbone_with_a_width():
    def narrow(image_shape):
        raise AssertionError(image_shape)

    training = masked_training(backbone=narrow)
    with pytest.raises(ValueError, match="`max_width` must be 1 for a backb"):
        CPG(
            training,
            OwnGoal(),
            ladder(),
            picking_schedule=Constant(1e-2),
            max_width=1.5,
        )


def test_a_stopping_rule_ends_the_one_phase_of_training(tmp_path):
    training = masked_training(
        50, 1e-7, stop=PlateauStop(1, 2), restore_best=True
    )
    settings = {"pruning": ladder((0.3,)), "picking_schedule": Constant(1e-2)}
    with pytest.raises(ValueError, match="`picking_epochs` must be None if"):
        CPG(training, OwnGoal(), picking_epochs=3, **settings)
    run = learned(
        tmp_path, CPG(training, OwnGoal(), **settings), class_counts=(2,)
    )
    epochs = _epochs(run.results()["tasks"][0])[1]
    assert 4 <= epochs < 50
    accuracies = next(
        values
        for name, values in run.bank.history(0, "task_00").items()
        if name.endswith("finetune/validation/accuracy")
    )
    history = tuple({"validation/accuracy": a} for a in accuracies)
    ends = [
        training.stop(Clock(n, n, 50, history[:n]))
        for n in range(1, epochs + 1)
    ]
    assert ends == [False] * (epochs - 1) + [True]


def _goals(folder, goals):
    path = folder / "goals.json"
    path.write_text(json.dumps(goals))
    return GoalFile(str(path))


def test_a_later_task_that_grows_leaves_old_bits_alone(tmp_path):
    names = [task.name for task in tiny_stream((2, 2))().tasks]
    goals = _goals(tmp_path, dict(zip(names, (0.0, 1.0))))
    logits = []
    for counts in ((2,), (2, 2)):
        method = cpg(goals, epochs=1, rate=1e-7, max_width=1.5)
        run = learned(tmp_path / "run", method, class_counts=counts)
        logits.append(first_task_logits(run))
    np.testing.assert_array_equal(*logits)
    records = run.results()["tasks"]
    assert [r["method"]["width"] for r in records] == [1.0, 1.5]


def test_picks_are_banked_as_bits(run):
    for index, task in enumerate(run.stream.tasks):
        values = run.bank.load(index, task.name).values
        for layer in run.method.masked:
            owner = layer.owner.numpy()
            earlier = np.count_nonzero((owner > 0) & (owner <= index))
            picks = values[f"{layer.name}/picks"]
            assert picks.dtype == np.uint8
            assert picks.nbytes == -(-earlier // 8)
        assert not any(name.endswith("/scores") for name in values)


def test_a_missed_goal_is_pruned_for_the_tasks_to_come(tmp_path):
    method = cpg(
        SameGoal(1.0), epochs=1, rate=1e-7, picks=False, pick_again=None
    )
    run = learned(tmp_path, method)
    notes = [task["method"] for task in run.results()["tasks"]]
    # 1 - round(1 / 3, 1), 1 - round(1 / 2, 1) and 0, in steps of the ladder.
    assert _sparsities(notes) == pytest.approx([0.6, 0.6, 0.0], abs=0.02)
    assert all(note["goal_missed"] for note in notes)


def _sparsities(notes):
    return [note["sparsity"] for note in notes]


def test_the_sparsest_state_within_the_goal_is_chosen(run):
    for record in run.results()["tasks"]:
        notes = record["method"]
        good = [
            target
            for target, accuracy in notes["accuracy_of_target"].items()
            if accuracy >= notes["goal"]
        ]
        best = max(good, key=float)
        assert notes["sparsity"] == notes["sparsity_of_target"].get(best, 0.0)
        assert notes["sparsity"] == pytest.approx(float(best), abs=0.02)


def test_ratios_by_hand_are_taken(tmp_path):
    names = [task.name for task in tiny_stream((2, 2))().tasks]
    method = cpg(
        SameGoal(0.0), epochs=1, ratios_by_hand={names[0]: 0.4, names[1]: 0.0}
    )
    run = learned(tmp_path, method, class_counts=(2, 2))
    notes = [task["method"] for task in run.results()["tasks"]]
    assert _sparsities(notes) == pytest.approx([0.4, 0.0], abs=0.02)
    assert notes[0]["ownership"]["sparsity"] == notes[0]["sparsity"]


def test_a_worse_second_picking_is_refused(run):
    for record in run.results()["tasks"][1:]:
        notes, phases = record["method"], record["phases"]
        assert not notes["picked_again"]
        (chosen,) = {
            notes["accuracy_of_target"][target]
            for target, sparsity in notes["sparsity_of_target"].items()
            if sparsity == notes["sparsity"]
        }
        assert phases[-1]["validation/accuracy"] == pytest.approx(chosen)


def test_pae_uses_every_earlier_weight(tmp_path):
    method = cpg(epochs=1, picks=False, pick_again=None)
    run = learned(tmp_path, method, class_counts=(2, 2))
    assert "picks" not in method.optimizers
    for index, task in enumerate(run.stream.tasks):
        values = run.bank.load(index, task.name).values
        assert not any(name.endswith("/picks") for name in values)


def test_freed_weights_are_zeroed_at_once_if_wanted():
    method = cpg(SameGoal(0.0), zero_on_prune=True)
    stream = tiny_stream((2, 2))()
    method.setup(stream.spec(), seed=0)
    method.begin_task(stream.tasks[0])
    layer = method.masked[0]
    buffer = method.optimizers["main"].buffer_of(layer.kernel)
    buffer.assign(np.ones(buffer.shape))
    method.steps.begin_ramp(ladder().ramp(0.0, 0.5, 8))
    method.steps.ramp_step.assign(8)
    method.steps._prune()
    free = layer.owner.numpy() == 0
    assert 0.4 < free.mean() < 0.6
    for variable in (layer.kernel, buffer):
        assert not np.any(variable.numpy()[free])
        assert np.all(variable.numpy()[~free])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no readable JSON file"),
        ("[1]", "must hold an object of task names"),
        ('{"task_00": 2}', "must hold an object of task names"),
        ('{"task_00": 0.5}', "has no goal for the tasks task_01"),
        (None, "is no readable JSON file"),
    ],
)
def test_goal_files_that_do_not_serve_are_named(tmp_path, text, message):
    path = tmp_path / "goals.json"
    if text is not None:
        path.write_text(text)
    method = cpg(GoalFile(str(path)))
    with pytest.raises(UserError, match=message):
        learned(tmp_path / "run", method, class_counts=(2, 2))


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("max_width", 0.5, "must be float of at least 1"),
        ("ratios_by_hand", {"task_00": 0.33}, "must be 0 or one of"),
        ("picking_schedule", -1.0, "must be a schedule or a rate"),
        ("least_train_accuracy", 1.0, r"must be float in \[0, 1\)"),
    ],
)
def test_wrong_arguments_are_named(argument, value, message):
    with pytest.raises(ValueError, match=f"`{argument}` {message}"):
        cpg(**{argument: value})


@pytest.mark.parametrize("ratios", [(0.0, 0.5), (0.5, 0.5), (0.5, 1.0), ()])
def test_ratios_outside_are_refused(ratios):
    with pytest.raises(ValueError, match="must be increasing numbers"):
        ladder(ratios)


def test_unknown_tasks_by_hand_are_refused(tmp_path):
    method = cpg(SameGoal(0.0), ratios_by_hand={"no_such": 0.4})
    with pytest.raises(ValueError, match="must name tasks of the stream"):
        learned(tmp_path, method, class_counts=(2, 2))


def test_tasks_that_come_again_are_refused():
    method = cpg()
    with pytest.raises(ValueError, match="learns a task once"):
        method.resume_task(tiny_stream((2,))().tasks[0], {})
