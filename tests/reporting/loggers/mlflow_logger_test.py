"""MLflow with a file of SQLite: what is in it is read back."""

import matplotlib.figure
import pytest

from tfcl.reporting import drawing
from tfcl.reporting.loggers.all_loggers import Loggers
from tfcl.reporting.loggers.mlflow_logger import MlflowLogger

mlflow = pytest.importorskip(
    "mlflow", reason="needs mlflow-skinny: pip install 'tfcl[mlflow]'"
)


@pytest.fixture(name="uri")
def _uri(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MLflow puts images into the working folder.
    return f"sqlite:///{tmp_path}/points.db"


def _runs(uri, experiment="tfcl"):
    client = mlflow.MlflowClient(uri)
    found = client.get_experiment_by_name(experiment)
    return client, client.search_runs([found.experiment_id])


def _points(client, run, tag):
    found = client.get_metric_history(run.info.run_id, tag)
    return sorted((each.step, each.value) for each in found)


def test_points_and_settings_are_read_back(tmp_path, uri):
    loggers = Loggers([MlflowLogger(uri, "shop")])
    settings = {f"Part.p{k}": str(k) for k in range(250)}
    loggers.begin(tmp_path / "mine", {**settings, "method": "EWC"})
    many = {f"test_accuracy/{k}": k / 8 for k in range(250)}
    for step in (4, 8):
        loggers.scalars({"train/a b/loss": 1 / step, **many}, step)
    png = drawing.png_bytes(matplotlib.figure.Figure(), small=False)
    loggers.image("confusion/ä#b", png, 8)
    client, (run,) = _runs(uri, "shop")
    assert run.info.status == "RUNNING" and run.info.run_name == "mine"
    loggers.close(True)
    client, (run,) = _runs(uri, "shop")
    assert run.info.status == "FINISHED"
    assert run.data.params == {**settings, "method": "EWC"}
    assert _points(client, run, "train/a b/loss") == [(4, 0.25), (8, 0.125)]
    assert _points(client, run, "test_accuracy/249")[0] == (4, 249 / 8)
    images = client.list_artifacts(run.info.run_id, "images")
    assert any("_e4_23b" in e.path and "png" in e.path for e in images)


def test_a_run_that_goes_on_is_the_same_run(tmp_path, uri):
    logger = MlflowLogger(uri)
    for step, epochs in ((8, "3"), (8, "4"), (12, "4")):
        loggers = Loggers([logger])
        loggers.begin(tmp_path / "mine", {"epochs": epochs, f"s{step}": "x"})
        loggers.scalars({"loss": 1 / step}, step)
        loggers.close(False)
    loggers = Loggers([logger])
    loggers.begin(tmp_path / "other", {})
    client, runs = _runs(uri)
    (mine,) = [run for run in runs if run.info.run_name == "mine"]
    assert len(runs) == 2 and mine.info.status == "KILLED"
    # What a killed run tells again stands there twice.
    assert _points(client, mine, "loss") == [
        (8, 1 / 8),
        (8, 1 / 8),
        (12, 1 / 12),
    ]
    assert mine.data.params == {"epochs": "3", "s8": "x", "s12": "x"}


def test_the_run_of_a_program_goes_on(tmp_path, uri):
    mlflow.set_tracking_uri(uri)
    try:
        with mlflow.start_run() as own:
            loggers = Loggers([MlflowLogger()])
            loggers.begin(tmp_path / "mine", {})
            loggers.scalars({"loss": 1.0}, 4)
            loggers.close(True)
            assert mlflow.active_run().info.run_id == own.info.run_id
        _, (run,) = _runs(uri)
        assert run.info.run_name == "mine"
    finally:
        mlflow.set_tracking_uri(None)


def test_letters_that_are_in_no_name_stay_apart(tmp_path, uri):
    loggers = Loggers([MlflowLogger(uri)])
    loggers.begin(tmp_path, {})
    loggers.scalars({"test_accuracy/c#": 0.1, "test_accuracy/c+": 0.2}, 4)
    loggers.scalars({"test_accuracy/größe": 0.3}, 4)
    _, (run,) = _runs(uri)
    assert run.data.metrics == {
        "test_accuracy/c_23": 0.1,
        "test_accuracy/c_2b": 0.2,
        "test_accuracy/größe": 0.3,
    }


def test_a_server_that_is_gone_ends_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    loggers = Loggers([MlflowLogger("http://127.0.0.1:9")])
    loggers.begin(tmp_path, {})
    loggers.scalars({"loss": 1.0}, 4)
    loggers.close(True)
