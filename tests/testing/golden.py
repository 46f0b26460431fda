"""Values computed by the published programs."""

import functools
import os
import pathlib

import numpy as np

from tfcl.data.task import StreamSpec
from tfcl.models.backbones.lasem_cnn import lasem_cnn
from tfcl.testing import tiny_training

_SHIPPED = pathlib.Path(__file__).parents[1] / "golden"


def path(name):
    """Where a golden file lies.

    The folder comes from the environment variable TFCL_GOLDEN_DIR; without
    it, from the files that the project ships.
    """
    return pathlib.Path(os.environ.get("TFCL_GOLDEN_DIR", _SHIPPED), name)


def load(name):
    """The arrays of a golden file, e.g. "lasem/rmsprop.npz"."""
    with np.load(path(name), allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def under(data, prefix):
    """`{rest of the name: array}` of the arrays "<prefix>/<rest>"."""
    start = f"{prefix}/"
    return {
        key.removeprefix(start): value
        for key, value in data.items()
        if key.startswith(start)
    }


def count(data, pattern):
    """How many arrays there are, numbered from 0, e.g. "t0_conv_W{}"."""
    number = 0
    while pattern.format(number) in data:
        number += 1
    return number


def names(pattern):
    """Names of golden files, e.g. of "memory_head/trace_*.npz", in order."""
    folder, _, file = pattern.rpartition("/")
    found = sorted(place.name for place in path(folder).glob(file))
    return [f"{folder}/{name}" for name in found]


def published_network(data, prefix, kernels, make_method):
    """A method set up as a published network, with the published head.

    Args:
        data: Arrays of "lasem/extras_gate_apd.npz".
        prefix: Of the network's arrays: `<prefix>_fc_0`, ....
        kernels: Published kernels of the convolutions.
        make_method: Function from a `TaskTraining` to a method.
    """
    pattern = f"{prefix}_fc_{{}}"
    heads = [data[pattern.format(i)] for i in range(count(data, pattern))]
    training = tiny_training(
        backbone=functools.partial(
            lasem_cnn,
            channels=tuple(int(c) for c in data["channels"][1:]),
            kernel_sizes=tuple(k.shape[0] for k in kernels),
            pool_sizes=tuple(int(p) for p in data["pools"]),
        ),
        hidden_units=tuple(kernel.shape[1] for kernel in heads[:-2:2]),
        dropout=0.0,
    )
    method = make_method(training)
    classes = tuple(map(str, range(heads[-1].shape[0])))
    shape, batch = data["x"].shape[1:], len(data["x"])
    spec = StreamSpec("golden", shape, ("task",), (classes,), batch)
    method.setup(spec, seed=0)
    for i, (kernel, bias) in enumerate(
        zip(method.head.kernels, method.head.biases)
    ):
        kernel.assign(heads[2 * i])
        bias.assign(heads[2 * i + 1])
    return method
