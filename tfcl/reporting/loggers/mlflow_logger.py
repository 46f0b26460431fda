"""Points of runs in MLflow."""

from __future__ import annotations

import re
import time
import typing

import gin
import tensorflow as tf

from tfcl.arguments import checked
from tfcl.errors import missing_package
from tfcl.reporting.loggers.run_logger import LoggedRun, RunLogger

if typing.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import mlflow


_TAG = "tfcl.run"
_BATCH = 100  # MLflow takes no more parameters at a time.
# What MLflow takes in no name of a metric, and in none of an image.
_NOT_OF_METRICS = re.compile(r"[^/\w.\- ]")
_NOT_OF_IMAGES = re.compile(r"[^/\w.\- ]", re.ASCII)


@gin.configurable
class MlflowLogger(RunLogger):
    """Shows a run in MLflow; a run that goes on is the same there.

    It is found again by its tag `tfcl.run`, and keeps the parameters that it
    has. Points that a killed run tells again are added once more, with the
    steps and values that they had. Letters that MLflow takes in no name are
    written as their numbers: `c#` as `c_23`. A global run of `mlflow` that a
    program has open is not touched.

    Args:
        tracking_uri: "https://..." of a server or "sqlite:///..." of a file;
            None takes MLFLOW_TRACKING_URI, and else MLflow's default, the
            file `mlflow.db` of the working folder. The run's files tell it:
            user and password are to be in MLFLOW_TRACKING_USERNAME and
            MLFLOW_TRACKING_PASSWORD.
        experiment_name: Of the experiment, made if missing.
    """

    @checked
    def __init__(
        self, tracking_uri: str | None = None, experiment_name: str = "tfcl"
    ):
        self._tracking_uri = tracking_uri
        self._experiment = experiment_name
        self._client: mlflow.MlflowClient | None = None
        self._run_id = ""

    def load(self) -> None:
        try:
            import mlflow  # noqa: F401
        except ImportError as error:
            raise missing_package("MlflowLogger", error) from error

    def begin(self, told: LoggedRun) -> None:
        import mlflow

        client = mlflow.MlflowClient(self._tracking_uri)
        found = client.get_experiment_by_name(self._experiment)
        place = (
            client.create_experiment(self._experiment)
            if found is None
            else found.experiment_id
        )
        known = client.search_runs([place], f"tags.`{_TAG}` = '{told.id}'")
        if known:
            here = known[0]
            client.update_run(here.info.run_id, status="RUNNING")
        else:
            here = client.create_run(
                place, run_name=told.name, tags={_TAG: told.id}
            )
        self._client, self._run_id = client, here.info.run_id
        new = [
            mlflow.entities.Param(_named(name, _NOT_OF_METRICS), str(value))
            for name, value in told.settings.items()
            if _named(name, _NOT_OF_METRICS) not in here.data.params
        ]
        for part in _parts(new):
            client.log_batch(self._run_id, params=part)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        assert self._client is not None, "`begin` comes first"
        now = int(time.time() * 1000)
        points = [
            Metric(_named(tag, _NOT_OF_METRICS), value, now, step)
            for tag, value in values.items()
        ]
        for part in _parts(points):
            self._client.log_batch(self._run_id, metrics=part)

    def image(self, tag: str, png: bytes, step: int) -> None:
        assert self._client is not None, "`begin` comes first"
        key = _named(tag, _NOT_OF_IMAGES)
        pixels = tf.io.decode_png(png).numpy()
        # By a thread of MLflow's its failure would be told to no one.
        self._client.log_image(
            self._run_id, pixels, key=key, step=step, synchronous=True
        )

    def close(self, finished: bool) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            status = "FINISHED" if finished else "KILLED"
            client.set_terminated(self._run_id, status)


def _parts(every: list) -> Iterator[list]:
    for first in range(0, len(every), _BATCH):
        yield every[first : first + _BATCH]


def _named(tag, not_allowed):
    return not_allowed.sub(lambda found: f"_{ord(found[0]):x}", tag)
