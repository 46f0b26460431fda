"""Tasks that come again go on from what they had learned."""

import functools

import numpy as np
import pytest

from tests.testing import toy_run
from tfcl.data.scenarios.repeated_stream import repeated_stream
from tfcl.engine.serving.learned import LearnedTasks
from tfcl.methods.baselines.fine_tuning import FineTuning
from tfcl.methods.baselines.frozen_backbone import FrozenBackbone
from tfcl.methods.baselines.individual import Individual
from tfcl.methods.baselines.joint import Joint
from tfcl.methods.clr.clr import CLR
from tfcl.methods.expansion.den import DEN
from tfcl.methods.expansion.prognn import ProgNN
from tfcl.methods.lasem.brute_force import BruteForce
from tfcl.methods.lasem.darts import DARTS
from tfcl.methods.lasem.lasem import LASEM
from tfcl.methods.lasem.static_transfer import StaticTransfer
from tfcl.methods.lasem.transfers import AdditiveTransfer, TuckerTransfer
from tfcl.methods.masks.channel_gating import ChannelGating
from tfcl.methods.masks.hat import HAT
from tfcl.methods.masks.supsup import SupSup
from tfcl.methods.regularization.ewc import EWC
from tfcl.methods.spg.spg import SPG
from tfcl.testing import tiny_stream, tiny_training

ORDER = [0, 1, 0, 2, 1]


def _stream(order=ORDER):
    return functools.partial(
        repeated_stream,
        stream=toy_run.toy_stream((2,) * len(set(order))),
        order=order,
    )


def _training():
    return toy_run.toy_training(epochs=1)


METHODS = {
    "apd": lambda: StaticTransfer(
        _training(), "11", AdditiveTransfer(retention=0.1)
    ),
    "brute_force": lambda: BruteForce(_training()),
    "channel_gating": lambda: ChannelGating(_training(), hidden_units=4),
    "clr": lambda: CLR(_training()),
    "darts": lambda: DARTS(_training()),
    "den": lambda: DEN(_training(), expansion=2),
    "ewc": lambda: EWC(_training()),
    "fine_tuning": lambda: FineTuning(_training()),
    "frozen_backbone": lambda: FrozenBackbone(_training()),
    "hat": lambda: HAT(_training()),
    "individual": lambda: Individual(_training()),
    "joint": lambda: Joint(_training()),
    "lasem": lambda: LASEM(_training()),
    "lasem_tf": lambda: LASEM(_training(), TuckerTransfer()),
    "prognn": lambda: ProgNN(_training()),
    "spg": lambda: SPG(toy_run.toy_training(epochs=1, hidden_units=())),
    "static_transfer": lambda: StaticTransfer(_training(), "10"),
    "supsup": lambda: SupSup(_training()),
}


@pytest.fixture(scope="module", autouse=True)
def _no_figures():
    with toy_run.no_figures():
        yield


@pytest.fixture(scope="module")
def straight(request, tmp_path_factory):
    """(name of `METHODS`, `Learned`, `Snapshots`), for the name asked for.

    All tests of one method follow each other, and its run is gone after them.
    """
    name = request.param
    folder = tmp_path_factory.mktemp(name)
    with toy_run.Snapshots(folder / "run", folder / "copies") as copies:
        outcome = toy_run.learn(folder / "run", METHODS[name](), _stream())
    return name, outcome, copies


@pytest.mark.parametrize("straight", METHODS, indirect=True)
def test_every_method_learns_a_task_again(straight):
    run = straight[1].run
    results = run.results()
    assert results["finished"]
    assert results["visits"] == ORDER
    assert [t["name"] for t in results["tasks"]] == [
        task.name for task in run.stream
    ]
    assert [t["visit"] for t in results["tasks"]] == [2, 4, 3]
    assert [t["visit"] for t in results["earlier_visits"]] == [0, 1]
    matrix = run.journal.accuracy_matrix(3)
    seen = [1, 2, 2, 3, 3]
    assert [int(np.isfinite(row).sum()) for row in matrix] == seen
    labels = [line.split(",")[0] for line in _csv_lines(run)]
    assert labels == [run.stream.tasks[task].name for task in ORDER]


def _csv_lines(run):
    text = (run.model_dir / "accuracy_matrix.csv").read_text("utf-8")
    return text.splitlines()[1:]


def test_a_task_goes_on_from_its_bank_entry(tmp_path):
    """The loss goes on falling from where it was."""
    learned = toy_run.learn(
        tmp_path, Individual(tiny_training(2)), _stream([0, 1, 0])
    )
    run = learned.run
    history = [run.bank.history(v, run.stream.tasks[0].name) for v in (0, 2)]
    first, again = (h["train/loss"] for h in history)
    assert again[0] < first[0] and again[-1] < first[-1]
    values = [run.bank.load(v, run.stream.tasks[0].name).values for v in (0, 2)]
    kernel = "conv_0/kernel"
    moved = np.abs(values[1][kernel] - values[0][kernel]).max()
    assert 0 < moved < 0.1  # a new draw would be further away


def test_the_first_entry_stays_and_the_newest_serves(tmp_path):
    learned = toy_run.learn(
        tmp_path, StaticTransfer(_training(), "10"), _stream([0, 1, 0])
    )
    folders = sorted({path.split("/")[0] for path in learned.bank})
    name = learned.run.stream.tasks[0].name
    assert folders[0] == f"000_{name}" and folders[2] == f"002_{name}"
    served = LearnedTasks(tmp_path, StaticTransfer(_training(), "10"))
    assert served.names == [task.name for task in learned.run.stream]
    newest = learned.run.bank.load(2, name).values
    for key, value in served.find(name).values.items():
        np.testing.assert_array_equal(value, newest[key])


@pytest.mark.parametrize(
    "straight", ["lasem", "lasem_tf", "darts", "brute_force"], indirect=True
)
def test_a_searched_task_keeps_its_configuration(straight):
    """It trains what it had chosen, and touches no layer that it left."""
    run = straight[1].run
    results = run.results()
    first, again = results["earlier_visits"], results["tasks"]
    assert [v["visit"] for v in first] == [0, 1]
    for before, after in zip(first, again):
        chosen = before["method"]["configuration"]
        assert after["method"]["configuration"] == chosen
        entries = [
            run.bank.load(v["visit"], v["name"]) for v in (before, after)
        ]
        assert entries[0].values.keys() == entries[1].values.keys()
        head = "head/kernel_0"
        assert (entries[0].values[head] != entries[1].values[head]).any()


@pytest.mark.parametrize(
    "straight", ["static_transfer", "prognn", "den", "lasem"], indirect=True
)
def test_kills_change_nothing(straight):
    name, wanted, copies = straight
    for moment, folder in copies.spread(4)[1:3]:
        found = toy_run.learn(folder, METHODS[name](), _stream())
        toy_run.assert_same_outcome(found, wanted, moment)


def test_a_run_goes_on_with_a_longer_order(tmp_path):
    toy_run.learn(tmp_path, METHODS["static_transfer"](), _stream([0, 1, 2]))
    longer = toy_run.learn(
        tmp_path, METHODS["static_transfer"](), _stream([0, 1, 2, 1])
    )
    assert longer.found == 3
    assert longer.run.results()["visits"] == [0, 1, 2, 1]


def test_two_orders_of_the_original_programs():
    ten = tiny_stream((2,) * 10)
    one = repeated_stream(ten, [0, 1, 2, 3, 4, *range(10)])
    assert len(one) == 10 and len(one.visits) == 15
    again = one.visits[5]
    assert again.previous == 0 and again.task.index == 0
    assert [t.index for t in again.task.earlier] == [1, 2, 3, 4]
    assert one.visits[10].previous is None


@pytest.mark.parametrize(
    "order", [[0, 1], [0, 2, 1], [1, 0, 2], [0, 1, 2, 3], []]
)
def test_an_order_that_does_not_fit_is_refused(order):
    with pytest.raises(ValueError, match="order"):
        repeated_stream(tiny_stream((2, 2, 2)), order)
