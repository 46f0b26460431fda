"""Checkpoints as the published CPG program writes them, and what they answer.

Networks are written down as functions of a `Layers` object, in PyTorch's names
and order of axes, and computed with NumPy.
"""

import functools
import math

import numpy as np
import pytest

from tests.methods.cpg.masked_training import BACKBONE, masked_training
from tests.testing import running
from tests.testing.torch_saving import save_archive, saved
from tfcl.errors import UserError
from tfcl.methods.cpg.accuracy_goals import OwnGoal
from tfcl.methods.cpg.cpg import CPG
from tfcl.methods.cpg.cpg_phases import PruningLadder
from tfcl.methods.cpg.published_checkpoint import PublishedCheckpoint
from tfcl.methods.work import Validate
from tfcl.models.backbones.cpg_resnet import residual_network
from tfcl.models.backbones.spherenet import spherenet
from tfcl.optimizers.schedules import Constant
from tfcl.testing import tiny_stream

_TAU = np.float32(0.005)
_NORM = ("running_mean", "running_var", "weight", "bias")


class Layers:
    """Layers that take their arrays out of a dict, or note their shapes.

    Args:
        arrays: `{name: array}`; None notes shapes.
    """

    def __init__(self, arrays=None):
        self.arrays = arrays
        self.shapes = {}
        self.masked = []

    def _array(self, name, shape):
        self.shapes.setdefault(name, shape)
        if self.arrays is None:
            return np.zeros(shape, np.float32)
        assert self.arrays[name].shape == shape, name
        return self.arrays[name]

    def conv(self, name, x, out, side, stride=1, bias=False):
        self.masked.append(name)
        weight = self._array(f"{name}.weight", (out, x.shape[1], side, side))
        pad = side // 2
        x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        windows = np.lib.stride_tricks.sliding_window_view(
            x, (side, side), axis=(2, 3)
        )[:, :, ::stride, ::stride]
        y = np.einsum("nchwij,ocij->nohw", windows, weight, optimize=True)
        if bias:
            y = y + self._array(f"{name}.bias", (out,))[:, None, None]
        return y

    def norm(self, name, x):
        mean, variance, gamma, beta = (
            self._array(f"{name}.{part}", x.shape[1:2])[:, None, None]
            for part in _NORM
        )
        return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta

    def slope(self, name, x):
        slope = self._array(f"{name}.weight", x.shape[1:2])[:, None, None]
        return np.where(x > 0, x, slope * x)

    def dense(self, name, x, out):
        self.masked.append(name)
        weight = self._array(f"{name}.weight", (out, x.shape[1]))
        return x @ weight.T + self._array(f"{name}.bias", (out,))


def relu(x):
    return np.maximum(x, 0)


def pool(x, side=2, stride=2):
    windows = np.lib.stride_tricks.sliding_window_view(
        x, (side, side), axis=(2, 3)
    )
    return windows[:, :, ::stride, ::stride].max(axis=(-1, -2))


def vgg(layers, x, m):
    """Two convolutions with pools and a dense layer."""
    for place, channels in ((0, 6), (4, 8)):
        x = layers.conv(f"features.{place}", x, int(channels * m), 3)
        x = pool(relu(layers.norm(f"features.{place + 1}", x)))
    return relu(layers.dense("features.9", x.reshape(len(x), -1), int(12 * m)))


def resnet(layers, x, m):
    """Two stages of one bottleneck."""
    x = relu(layers.norm("bn1", layers.conv("conv1", x, int(4 * m), 7, 2)))
    x = pool(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), 3, 2)
    for stage, planes in ((1, 2), (2, 3)):
        start, stride, shortcut = f"layer{stage}.0", stage, x
        sizes = (planes, planes, 4 * planes)
        for k, (count, side) in enumerate(zip(sizes, (1, 3, 1)), 1):
            step = stride if side == 3 else 1
            x = layers.conv(f"{start}.conv{k}", x, int(count * m), side, step)
            x = layers.norm(f"{start}.bn{k}", x)
            x = relu(x) if k < 3 else x
        down = f"{start}.downsample"
        shortcut = layers.conv(f"{down}.0", shortcut, x.shape[1], 1, stride)
        x = relu(x + layers.norm(f"{down}.1", shortcut))
    return x.mean(axis=(2, 3))


def sphere(layers, x, m):
    """Two stages of one unit."""
    for stage, channels in ((1, 4), (2, 6)):

        def step(number, x, stride=1, stage=stage, out=int(channels * m)):
            name = f"{stage}_{number}"
            x = layers.conv(f"conv{name}", x, out, 3, stride, bias=True)
            return layers.slope(f"relu{name}", x)

        x = step(1, x, 2)
        x = x + step(3, step(2, x))
    return x.reshape(len(x), -1)


class Checkpoint:
    """A file with tasks, and the logits that it must give.

    Args:
        network: One of the functions above.
        multiples: q of each task.
        classes: Classes of each task.
        free: Whether some weights belong to nobody.
        units: Units of the embedding if the first task tells persons apart.
    """

    names = ("fish", "people", "trees")

    def __init__(self, network, multiples, classes, free=True, units=None):
        self._network = network
        self._draw = np.random.default_rng(0)
        self.multiples, self.units = multiples, units
        self.kernels, self.owners, self.tasks = {}, {}, []
        shapes = [self._shapes(q) for q in multiples]
        for name in shapes[-1][1]:
            self._add_masked(
                name, [s[0][f"{name}.weight"] for s in shapes], free
            )
        for index, (found, masked) in enumerate(shapes):
            self.tasks.append(self._task(found, masked, index, classes[index]))

    def _shapes(self, q):
        layers = Layers()
        features = self._features(layers, np.zeros((1, 3, 8, 8)), q)
        return {**layers.shapes, "features": features.shape[1:]}, layers.masked

    def _features(self, layers, x, q):
        return self._network(layers, x, math.sqrt(q))

    def _add_masked(self, name, shapes, free):
        """Owners, each within the width of its task, and kernels."""
        last = len(shapes)
        owner = self._draw.integers(0 if free else 1, last + 1, shapes[-1])
        for number, shape in enumerate(shapes, 1):
            outside = np.ones(owner.shape, bool)
            outside[tuple(map(slice, shape))] = False
            owner[outside & (owner == number)] = last
        owner = owner.astype(np.uint8)
        scale = 2.0 / math.sqrt(np.prod(shapes[-1][1:]))
        kernel = self._draw.normal(scale=scale, size=owner.shape)
        # What is free is 0 in the program's files.
        self.kernels[name] = (kernel * (owner > 0)).astype("<f4")
        self.owners[name] = owner

    def _task(self, shapes, masked, index, classes):
        own = {
            name: self._draw.uniform(0.5, 1.5, shape).astype("<f4")
            for name, shape in shapes.items()
            if name != "features" and name.rpartition(".")[0] not in masked
        }
        for name in masked:
            if f"{name}.bias" in shapes:
                own[f"{name}.bias"] = self._normal(shapes[f"{name}.bias"])
        scores = {
            name: self._scores(shapes[f"{name}.weight"], name, index + 1)
            for name in masked
        }
        rows = shapes["features"][0]
        head = [self._normal((classes, rows)), self._normal((classes,))]
        if self.units and not index:
            head = [self._normal((self.units, rows)), self._normal(self.units)]
            head.append(self._normal((self.units, classes)))
        return own, scores, head

    def _normal(self, shape):
        return self._draw.normal(size=shape).astype("<f4")

    def _scores(self, shape, name, number):
        values = np.array([_TAU, 0.004, -1.0, 0.01, 0.0051], "<f4")
        scores = self._draw.choice(values, shape)
        owner = self.owners[name][tuple(map(slice, shape))]
        # A task's scores learn at weights of earlier tasks alone.
        scores[owner >= number] = scores[owner == 0] = 0.01
        return scores

    def logits(self, index, images):
        """Those of a task, in NumPy: images `(n, height, width, channels)`."""
        own, scores, head = self.tasks[index]
        arrays = dict(own)
        for name, kernel in self.kernels.items():
            block = tuple(map(slice, scores[name].shape))
            owner = self.owners[name][block]
            picked = (scores[name] > _TAU) | (index == 0)
            used = (owner >= 1) & (owner <= index + 1) & picked
            arrays[f"{name}.weight"] = kernel[block] * used
        x = np.asarray(images, np.float64).transpose(0, 3, 1, 2)
        features = self._features(Layers(arrays), x, self.multiples[index])
        outputs = features @ head[0].T + head[1]
        if len(head) == 3:
            outputs = outputs @ (head[2] / np.linalg.norm(head[2], axis=0))
        return outputs

    def content(self, prefix="", **changes):
        """The dict that is saved; `changes` are other entries of it."""
        state = {f"{k}.weight": v for k, v in self.kernels.items()}
        last, scores, head = self.tasks[-1]
        order = list(self._shapes(self.multiples[-1])[0])[:-1]
        state = {name: {**state, **last}[name] for name in order}
        for name in self.kernels:
            state[f"{name}.piggymask"] = scores[name]
        for name in last:
            if name.endswith("running_var"):
                norm = name.removesuffix(".running_var")
                state[f"{norm}.num_batches_tracked"] = np.array(7, "<i8")
        for index, (_, _, arrays) in enumerate(self.tasks):
            state |= _classifier(f"classifiers.{index}", arrays)
        # The network in use has its classifier under a second name.
        state |= _classifier("classifier", head)
        state = {f"{prefix}{k}": v for k, v in state.items()}
        return {
            "model_state_dict": state,
            "dataset_history": list(self.names),
            "masks": {f"{prefix}{k}": v for k, v in self.owners.items()},
            "shared_layer_info": {
                name: self._info(index, prefix)
                for index, name in enumerate(self.names)
            },
            **changes,
        }

    def _info(self, index, prefix):
        own, scores, _ = self.tasks[index]
        groups = {}
        for name, array in own.items():
            layer, _, part = name.rpartition(".")
            kind = "bias"
            if f"{layer}.running_var" in own:
                kind = f"bn_layer_{part}"
            elif part == "weight":
                kind = "prelu_layer_weight"
            groups.setdefault(kind, {})[f"{prefix}{layer}"] = array
        picks = {f"{prefix}{k}": v for k, v in scores.items()}
        groups["piggymask"] = picks if index else None
        groups["network_width_multiplier"] = math.sqrt(self.multiples[index])
        return groups

    def save(self, save, path, **options):
        saved(save, path, self.content(**options))


def _classifier(name, arrays):
    if len(arrays) == 2:
        return dict(zip((f"{name}.weight", f"{name}.bias"), arrays))
    names = (f"{name}.0.weight", f"{name}.0.bias", f"{name}.1.weight")
    return dict(zip(names, arrays))


CLASSES = (2, 3, 2)
TASKS = ("task_00", "task_01", "task_02")
BACKBONES = {
    vgg: BACKBONE,
    resnet: functools.partial(
        residual_network,
        stages=((2, 1), (3, 1)),
        bottleneck=True,
        stem_channels=4,
        name="cpg_resnet_tiny",
    ),
    sphere: functools.partial(spherenet, channels=(4, 6), units=(1, 1)),
}


def published(path, **kwargs):
    names = dict(zip(TASKS, Checkpoint.names))
    settings = {"tasks": TASKS, "names": names, **kwargs}
    return PublishedCheckpoint(str(path), **settings)


def cpg(network, source, training=None, **kwargs):
    training = training or masked_training(1, backbone=BACKBONES[network])
    settings = {"max_width": 1.5, "picking_schedule": Constant(1e-2), **kwargs}
    ladder = PruningLadder(Constant(1e-3), (0.4,), epochs=1, ramp_epochs=1)
    return CPG(training, OwnGoal(0.2), ladder, published=source, **settings)


def taken(method, counts=CLASSES):
    """Lets a method take all tasks; returns their bank values."""
    stream, banked = tiny_stream(counts)(), []
    method.check_stream(stream)
    method.setup(stream.spec(), seed=0)
    method.recall = banked.__getitem__

    def measured(work):
        assert isinstance(work, Validate)
        return {"validation/accuracy": 0.5}

    for task in stream.tasks:
        method.begin_task(task)
        running.go_through_phases(method, task, measured)
        method.end_task(task)
        banked.append(method.bank_values())
    return banked


def assert_answers(file, method, banked):
    """Holds the logits of every task against those of the file."""
    images = np.random.default_rng(1).normal(size=(5, 8, 8, 3)).astype("<f4")
    for index, values in enumerate(banked):
        method.activate(values, index)
        logits = method.predict(images).numpy()[:, : CLASSES[index]]
        wanted = file.logits(index, images)
        np.testing.assert_allclose(logits, wanted, rtol=1e-4, atol=1e-4)
        assert np.ptp(wanted) > 0.1


def refusal(folder, content, **kwargs):
    """The message about a file of this content."""
    path = folder / "checkpoint.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        saved(save_archive, path, content)
    settings = {
        key: kwargs.pop(key)
        for key in ("max_width", "training", "picks")
        if key in kwargs
    }
    counts = kwargs.pop("classes", CLASSES)
    method = cpg(vgg, published(path, **kwargs), **settings)
    with pytest.raises(UserError) as caught:
        taken(method, counts)
    return str(caught.value)
