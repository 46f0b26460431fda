"""A complete run of seconds, and what a kill would leave of it."""

import contextlib
import functools
import hashlib
import json
import os
import pathlib
import re
import resource
import shutil
import typing
from unittest import mock

import tensorflow as tf

from tests.testing.running import no_figures
from tfcl.data.synthetic import synthetic_stream
from tfcl.engine.experiment import Experiment
from tfcl.engine.loop import learn_stream
from tfcl.engine.measurement import Measurement
from tfcl.engine.steps import StepRunner
from tfcl.engine.storage.checkpoints import CheckpointPolicy
from tfcl.methods.lasem.lasem import LASEM
from tfcl.methods.lasem.static_transfer import StaticTransfer
from tfcl.models.backbones.lasem_cnn import lasem_cnn
from tfcl.optimizers.schedules import Constant
from tfcl.testing import tiny_training

CLASS_COUNTS = (2, 3, 2)


def toy_training(**kwargs):
    """Two small convolutions; dropout, so that random numbers matter."""
    settings = {
        "backbone": functools.partial(
            lasem_cnn,
            channels=(4, 5),
            kernel_sizes=(3, 3),
            pool_sizes=(2, 2),
        ),
        "hidden_units": (6,),
        "dropout": 0.5,
        "epochs": 2,
    }
    return tiny_training(**{**settings, **kwargs})


def toy_stream(class_counts=CLASS_COUNTS, **kwargs):
    """Function of `data_dir` to a stream of four steps per epoch."""
    settings = {"train_size": 64, "test_size": 32, "batch_size": 16}
    return functools.partial(
        synthetic_stream,
        class_counts=class_counts,
        **{**settings, **kwargs},
    )


def toy_lasem():
    return LASEM(toy_training(schedule=Constant(0.03)))


def toy_hps():
    return StaticTransfer(toy_training(), "01")


def open_run(folder, method=None, stream=None, **kwargs):
    """An `Experiment` that is saved every two steps."""
    settings = {
        "checkpoints": CheckpointPolicy(every_seconds=0.0, steps_per_call=2),
        "seed": 1,
        "exports": False,
    }
    return Experiment(
        folder,
        method=method or toy_hps(),
        stream=stream or toy_stream(),
        **{**settings, **kwargs},
    )


class Learned(typing.NamedTuple):
    """What a run has come to.

    Attributes:
        csv: Content of `accuracy_matrix.csv`.
        variables: `{"<kind>/<number>": array}` of all variables of the
            method: shared, slot, state and those of its optimizers.
        results: `results.json` without times.
        bank: `{path: content}` of the finished tasks' files.
        answers: `{path: content}` of what the tasks have answered.
        run: The closed `Experiment`.
        found: Tasks that the run found learned when it was opened.
    """

    csv: bytes
    variables: dict
    results: dict
    bank: dict
    answers: dict
    run: Experiment
    found: int


def learn(folder, method=None, stream=None, texts=None, **kwargs):
    """Learns the stream, or the rest of it; returns a `Learned`."""
    run = open_run(folder, method, stream, **kwargs)
    found = len(run.journal.visits)
    try:
        run.start(texts or {})
        learn_stream(run)
    finally:
        run.close()
    return Learned(
        (run.model_dir / "accuracy_matrix.csv").read_bytes(),
        variables(run.method),
        untimed_results(run.model_dir),
        bank_files(run.model_dir),
        bank_files(run.model_dir, "answers"),
        run,
        found,
    )


@contextlib.contextmanager
def disk_limit(size):
    """Fails every write beyond `size` bytes of a file, like a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def variables(method):
    """`{"<kind>/<number>": array}` of all variables of a method."""
    kinds = {
        "shared": [v.variable for v in method.shared],
        "slot": [v.variable for v in method.slot],
        "state": method.state,
    }
    for name, optimizer in method.optimizers.items():
        kinds[f"optimizer_{name}"] = optimizer.variables
    return {
        f"{kind}/{number}": variable.numpy()
        for kind, listed in kinds.items()
        for number, variable in enumerate(listed)
    }


def bank_files(model_dir, name="tasks"):
    """`{path inside tasks/: content}`, or inside another folder."""
    folder = pathlib.Path(model_dir) / name
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def untimed_results(model_dir):
    """`results.json` without what differs from process to process."""
    path = pathlib.Path(model_dir) / "results.json"
    results = json.loads(path.read_text(encoding="utf-8"))
    for part in (results, *results["tasks"], *results["earlier_visits"]):
        part.pop("seconds")
    return results


def assert_same_outcome(found, wanted, note=""):
    """Holds a resumed run to the one that was never interrupted."""
    assert found.csv == wanted.csv, note
    assert found.bank == wanted.bank, note
    assert found.answers == wanted.answers, note
    assert found.results == wanted.results, note
    # A run that found every task learned has restored what outlives a task.
    everything = found.found < len(found.run.stream.visits)
    method = found.run.method
    passing = {id(variable) for variable in method.task_state}
    of_a_task = {
        f"state/{number}"
        for number, variable in enumerate(method.state)
        if id(variable) in passing
    }
    for name, value in wanted.variables.items():
        lasts = name.startswith(("shared", "state")) and name not in of_a_task
        if everything or lasts:
            same = found.variables[name].tobytes() == value.tobytes()
            assert same, f"{note}: {name}"


def assert_kills_change_nothing(folder, make_method, moments=3, **options):
    """Learns a toy stream, then again from the disk of several moments.

    Args:
        folder: Temporary folder.
        make_method: Function without arguments to a new method.
        moments: Number of kills, spread over the run.
        **options: Of `learn`.

    Returns:
        The `Learned` of the straight run.
    """
    with no_figures():
        with Snapshots(folder / "run", folder / "copies") as copies:
            wanted = learn(folder / "run", make_method(), **options)
        for moment, copy in copies.spread(moments + 1)[:-1]:
            found = learn(copy, make_method(), **options)
            assert_same_outcome(found, wanted, moment)
    return wanted


class Snapshots:
    """Copies a run's folder at every moment at which it has changed.

    SIGKILL leaves what is on disk, so each copy is what a kill at that moment
    would leave. Use as a context around the run.

    Args:
        model_dir: Folder of the run.
        folder: Where the copies go.

    Attributes:
        copies: `(label, path)` of every state of the disk, in their order.
    """

    def __init__(self, model_dir, folder):
        self.model_dir = pathlib.Path(model_dir)
        self.folder = pathlib.Path(folder)
        self.copies = []
        self._seen = set()
        self._patches = contextlib.ExitStack()

    def __enter__(self):
        for name in ("replace", "rename"):
            self._around(os, name, lambda source, target: _kind(target))
        self._around(StepRunner, "train", lambda *_: "steps")
        self._around(Measurement, "evaluate", lambda *_: "evaluation")
        self._around_saves()
        return self

    def __exit__(self, *error):
        self._patches.close()

    def one_of_each(self):
        """One copy for every label, of the middle of the run."""
        by_label = {}
        for label, path in self.copies:
            by_label.setdefault(label, []).append((label, path))
        return [listed[len(listed) // 2] for listed in by_label.values()]

    def last(self, label):
        """The last copy with a label."""
        return [copy for copy in self.copies if copy[0] == label][-1]

    def spread(self, count):
        """`count` copies at equal distances, the last one included."""
        last = len(self.copies) - 1
        numbers = [round(k * last / count) for k in range(1, count + 1)]
        return [self.copies[number] for number in numbers]

    def _around(self, owner, name, label):
        original = getattr(owner, name)

        def wrapped(*args, **kwargs):
            self._take(f"before {label(*args)}")
            result = original(*args, **kwargs)
            self._take(f"after {label(*args)}")
            return result

        self._patches.enter_context(mock.patch.object(owner, name, wrapped))

    def _around_saves(self):
        original = tf.train.CheckpointManager.save

        def save(manager, checkpoint_number):
            before = self.folder / "before"
            shutil.rmtree(before, ignore_errors=True)
            shutil.copytree(self.model_dir, before)
            result = original(manager, checkpoint_number=checkpoint_number)
            self._inside_save(before, f"ckpt-{checkpoint_number}")
            self._take("after save")
            return result

        self._patches.enter_context(
            mock.patch.object(tf.train.CheckpointManager, "save", save)
        )

    def _inside_save(self, before, name):
        """States that TensorFlow's save passes through, in their order."""
        new = self.model_dir / "checkpoints"
        data = next(new.glob(f"{name}.data*"))
        written = before / "checkpoints"
        part = written / f"{name}_temp" / f"part-00000-of-00001{data.suffix}"
        part.parent.mkdir(parents=True)
        part.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
        self._keep(before, "half a save")
        shutil.rmtree(part.parent)
        shutil.copy(data, written)
        self._keep(before, "save without index")
        shutil.copy(new / f"{name}.index", written)
        self._keep(before, "save not noted")

    def _take(self, label):
        """Keeps the folder, unless it is as at an earlier call."""
        if not self.model_dir.exists():
            return
        digest = _digest(self.model_dir)
        if digest not in self._seen:
            self._seen.add(digest)
            self._keep(self.model_dir, label)

    def _keep(self, source, label):
        path = self.folder / f"{len(self.copies):04d}"
        shutil.copytree(source, path)
        self.copies.append((label, path))


def _kind(path):
    """A file's name without numbers, for labels."""
    return re.sub(r"\d+", "N", pathlib.Path(path).name)


def _digest(folder):
    """Of everything that a resumed run reads."""
    sha = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if parts[0] not in ("tensorboard", ".lock"):
            sha.update("/".join(parts).encode())
            if path.is_file():
                sha.update(path.read_bytes())
    return sha.hexdigest()
