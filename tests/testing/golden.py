"""Values computed by the published programs."""

import functools
import os
import pathlib

import numpy as np

from tests.testing.methods import tiny_training
from tfcl.data.task import StreamSpec
from tfcl.models.backbones.lasem_cnn import lasem_cnn

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


def published_network(data, prefix, kernels, make_method):
    """A method set up as a published network, with the published head.

    Args:
        data: Arrays of "lasem/extras_gate_apd.npz".
        prefix: Of the network's arrays: `<prefix>_fc_0`, ....
        kernels: Published kernels of the convolutions.
        make_method: Function from a `TaskTraining` to a method.
    """
    heads = [data[f"{prefix}_fc_{i}"] for i in range(4)]
    training = tiny_training(
        backbone=functools.partial(
            lasem_cnn,
            channels=tuple(int(c) for c in data["channels"][1:]),
            kernel_sizes=tuple(k.shape[0] for k in kernels),
            pool_sizes=tuple(int(p) for p in data["pools"]),
        ),
        hidden_units=(heads[0].shape[1],),
        dropout=0.0,
    )
    method = make_method(training)
    classes = tuple(map(str, range(heads[-1].shape[0])))
    spec = StreamSpec("golden", data["x"].shape[1:], ("task",), (classes,), 4)
    method.setup(spec, seed=0)
    for i, (kernel, bias) in enumerate(
        zip(method.head.kernels, method.head.biases)
    ):
        kernel.assign(heads[2 * i])
        bias.assign(heads[2 * i + 1])
    return method
