"""What a run shows: charts of TensorBoard by their names, and to loggers."""

import collections

import numpy as np
import pytest
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.plugins.hparams import metadata, plugin_data_pb2

from tests.testing import toy_run
from tests.testing.recorded import Recorder
from tfcl.engine.watching.board import Board
from tfcl.errors import RunError
from tfcl.files import read_json
from tfcl.methods.lasem.static_transfer import StaticTransfer
from tfcl.reporting.loggers.all_loggers import Loggers


@pytest.fixture(name="learned", scope="module")
def _learned(tmp_path_factory):
    """TensorBoard's reader of a run of LASEM on three tasks."""
    folder = tmp_path_factory.mktemp("run")
    with toy_run.no_figures():
        toy_run.learn(folder, toy_run.toy_lasem())
    return _reader(folder)


def _reader(folder):
    reader = event_accumulator.EventAccumulator(str(folder / "tensorboard"))
    reader.Reload()
    return reader


def test_charts_are_few_and_named_after_tasks(learned):
    tags = learned.Tags()["scalars"]
    groups = collections.Counter(tag.partition("/")[0] for tag in tags)
    assert groups.pop("metrics") <= 20
    assert groups == {"train": 6, "validation": 6, "run": 4, "test_accuracy": 3}
    for name in ("task_00", "task_01", "task_02"):
        assert f"train/{name}/loss" in tags
        assert f"validation/{name}/accuracy" in tags
        # Two epochs of four steps.
        points = learned.Scalars(f"validation/{name}/accuracy")
        first = 8 * int(name[-1])
        assert [point.step for point in points] == [first + 4, first + 8]


def test_a_prior_is_one_figure_of_each_task(learned):
    images = learned.Tags()["images"]
    wanted = [f"prior/task_{k:02d}" for k in range(3)]
    assert [name for name in images if name.startswith("prior")] == wanted
    assert {name.partition("/")[0] for name in images} == {
        *("accuracy_matrix", "prior", "confusion", "mistakes"),
    }
    assert [each.step for each in learned.Images("prior/task_01")] == [16]


def test_rate_speed_and_memory_are_noted_after_each_epoch(learned):
    for name in ("learning_rate", "images_per_second", "memory_gb"):
        points = learned.Scalars(f"run/{name}")
        assert [point.step for point in points] == [4, 8, 12, 16, 20, 24]
        assert all(point.value > 0 for point in points)
    values = [point.value for point in learned.Scalars("run/learning_rate")]
    assert values == pytest.approx([0.03] * 6)
    # This process has loaded TensorFlow: some hundred MB.
    memory = learned.Scalars("run/memory_gb")[-1].value
    assert 0.1 < memory < 100


def test_the_page_of_hyper_parameters_has_columns_and_metrics(learned):
    found = learned.PluginTagToContent("hparams")
    data = {
        tag: plugin_data_pb2.HParamsPluginData.FromString(content)
        for tag, content in found.items()
    }
    experiment = data[metadata.EXPERIMENT_TAG].experiment
    names = [info.name for info in experiment.hparam_infos]
    assert names == ["method", "stream", "seed", "learning_rate", "epochs"]
    scalars = learned.Tags()["scalars"]
    metrics = [info.name.tag for info in experiment.metric_infos]
    assert metrics == [
        "metrics/average_accuracy",
        "metrics/forgetting",
        "metrics/backward_transfer",
    ]
    assert set(metrics) <= set(scalars)
    values = data[metadata.SESSION_START_INFO_TAG].session_start_info.hparams
    assert values["method"].string_value.startswith("LASEM")
    assert values["epochs"].number_value == 2
    assert values["seed"].number_value == 1
    assert values["learning_rate"].number_value == pytest.approx(0.03)


def test_a_resumed_run_has_every_point_and_figure_once(tmp_path):
    with toy_run.no_figures():
        toy_run.learn(tmp_path, stream=toy_run.toy_stream((2, 3)))
        for path in (tmp_path / "tensorboard").iterdir():
            path.unlink()
        for _ in range(2):
            toy_run.learn(tmp_path, stream=toy_run.toy_stream((2, 3, 2)))
    reader = _reader(tmp_path)
    for tag in reader.Tags()["scalars"]:
        steps = [point.step for point in reader.Scalars(tag)]
        assert steps == sorted(set(steps)), tag
    assert len(reader.Images("accuracy_matrix")) == 3


def test_a_logger_is_told_the_points_and_figures_of_tensorboard(tmp_path):
    recorder = Recorder()
    with toy_run.no_figures():
        toy_run.learn(tmp_path, toy_run.toy_lasem(), loggers=(recorder,))
    reader, told = _reader(tmp_path), recorder.points()
    assert len(recorder.told) == sum(map(len, told.values()))
    tags = reader.Tags()
    assert told.keys() == {*tags["scalars"], *tags["images"]}
    for tag in tags["scalars"]:
        points = [(e.step, e.value) for e in reader.Scalars(tag)]
        rounded = [(step, float(np.float32(v))) for step, v in told[tag]]
        assert rounded == points, tag
    for tag in tags["images"]:
        drawn = [(e.step, e.encoded_image_string) for e in reader.Images(tag)]
        assert told[tag] == drawn, tag
    (run,) = recorder.runs
    assert run.folder == tmp_path
    assert run.settings["seed"] == 1 and run.settings["stream"] == "synthetic"
    assert run.settings["method"].startswith("LASEM")
    assert recorder.ends == [True]


class _Moments(toy_run.Snapshots):
    """Knows of each copy how many points a logger had been told by then."""

    def __init__(self, model_dir, folder, recorder):
        super().__init__(model_dir, folder)
        self._recorder = recorder
        self.told = []

    def _keep(self, source, label):
        super()._keep(source, label)
        self.told.append(len(self._recorder.told))


def test_a_killed_run_is_one_run_of_a_logger_with_every_point(tmp_path):
    whole, measured = Recorder(), ("run/images_per_second", "run/memory_gb")
    folder = tmp_path / "run"
    with toy_run.no_figures():
        with _Moments(folder, tmp_path / "copies", whole) as moments:
            toy_run.learn(folder, loggers=(whole,))
        (run,) = whole.runs
        began = [k for k, count in enumerate(moments.told) if count]
        for k in began[:: len(began) // 8]:
            _, copy = moments.copies[k]
            ended = read_json(copy / "loggers.json")["ended"]
            after = Recorder()
            toy_run.learn(copy, loggers=(after,))
            assert [each.id for each in after.runs] == [run.id]
            # A killed one may lose what it was told in its last seconds.
            count = moments.told[k] // (1 if ended else 2)
            after.told[:0] = whole.told[:count]
            told, wanted = after.points(), whole.points()
            assert told.keys() == wanted.keys()
            for tag, points in wanted.items():
                if tag in measured:  # By a clock, by the system.
                    steps = {step for step, _ in told[tag]}
                    assert steps == {step for step, _ in points}, tag
                else:
                    assert _rounded(told[tag]) == _rounded(points), tag


def _rounded(points):
    """Points as TensorBoard's files keep them, in float32."""
    return {
        (step, value if isinstance(value, bytes) else np.float32(value))
        for step, value in points
    }


def test_what_is_on_disk_is_told_once(tmp_path):
    first, again, further = Recorder(), Recorder(), Recorder()
    with toy_run.no_figures():
        toy_run.learn(
            tmp_path, stream=toy_run.toy_stream((2, 3)), loggers=(first,)
        )
        toy_run.learn(
            tmp_path, stream=toy_run.toy_stream((2, 3)), loggers=(again,)
        )
        toy_run.learn(
            tmp_path, stream=toy_run.toy_stream((2, 3, 2)), loggers=(further,)
        )
    assert first.runs == again.runs == further.runs
    assert again.told == [] and again.ends == [True]
    steps = {step for _, _, step, _ in further.told}
    assert steps == {20, 24} and max(e[2] for e in first.told) == 16


@pytest.mark.parametrize("name", ["begin", "scalars", "image", "close"])
def test_a_logger_that_fails_changes_nothing(tmp_path, name):
    with toy_run.no_figures():
        wanted = toy_run.learn(tmp_path / "without")
        failing = Recorder(fails_at=name)
        found = toy_run.learn(tmp_path / "with", loggers=(failing,))
    toy_run.assert_same_outcome(found, wanted)
    assert failing.asked.count(name) == 1


def test_a_run_that_ends_early_is_not_told_as_finished(tmp_path):
    recorder = Recorder()
    run = toy_run.open_run(tmp_path, loggers=(recorder,))
    run.start({})
    run.close()
    assert recorder.ends == [False]


def test_workers_that_write_nothing_tell_no_logger(tmp_path):
    recorder = Recorder()
    run = toy_run.open_run(tmp_path, loggers=(recorder,))
    run.chief = False
    run.start({})
    run.close()
    assert recorder.asked == []


def test_phases_with_names_are_told_apart(tmp_path):
    class Named(StaticTransfer):
        def phases(self, task):
            for phase in super().phases(task):
                phase.name = "fit"
                yield phase

    method = Named(toy_run.toy_training(), "01")
    with toy_run.no_figures():
        toy_run.learn(tmp_path, method, toy_run.toy_stream((2,)))
    tags = _reader(tmp_path).Tags()["scalars"]
    assert "train/task_00/fit/loss" in tags
    assert "validation/task_00/fit/accuracy" in tags


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(RunError, match="file/board"):
        Board(tmp_path / "file" / "board", 0, Loggers(()))
