"""Streams of features that a frozen network has computed once."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import pathlib
import typing

import gin
import numpy as np
from absl import logging

from tfcl.data.split import Split
from tfcl.data.task import TaskStream
from tfcl.files import local_path, write_atomically
from tfcl.types import Folder

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


_DIGEST = hashlib.sha256().digest_size


@gin.configurable(denylist=["data_dir"])
def feature_stream(
    stream: Callable[..., TaskStream] = gin.REQUIRED,
    network: Callable[..., Any] = gin.REQUIRED,
    extraction_batch: int = 64,
    cache_dir: str | None = None,
    data_dir: Folder | None = None,
) -> TaskStream:
    """Replaces the images of a stream by features, as images of one pixel.

    Features are computed batch by batch, without augmentation, and kept in
    files that are named after the images, the network's layers and its
    weights: any run on the same data reads them instead of computing them
    again. A file ends in a checksum; a damaged one is made anew, with a
    warning.

    Args:
        stream: Stream factory, a function of `data_dir`.
        network: Function from `image_shape` to a `keras.Model` that ends in
            features `(batch, features)`, such as `keras_application`. It
            receives standardised images.
        extraction_batch: Images per step; changes speed only.
        cache_dir: Folder of the files. Defaults to `features` in `data_dir`,
            and without that to `~/.cache/tfcl/features`.
        data_dir: Folder of prepared TFDS data sets.

    Raises:
        ValueError: If the network does not end in features.

    Note:
        The tasks' `Preprocessing` still speaks of images, while the learned
        network takes features: exports of such a run take features.
    """
    images = stream(data_dir=data_dir)
    shape = tuple(images.tasks[0].train.image_shape)
    model = network(image_shape=shape)
    if len(model.output_shape) != 2:
        raise ValueError(
            "Argument `network` must end in features (batch, features). "
            f"Received: output shape {model.output_shape}"
        )
    folder = pathlib.Path(
        local_path(
            cache_dir
            or (data_dir and os.path.join(data_dir, "features"))
            or "~/.cache/tfcl/features",
            "feature_stream.cache_dir",
        )
    )
    name = _digest(model)
    tasks = []
    for task in images:
        splits = {
            split: _features(
                getattr(task, split), model, extraction_batch, folder, name
            )
            for split in ("train", "validation", "test")
        }
        tasks.append(dataclasses.replace(task, **splits, earlier=tuple(tasks)))
    order = [visit.task.index for visit in images.visits]
    return TaskStream(
        f"{images.name}_features",
        tasks,
        images.batch_size,
        order,
        images.scenario,
    )


def _digest(model):
    """Of the layers of a network, and of its weights."""
    sha = hashlib.sha256()
    config = json.loads(model.to_json())
    names = {}
    _collect_names(config, names)
    sha.update(json.dumps(_renamed(config, names)).encode())
    for weight in model.weights:
        value = np.ascontiguousarray(weight.numpy())
        sha.update(f"{weight.name}{value.shape}".encode())
        sha.update(value)
    return sha.hexdigest()


def _collect_names(config, names):
    """Numbers the layers: Keras' names count those of the whole process."""
    if isinstance(config, dict):
        if isinstance(config.get("name"), str):
            names.setdefault(config["name"], f"layer {len(names)}")
        config = list(config.values())
    if isinstance(config, list):
        for each in config:
            _collect_names(each, names)


def _renamed(config, names):
    if isinstance(config, dict):
        return {
            key: _renamed(value, names)
            for key, value in config.items()
            if key != "shared_object_id"  # A place in memory.
        }
    if isinstance(config, list):
        return [_renamed(each, names) for each in config]
    return names.get(config, config) if isinstance(config, str) else config


def _features(split, model, size, folder, network):
    """The `Split` of the features of a split's images."""
    key = hashlib.sha256(f"{split.digest()}{network}".encode()).hexdigest()
    path = folder / f"{key}.npy"
    vectors = _cached(path, (len(split), model.output_shape[-1]))
    if vectors is None:
        logging.info("Computing %d features for %s.", len(split), path)
        vectors = _computed(split, model, size)
        _keep(vectors, path)
    shape = (len(split.mean), vectors.shape[-1])
    return Split(
        vectors[:, None, None],
        split.labels,
        np.zeros(shape),
        np.ones(shape),
        groups=split.groups,
        scale=1.0,
    )


def _computed(split, model, size):
    result = np.empty((len(split), model.output_shape[-1]), np.float32)
    for begin in range(0, len(split), size):
        rows = np.arange(begin, min(begin + size, len(split)))
        groups = split.groups[rows]
        pixels = np.asarray(split.images[rows], np.float32) * split.scale
        pixels -= split.mean[groups][:, None, None]
        pixels /= split.std[groups][:, None, None]
        result[rows] = model.predict_on_batch(pixels.astype(np.float32))
    return result


def _cached(path, shape):
    """The array of a file, None without one or if it is damaged."""
    try:
        content = path.read_bytes()
        body, checksum = content[:-_DIGEST], content[-_DIGEST:]
        if _checksum(path, body) != checksum:
            raise ValueError("its checksum is missing or differs")
        found = np.load(io.BytesIO(body), allow_pickle=False)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as error:
        logging.warning("%s cannot be read (%s): made anew.", path, error)
        return None
    fits = found.shape == shape and found.dtype == np.float32
    return found if fits else None


def _checksum(path, body):
    # With the name: another file under this name is not of these images.
    return hashlib.sha256(path.name.encode() + body).digest()


def _keep(vectors, path):
    """Writes an array, then its checksum, which NumPy does not mind."""
    buffer = io.BytesIO()
    np.save(buffer, vectors)
    body = buffer.getvalue()
    try:
        write_atomically(path, body + _checksum(path, body))
    except OSError as error:
        logging.warning(
            "The features cannot be kept in %s (%s): the next run computes "
            "them again.",
            path.parent,
            error,
        )
