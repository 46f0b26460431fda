"""What a run shows in TensorBoard."""

from __future__ import annotations

import contextlib
import os
import pathlib
import time
import typing

import numpy as np
import tensorflow as tf
from tensorboard.backend.event_processing import event_file_loader
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.histogram import metadata as histogram_metadata
from tensorboard.plugins.hparams import api as hparams_api
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.text import summary_v2 as text_summary
from tensorboard.util import tensor_util

from tfcl.reporting import drawing

if typing.TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from matplotlib.figure import Figure


# No name of an event file: TensorBoard does not read it.
_UNFINISHED = ".unfinished.tmp"


class Summaries:
    """Writes TensorBoard event files that survive a kill and a full disk.

    Events go through TensorFlow's record writer in the calling thread: there
    is no background thread that a full disk could kill or block. The first
    error is kept, later points are dropped, and `flush()` and `close()`
    raise it.

    Each object writes a new file, which takes the place of those before it:
    all points up to and including `global_step` are copied, and what was
    written after the checkpoint is left out. It begins with a
    `SessionLog.START` event, at which a TensorBoard that is looking drops
    what it has read. A point whose tag and step are there already is not
    written a second time.

    Call `flush()` before each checkpoint, so that no point older than the
    checkpoint is lost when the process is killed. Not for use by several
    threads at a time.

    Args:
        folder: Folder of the event files; made if it is missing.
        global_step: Steps done when the run goes on; 0 for a new run.

    Raises:
        OSError: If the folder or the event file cannot be made.
    """

    def __init__(self, folder: str | pathlib.Path, global_step: int = 0):
        self._folder = pathlib.Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._global_step = int(global_step)
        old_files = _event_files(self._folder)
        kept = _events_until(old_files, self._global_step)
        self._present = {
            (value.tag, event.step)
            for event in kept
            for value in event.summary.value
        }
        self._error = None
        self._path = self._folder / _file_name(old_files)
        temporary = self._folder / _UNFINISHED
        try:
            self._writer = tf.io.TFRecordWriter(str(temporary))
        except tf.errors.OpError as error:
            raise self._os_error(error) from error
        self._begin(kept, temporary)
        for path in old_files:
            path.unlink()

    def _begin(self, kept, temporary):
        """Writes the begin of the file, which then gets its name."""
        self._write(event_pb2.Event(file_version="brain.Event:2"))
        # Also in a new run: TensorBoard's slow loader ignores a run's first.
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._write(event_pb2.Event(session_log=start, step=0))
        for event in kept:
            self._write(event, event.wall_time)
        try:
            self.flush()
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, self._path)
        except BaseException:
            with contextlib.suppress(tf.errors.OpError):
                self._writer.close()
            temporary.unlink(missing_ok=True)
            raise

    def has(self, tag: str, step: int) -> bool:
        """Whether a point was on disk when the run went on."""
        return (tag, step) in self._present

    def newest(
        self, seconds: float
    ) -> list[tuple[int, dict[str, float], dict[str, bytes]]]:
        """What was written last of all that was on disk when the run went on.

        Args:
            seconds: How long before the last of it, at most.

        Returns:
            `(step, {tag: number}, {tag: PNG file})` of each write.
        """
        events = _events_until([self._path], self._global_step)
        end = max((event.wall_time for event in events), default=0.0)
        found = []
        for event in events:
            if event.wall_time >= end - seconds:
                kinds: dict[str | None, list] = {}
                for value in event.summary.value:
                    kind = value.WhichOneof("value")
                    kinds.setdefault(kind, []).append(value)
                numbers = kinds.get("simple_value", ())
                images = kinds.get("image", ())
                found.append(
                    (
                        event.step,
                        {each.tag: each.simple_value for each in numbers},
                        {e.tag: e.image.encoded_image_string for e in images},
                    )
                )
        return found

    def scalars(
        self,
        prefix: str,
        values: dict,
        step: int,
        labels: dict[str, list[str]] | None = None,
    ) -> None:
        """Writes numbers; NaN means "not evaluated" and is left out.

        Args:
            prefix: Start of each tag, for example `task_003/train`.
            values: Number or 1-D array by name. A number gets the tag
                `prefix/name`, an array one tag `prefix/name/label` for each
                of its elements.
            step: Global step.
            labels: By name, one text per element of the array. Defaults to
                the elements' indices.
        """
        summary = summary_pb2.Summary()
        for name, value in values.items():
            tags = [f"{prefix}/{name}"]
            value = np.asarray(value, float)
            if value.ndim:
                names = (labels or {}).get(name)
                names = _checked_labels(name, value, names)
                tags = [f"{tags[0]}/{label}" for label in names]
            for tag, number in zip(tags, value.reshape(-1), strict=True):
                if not np.isnan(number):
                    summary.value.add(tag=tag, simple_value=float(number))
        self._add(summary, step)

    def image(self, tag: str, figure: Figure, step: int) -> bytes:
        """Writes a `matplotlib.figure.Figure`; returns it, drawn as PNG."""
        # While a run waits.
        png = drawing.png_bytes(figure, small=False)
        width, height = figure.canvas.get_width_height()
        image = summary_pb2.Summary.Image(
            encoded_image_string=png, width=width, height=height, colorspace=3
        )
        summary = summary_pb2.Summary()
        summary.value.add(tag=tag, image=image)
        self._add(summary, step)
        return png

    def histogram(self, tag: str, buckets: np.ndarray, step: int) -> None:
        """Writes a histogram, `(bins, 3)`: left end, right end and count."""
        summary = summary_pb2.Summary()
        summary.value.add(
            tag=tag,
            metadata=histogram_metadata.create_summary_metadata(None, None),
            tensor=tensor_util.make_tensor_proto(np.asarray(buckets, float)),
        )
        self._add(summary, step)

    def graph(self, graph_def: Any, step: int) -> None:
        """Writes a graph, a `GraphDef`, for TensorBoard's Graphs page."""
        content = graph_def.SerializeToString()
        self._write(event_pb2.Event(step=int(step), graph_def=content))

    def text(self, tag: str, markdown: str, step: int) -> None:
        """Writes a text; indent lines by four spaces to show them as code."""
        self._add(text_summary.text_pb(tag, markdown), step)

    def hparams(
        self,
        values: Mapping[str, Any],
        others: Mapping[str, Any],
        metrics: Mapping[str, str],
    ) -> None:
        """Writes the run's hyper-parameters, for TensorBoard's HParams page.

        Args:
            values: `str`, `bool`, `int` or `float` by name, which the page
                shows as columns; anything else is written as its text.
            others: More of them, noted and not shown.
            metrics: `{tag of a scalar: heading}` of further columns.
        """
        experiment = api_pb2.Experiment(
            # Without the values that they may have: other runs have others.
            hparam_infos=[
                api_pb2.HParamInfo(name=name, type=_kind(value))
                for name, value in values.items()
            ],
            metric_infos=[
                api_pb2.MetricInfo(
                    name=api_pb2.MetricName(tag=tag), display_name=heading
                )
                for tag, heading in metrics.items()
            ],
        )
        summary = summary_pb2.Summary()
        summary.value.add(
            tag=hparams_metadata.EXPERIMENT_TAG,
            metadata=hparams_metadata.create_summary_metadata(
                plugin_data_pb2.HParamsPluginData(experiment=experiment)
            ),
            tensor=hparams_metadata.NULL_TENSOR,
        )
        self._add(summary, 0)
        plain = {}
        for name, value in {**others, **values}.items():
            value = value.item() if isinstance(value, np.generic) else value
            known = isinstance(value, str | bool | int | float)
            plain[str(name)] = value if known else str(value)
        self._add(hparams_api.hparams_pb(plain), 0)

    def flush(self) -> None:
        """Hands all points to the operating system.

        Raises:
            OSError: If a point could not be written, now or before.
        """
        if self._error is None:
            try:
                self._writer.flush()
            except tf.errors.OpError as error:
                self._error = error
        if self._error is not None:
            raise self._os_error(self._error) from self._error

    def close(self) -> None:
        """Flushes and closes the file; closing twice does nothing.

        Raises:
            OSError: If a point could not be written, now or before.
        """
        if self._writer is None:
            return
        try:
            self.flush()
        finally:
            writer, self._writer = self._writer, None
            try:
                writer.close()
            except tf.errors.OpError as error:
                if self._error is None:
                    raise self._os_error(error) from error

    def _add(self, summary, step: int) -> None:
        """Writes those values of a summary that are not on disk already."""
        step = int(step)
        if self._present:
            new = [
                v for v in summary.value if (v.tag, step) not in self._present
            ]
            summary = summary_pb2.Summary(value=new)
        if summary.value:
            self._write(event_pb2.Event(step=step, summary=summary))

    def _write(self, event, wall_time=None) -> None:
        if self._error is not None:
            return
        event.wall_time = wall_time or time.time()
        try:
            self._writer.write(event.SerializeToString())
        except tf.errors.OpError as error:
            self._error = error

    def _os_error(self, error) -> OSError:
        return OSError(
            f"TensorBoard's event file {self._path} cannot be written: "
            f"{error.message}"
        )


def _kind(value):
    """Of a hyper-parameter, for TensorBoard's table."""
    if isinstance(value, bool):
        return api_pb2.DATA_TYPE_BOOL
    if isinstance(value, int | float):
        return api_pb2.DATA_TYPE_FLOAT64
    return api_pb2.DATA_TYPE_STRING


def _checked_labels(name, value, labels) -> list[str]:
    """One label per element of a 1-D array."""
    if value.ndim > 1:
        raise ValueError(
            "Argument `values` must hold numbers and 1-D arrays. "
            f"Received: {name!r} of shape {value.shape}"
        )
    if labels is None:
        return [str(k) for k in range(value.size)]
    if len(labels) != value.size:
        raise ValueError(
            f"Argument `labels` must have one text per element of {name!r}. "
            f"Received: {len(labels)} labels for {value.size} elements"
        )
    return [str(label) for label in labels]


def _event_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """Event files in the order in which TensorBoard reads them."""
    return sorted(folder.glob("events.out.tfevents.*"))


def _file_name(old_files: list[pathlib.Path]) -> str:
    """A new event file's name, which sorts after those of `old_files`.

    TensorBoard reads the files by name. The name holds the time in seconds,
    which alone may repeat (a quick restart) or run backwards (a wrong clock).
    """
    seconds = int(time.time())
    for path in old_files:
        number = path.name.split(".")[3]
        if number.isdigit():
            seconds = max(seconds, int(number) + 1)
    return f"events.out.tfevents.{seconds:010d}.tfcl"


def _events_until(paths: list[pathlib.Path], global_step: int) -> list:
    """All valid points and graphs on disk up to `global_step`, in their order.

    A file that ends in the middle of a record (its writer was killed) is
    read as far as it goes.
    """
    events = []
    for path in paths:
        for data in event_file_loader.RawEventFileLoader(str(path)).Load():
            event = event_pb2.Event.FromString(data)
            if event.session_log.status == event_pb2.SessionLog.START:
                events = [each for each in events if each.step < event.step]
            elif event.WhichOneof("what") in ("summary", "graph_def"):
                events.append(event)
    return [event for event in events if event.step <= global_step]
