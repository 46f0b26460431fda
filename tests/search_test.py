"""The search: ranges, trials, what it maximises, going on."""

import inspect
import json
import signal
from unittest import mock

import gin
import numpy as np
import optuna
import pytest

from tests.testing import image_sets
from tests.testing.running import no_figures
from tests.testing.toy_run import disk_limit
from tfcl import search as search_module
from tfcl.configuration.ranges import parse_range
from tfcl.engine.evaluator import Evaluator
from tfcl.engine.experiment import Experiment
from tfcl.engine.measurement import Evaluation
from tfcl.errors import CannotGoOn, Interrupted, RunError, UserError
from tfcl.search import Search

_FILES = ["gin/snn_digits.gin"]
_BINDINGS = [
    "EPOCHS = 1",
    "class_split_stream.num_tasks = 2",
    "Experiment.exports = False",
    "lasem_cnn.channels = (4, 4, 4)",
]
_RANGES = dict(
    parse_range(text)
    for text in (
        "LEARNING_RATE=1e-4:0.1:log",
        "SEED=1:9",
        "HIDDEN_UNITS=(4,)|(6,)",
    )
)


@pytest.fixture(autouse=True)
def made_up_data(monkeypatch):
    made_up = image_sets.MadeUpSet((8, 8, 1), 10, {"train": 26, "test": 4})
    image_sets.replace_open_split(monkeypatch, {"digits": made_up})
    with no_figures():
        yield
    gin.clear_config()


def _search(folder, **kwargs):
    return Search(folder, _FILES, _BINDINGS, _RANGES, **kwargs)


def _made(study):
    return [(trial.params, trial.value) for trial in study.trials]


def test_a_stopped_search_goes_on_as_one_that_was_not(tmp_path):
    wanted = _search(tmp_path / "straight").run(3)
    assert [t.state.name for t in wanted.trials] == ["COMPLETE"] * 3
    assert len({str(t.params) for t in wanted.trials}) == 3
    folder = tmp_path / "stopped"
    _search(folder).run(1)
    # Stopped inside the second trial, which has its values by then.
    with mock.patch.object(
        search_module, "learn_stream", side_effect=Interrupted("stopped")
    ):
        with pytest.raises(Interrupted):
            _search(folder).run(3)
    found = _search(folder).run(3)
    assert _made(found) == _made(wanted)
    summary = json.loads((folder / "search.json").read_text())
    assert summary["best"]["value"] == found.best_value
    assert summary["best"]["number"] == found.best_trial.number
    assert len(summary["trials"]) == 3
    for number, trial in enumerate(found.trials):
        results = json.loads(
            (folder / f"trial_{number:03d}/results.json").read_text()
        )
        assert results["finished"]
        assert results["seeds"]["run"] == trial.params["SEED"]
        # The hidden accuracies: of two tasks of equal sizes.
        assert 0.0 <= trial.value <= 1.0
    # Optuna's own tools read the file.
    again = optuna.load_study(
        study_name="search", storage=f"sqlite:///{folder}/search.sqlite3"
    )
    assert _made(again) == _made(wanted)


@pytest.mark.parametrize(
    ("objective", "wanted"), [("validation", 0.15), ("test", 0.65)]
)
def test_the_objective_is_the_accuracy_of_the_split_it_is_named_by(
    objective, wanted, tmp_path
):
    """Over all tasks, as they are served when the last one is learned."""

    def banked(self, task, visit, split="test"):
        assert visit == task.index
        value = {"validation": 0.1, "test": 0.6}[split] + 0.1 * visit
        return Evaluation(1.0, value, 1.0)

    with (
        mock.patch.object(Evaluator, "banked", banked),
        mock.patch.object(search_module, "learn_stream"),
    ):
        study = _search(tmp_path, objective=objective).run(1)
    np.testing.assert_allclose(study.best_value, wanted)


def test_a_trial_that_fails_counts_and_the_search_goes_on(tmp_path):
    learn = search_module.learn_stream
    calls = []

    def fails_first(run):
        calls.append(run)
        if len(calls) == 1:
            raise RunError("not finite")
        return learn(run)

    with mock.patch.object(search_module, "learn_stream", fails_first):
        study = _search(tmp_path).run(2)
    assert [t.state.name for t in study.trials] == ["FAIL", "COMPLETE"]


def test_values_that_cannot_be_built_fail_and_the_search_goes_on(tmp_path):
    # A size per convolution is asked for; there are three.
    ranges = dict([parse_range("lasem_cnn.pool_sizes=(1,2)|(1,2,1)|(2,1,1)")])
    search = Search(tmp_path, _FILES, _BINDINGS, ranges)
    learned = mock.patch.object(search_module, "learn_stream")
    accuracy = mock.patch.object(Search, "_accuracy", lambda *_: 0.5)
    with learned, accuracy:
        study = search.run(6)
    (name,) = ranges
    states = {t.params[name]: t.state.name for t in study.trials}
    assert states.pop("(1,2)") == "FAIL"
    assert set(states.values()) == {"COMPLETE"}
    trials = json.loads((tmp_path / "search.json").read_text())["trials"]
    for trial in trials:
        assert bool(trial["reason"]) == (trial["state"] == "fail")


def test_values_out_of_their_range_are_refused_before_a_trial(tmp_path):
    ranges = dict([parse_range("SEED=-1|1|2")])
    with pytest.raises(UserError, match="`Experiment.seed` must be int of at"):
        Search(tmp_path, _FILES, _BINDINGS, ranges).run(2)


def test_a_trial_that_was_killed_before_it_had_its_values(tmp_path):
    with mock.patch.object(Search, "_value", lambda *_: 0.5):
        wanted = _search(tmp_path / "straight").run(3)
        search = _search(tmp_path / "killed")
        search.run(1)
        search.study.ask()  # No value is drawn yet.
        study = _search(tmp_path / "killed").run(3)
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert _made(study)[:1] + _made(study)[2:] == _made(wanted)


def test_a_trial_goes_on_with_other_numerics_if_it_may(tmp_path, monkeypatch):
    with mock.patch.object(Search, "_accuracy", side_effect=Interrupted("no")):
        with pytest.raises(Interrupted):
            _search(tmp_path).run(1)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    with pytest.raises(CannotGoOn, match="--allow_other_numerics") as refused:
        _search(tmp_path).run(1)
    assert refused.value.exit_code == 2
    # The values are not to blame: the trial has not failed.
    (trial,) = _search(tmp_path).study.trials
    assert trial.state.name == "RUNNING"
    study = _search(tmp_path, allow_other_numerics=True).run(1)
    assert [t.state.name for t in study.trials] == ["COMPLETE"]


def test_search_takes_the_flag_that_train_takes():
    # Read, not run: to start both takes half a minute.
    source = inspect.getsource(search_module)
    assert "command_flags.define_other_numerics()" in source
    assert "given.allow_other_numerics," in source


def test_a_signal_between_two_trials_ends_the_search(tmp_path):
    def value(*_):
        signal.raise_signal(signal.SIGTERM)
        return 0.5

    before = signal.getsignal(signal.SIGTERM)
    with mock.patch.object(Search, "_value", value):
        with pytest.raises(Interrupted, match="between two trials"):
            _search(tmp_path).run(3)
    assert signal.getsignal(signal.SIGTERM) == before
    states = [t.state.name for t in _search(tmp_path).study.trials]
    assert states.count("COMPLETE") == 1 and states.count("FAIL") == 0


_GRID = dict(parse_range(t) for t in ("SEED=3:5", "LEARNING_RATE=0.1|0.2"))
_COMBINATIONS = [
    {"SEED": seed, "LEARNING_RATE": rate}
    for seed in (3, 4, 5)
    for rate in ("0.1", "0.2")
]


def _grid_search(folder):
    return Search(folder, _FILES, _BINDINGS, _GRID, sampler="grid")


def test_a_grid_tries_every_combination_once(tmp_path):
    with mock.patch.object(Search, "_value", lambda self, number, _: number):
        assert _grid_search(tmp_path).run(2).best_value == 1
        killed = _grid_search(tmp_path)
        killed.study.ask()  # No value is drawn yet.
        killed = _grid_search(tmp_path)
        killed.study.enqueue_trial(_COMBINATIONS[2])  # Not asked for yet.
        study = _grid_search(tmp_path).run()
    made = [t.params for t in study.trials if t.state.name == "COMPLETE"]
    assert made == _COMBINATIONS
    assert len(study.trials) == len(_COMBINATIONS) + 1


def test_a_grid_has_no_more_trials_than_combinations(tmp_path):
    with pytest.raises(UserError, match="--n_trials 7: the grid has 6"):
        _grid_search(tmp_path).run(7)
    steps = dict([parse_range("LEARNING_RATE=0.1:0.2")])
    with pytest.raises(UserError, match="'LEARNING_RATE' has no steps"):
        Search(tmp_path, _FILES, _BINDINGS, steps, sampler="grid")


def test_random_values_do_not_depend_on_how_often_the_search_stopped(tmp_path):
    with mock.patch.object(Search, "_value", lambda *_: 0.5):
        wanted = _search(tmp_path / "straight", sampler="random").run(4)
        _search(tmp_path / "stopped", sampler="random").run(2)
        found = _search(tmp_path / "stopped", sampler="random").run(4)
        other = _search(tmp_path / "other", sampler="random", seed=2).run(4)
    assert _made(found) == _made(wanted) != _made(other)


def test_another_search_in_the_folder_is_refused(tmp_path):
    with mock.patch.object(Search, "_value", lambda *_: 0.5):
        _search(tmp_path).run(1)
    with pytest.raises(UserError, match="search with other seed: 1.*: 2"):
        _search(tmp_path, seed=2)
    with pytest.raises(UserError, match="other objective"):
        _search(tmp_path, objective="test")
    with pytest.raises(UserError, match="other sampler"):
        _search(tmp_path, sampler="random")


def test_mistyped_names_are_told_before_anything_runs(tmp_path):
    ranges = dict([parse_range("TaskTraining.epoch=1:3")])
    search = Search(tmp_path, _FILES, _BINDINGS, ranges)
    with mock.patch.object(Experiment, "__init__") as made:
        with pytest.raises(UserError, match="epoch"):
            search.run(1)
    assert not made.called and not search.study.trials


@pytest.mark.parametrize(
    ("bindings", "text", "message"),
    [
        ([], "EPOCH=1:3", "^--range 'EPOCH': `EPOCH` has no effect: nothing"),
        (
            ["SEEDS = 3"],
            "SEED=1:3",
            r"^--gin_bindings #5: `SEEDS` has no effect",
        ),
        (
            [],
            "EWC.strength=1:9",
            "^--range 'EWC.strength': .*EWC",
        ),
        (
            ["lasem_cnn.kernel_sizes = (3,)"],
            "SEED=1:3",
            r"^--gin_bindings #4: .*kernel_sizes=\(3,\)",
        ),
    ],
    ids=["range", "macro", "method", "value"],
)
def test_what_can_only_fail_ends_before_the_first_trial(
    bindings, text, message, tmp_path
):
    ranges = dict([parse_range(text)])
    search = Search(tmp_path, _FILES, [*_BINDINGS, *bindings], ranges)
    with pytest.raises(UserError, match=message):
        search.run(3)
    assert not search.study.trials
    assert [p.name for p in tmp_path.iterdir()] == ["search.sqlite3"]
    # The same folder takes what was meant.
    with mock.patch.object(Search, "_value", lambda *_: 0.5):
        assert len(_search(tmp_path).run(1).trials) == 1


def test_a_full_disk_under_the_trials_ends_in_one_line(tmp_path, monkeypatch):
    told = "Cannot use .*search.sqlite3: disk I/O error. Make room"
    with disk_limit(4000), pytest.raises(RunError, match=told) as error:
        _search(tmp_path / "new")
    assert "\n" not in str(error.value)
    search = _search(tmp_path / "begun")
    monkeypatch.setattr(search, "_load", lambda params: None)
    monkeypatch.setattr(search, "_check_all_used", lambda: None)
    ask = search._ask

    def ask_on_a_full_disk():
        with disk_limit(1000):
            return ask()

    monkeypatch.setattr(search, "_ask", ask_on_a_full_disk)
    with pytest.raises(RunError, match=told) as error:
        search.run(1)
    assert "\n" not in str(error.value)
    # What was noted before is there, and the search can go on.
    assert _search(tmp_path / "begun").study.user_attrs["seed"] == 1


def test_a_full_disk_under_the_summary_ends_in_one_line(tmp_path):
    search = _search(tmp_path)
    with disk_limit(10), pytest.raises(RunError, match="json.*Make room, and"):
        search._write_summary()


def test_errors_that_are_not_the_database_s_pass(tmp_path):
    with pytest.raises(ZeroDivisionError):
        with search_module.commands.database_errors(tmp_path):
            1 / 0  # noqa: B018
