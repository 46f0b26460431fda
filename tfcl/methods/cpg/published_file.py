"""What a checkpoint of the published CPG program holds, by a backbone's layers.

Such a file is a dict of `torch.save` with

- the state dict of the whole network, under one of the names that
  `torch_files.state` knows: kernels W of all tasks together, and a classifier
  per task;
- the owners A of every masked kernel, `{layer: array}`;
- `{task: {group: {layer or tensor: array}}}`, what a task has for itself: the
  scores P, biases, norms, slopes, and the multiple of channels m that it was
  trained with.
"""

from __future__ import annotations

import dataclasses
import numbers
import re
import typing

import numpy as np

from tfcl.errors import UserError
from tfcl.models import torch_files
from tfcl.models.backbones.resnet_torchvision import torchvision_place
from tfcl.models.backbones.spherenet import sphereface_place
from tfcl.models.variables import leaf_layers

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    import keras

    from tfcl.types import Values


# First layer of a backbone -> what it is called in files. The layers of a VGG
# have no names there but their places, so they go by their order.
_PLACES: dict[str, Callable] = {
    "stem_conv": torchvision_place,
    "stage_0_conv": sphereface_place,
}
_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
_OTHERS = {"weight": "kernel", "bias": "bias"}
_COUNTER = "num_batches_tracked"


@dataclasses.dataclass
class Names:
    """What the parts of a file are called.

    Attributes:
        masks, tasks, picks, width: Keys of the owners, of what tasks have for
            themselves, and in it of scores and multiple of the channels.
        classifier: Of a task's classifier; "{index}" is its place from 0.
        layers: `{layer of the file: layer of the backbone}` beyond what is
            known.
        ignored: Tensors, groups or the beginnings of their names that are no
            part of the network.
    """

    masks: str
    tasks: str
    picks: str
    width: str
    classifier: str
    layers: dict[str, str]
    ignored: tuple[str, ...]


@dataclasses.dataclass
class PublishedTask:
    """What one task has for itself; kernels and picks in Keras' order of axes.

    Attributes:
        multiple: m or q as the file states it, None if it does not.
        own: `{"layer/weight": array}`, vectors of biases, norms and slopes.
        picks: `{layer: boolean array}`, None of a task without scores.
        classifier: Tensors in the file's order of tensors and axes.
    """

    multiple: float | None
    own: Values
    picks: Values | None
    classifier: list[np.ndarray]


class PublishedFile:
    """A file that is read.

    Args:
        path: Of the file.
        names: `Names`.
        backbone: Plain backbone of any width, whose layers are meant.
        positions: See `flattened_positions`: PyTorch flattens a map channel
            by channel, Keras position by position.
        threshold: Scores above it pick a weight.

    Attributes:
        kernels: `{layer: array}`, those of all tasks in one.
        owners: `{layer: uint8 array}`.
        task_names: Names of the file's tasks, in the order it states, if any.

    Raises:
        UserError: If the file cannot be read, or something in it has no
            place; names it.
    """

    def __init__(
        self,
        path: str,
        names: Names,
        backbone: keras.Model,
        positions: Mapping[str, int],
        threshold: float,
    ):
        self.path, self._names = path, names
        self._positions, self._threshold = positions, threshold
        content = self._read()
        self._state = _unprefixed(self._with_arrays(content))
        masks = _unprefixed(self._part(content, names.masks))
        self._weights = {
            layer.name: {weight.name for weight in layer.weights}
            for layer in leaf_layers(backbone)
            if layer.weights
        }
        self._layers = {**self._known_layers(backbone, masks), **names.layers}
        self._infos = self._part(content, names.tasks)
        self.task_names = _order(content, self._infos)
        self._refuse_unknown(
            name for name in self._state if not self._is_known(name)
        )
        masked = [layer for layer in masks if layer in self._layers]
        self._refuse_unknown(set(masks) - set(masked), names.masks)
        self.owners = self._in_keras_order(
            {layer: masks[layer] for layer in masked}
        )
        self.kernels = self._in_keras_order(
            {
                layer: self._state[f"{layer}.weight"]
                for layer in masked
                if f"{layer}.weight" in self._state
            }
        )

    def task(self, name: str, index: int) -> PublishedTask:
        """The `PublishedTask` of a name; its place in the file counts from 0.

        Raises:
            UserError: If there is none, or something of it has no place.
        """
        info = self._infos.get(name)
        if not isinstance(info, dict):
            raise self.error(
                f"has no task '{name}'. Its tasks: {_few(self._infos)}. Say "
                "by `names` what the stream's tasks are called there"
            )
        found = PublishedTask(None, {}, None, self._classifier(index))
        for group, entries in info.items():
            if self._is_ignored(str(group)):
                continue
            if group == self._names.width and isinstance(entries, numbers.Real):
                found.multiple = float(entries)
            elif group == self._names.picks:
                found.picks = self._picks(entries or {}) or None
            elif isinstance(entries, dict):
                found.own.update(self._own(name, str(group), entries))
            else:
                self._refuse_unknown([group], f"{self._names.tasks}/{name}")
        return found

    def error(self, text: str) -> UserError:
        """A `UserError` that tells of this file."""
        return UserError(f"PublishedCheckpoint.file: '{self.path}' {text}.")

    # Reading

    def _read(self):
        try:
            content = torch_files.read(self.path)
        except Exception as error:
            # A damaged file raises nearly every kind of error.
            raise self.error(
                f"cannot be read ({error}); it is damaged or no file of "
                "torch.save"
            ) from error
        if isinstance(content, dict):
            return content
        raise self.error("holds no dict, hence is no checkpoint of CPG")

    def _with_arrays(self, content):
        try:
            return torch_files.state(content)
        except ValueError as error:
            raise self.error(
                f"is no checkpoint of CPG: {error}. Its keys: {_few(content)}"
            ) from error

    def _part(self, content, key):
        part = content.get(key)
        if not isinstance(part, dict) or not part:
            argument = "masks" if key == self._names.masks else "task_layers"
            raise self.error(
                f"has no dict '{key}'. Its keys: {_few(content)}. Say by "
                f"`{argument}` which of them it is"
            )
        return part

    def _known_layers(self, backbone, masks):
        """`{layer of the file: layer of the backbone}`."""
        for first, place in _PLACES.items():
            if first in self._weights:
                found = [(_layer(name), place(name)) for name in self._state]
                return {layer: where[0] for layer, where in found if where}
        kinds = {
            "conv": lambda name: self._rank(name) == 4 and name in masks,
            "dense": lambda name: self._rank(name) == 2 and name in masks,
            "norm": lambda name: f"{name}.running_mean" in self._state,
        }
        if not all(name.startswith(tuple(kinds)) for name in self._weights):
            return {}
        found, inside = {}, dict.fromkeys(map(_layer, self._state))
        for kind, belongs in kinds.items():
            theirs = [name for name in inside if belongs(name)]
            ours = [name for name in self._weights if name.startswith(kind)]
            theirs = [n for n in theirs if n not in self._names.layers]
            ours = [n for n in ours if n not in self._names.layers.values()]
            if len(theirs) != len(ours):
                raise self.error(
                    f"has {len(theirs)} {kind} layers ({_few(theirs)}), the "
                    f"backbone '{backbone.name}' has {len(ours)}. Choose the "
                    "network that the file is of"
                )
            found.update(zip(theirs, ours))
        return found

    def _rank(self, layer):
        return np.ndim(self._state.get(f"{layer}.weight"))

    # What belongs where

    def _where(self, tensor):
        """`(layer, weight)` of the backbone, or None."""
        layer = self._layers.get(_layer(tensor))
        weights: Collection[str] = self._weights.get(layer, ())
        part = tensor.rpartition(".")[-1]
        if "moving_mean" in weights:
            weight = _NORM.get(part)
        elif weights == {"alpha"} and part == "weight":
            weight = "alpha"
        else:
            weight = _OTHERS.get(part)
        return (layer, weight) if weight in weights else None

    def _is_known(self, tensor):
        if self._is_ignored(tensor) or self._where(tensor) is not None:
            return True
        if _layer(tensor) in self._layers:
            return tensor.endswith((_COUNTER, f".{self._names.picks}"))
        if self._of_classifier(tensor):
            return True
        # The program's network names the classifier in use a second time.
        array = self._state[tensor]
        return any(
            np.array_equal(array, self._state[other])
            for other in filter(self._of_classifier, self._state)
        )

    def _is_ignored(self, name):
        return name.startswith(self._names.ignored)

    def _of_classifier(self, tensor, index=r"\d+"):
        start = re.escape(self._names.classifier)
        pattern = start.replace(re.escape("{index}"), str(index))
        return re.fullmatch(rf"{pattern}\..+", tensor)

    def _refuse_unknown(self, names, place=None):
        names = list(names)
        if names:
            where = "" if place is None else f" in '{place}'"
            raise self.error(
                f"has entries{where} whose place in the network is unknown: "
                f"{_few(names)}. Choose the network that the file is of, say "
                "by `layers` which layers of the backbone they are (by "
                "`classifier` what classifiers are called), or by `ignored` "
                "that they are no part of it"
            )

    def _in_keras_order(self, arrays):
        return {
            self._layers[name]: in_keras_order(
                array, self._positions.get(f"{self._layers[name]}/kernel", 1)
            )
            for name, array in arrays.items()
        }

    def _picks(self, entries):
        scores = _unprefixed(entries)
        self._refuse_unknown(
            (name for name in scores if name not in self._layers),
            self._names.picks,
        )
        limit = np.float32(self._threshold)
        return self._in_keras_order({k: p > limit for k, p in scores.items()})

    def _own(self, task, group, entries):
        found, unknown = {}, []
        for entry, array in _unprefixed(entries).items():
            parts = [p for p in _NORM if group.endswith(p)]
            names = [entry, *(f"{entry}.{part}" for part in parts)]
            places = filter(None, map(self._where, names))
            where = next((w for w in places if w[1] != "kernel"), None)
            if where is None or not isinstance(array, np.ndarray):
                if not any(map(self._is_ignored, names)):
                    unknown.append(entry)
            else:
                found["/".join(where)] = np.ravel(array)
        place = f"{self._names.tasks}/{task}/{group}"
        self._refuse_unknown(unknown, place)
        return found

    def _classifier(self, index):
        found = [
            array
            for name, array in self._state.items()
            if self._of_classifier(name, index)
        ]
        if not found:
            name = self._names.classifier.replace("{index}", str(index))
            others = [n for n in self._state if self._where(n) is None]
            raise self.error(
                f"has no classifier '{name}'. What belongs to no layer of the "
                f"backbone: {_few(others)}. Say by `classifier` what "
                "classifiers are called"
            )
        return found


def in_keras_order(array: np.ndarray, positions: int = 1) -> np.ndarray:
    """A kernel of PyTorch in Keras' order of axes.

    Args:
        array: `(out, in, height, width)` or `(out, in)`.
        positions: Of the flattened map below a dense kernel, whose rows are
            (channels, positions) in PyTorch and (positions, channels) in
            Keras.
    """
    if array.ndim == 4:
        return array.transpose(2, 3, 1, 0)
    rows = array.T
    if positions == 1 or rows.shape[0] % positions:
        return rows
    maps = rows.reshape(-1, positions, rows.shape[1])
    return maps.transpose(1, 0, 2).reshape(rows.shape)


def _unprefixed(entries):
    """Without the "module." of training on several devices."""
    return {str(k).removeprefix("module."): v for k, v in entries.items()}


def _layer(tensor):
    return tensor.rpartition(".")[0]


def _order(content, infos) -> Sequence[str] | None:
    """The list of just the tasks' names, if the file has one."""
    for value in content.values():
        if isinstance(value, list | tuple) and len(value) == len(infos):
            if all(isinstance(v, str) for v in value):
                if set(value) == set(infos):
                    return list(value)
    return None


def _few(names, count=4):
    shown = [repr(str(name)) for name in list(names)[:count]]
    more = len(list(names)) - len(shown)
    return ", ".join(shown) + (f", and {more} more" if more else "") or "none"
