"""The shipped networks and DF-CNN sizes against the published numbers."""

import pathlib

import gin
import numpy as np
import pytest

from tfcl import configuration
from tfcl.data.task import StreamSpec

_GIN = pathlib.Path(__file__).resolve().parents[1] / "gin"
_CIFAR, _OFFICE_HOME = (32, 32, 3), (128, 128, 3)
_STL10, _MNIST, _OMNIGLOT = (96, 96, 3), (28, 28, 1), (28, 28, 1)
# Image, layers, features, classes; numbers in the convolutions and in the
# head where they are published.
_NETWORKS = {
    "lasem_cifar_4": (_CIFAR, 4, 4096, 10, 65_568, 262_858),
    "lasem_cifar_6": (_CIFAR, 6, 2048, 10, None, None),
    "lasem_cifar_8": (_CIFAR, 8, 512, 10, None, None),
    "lasem_cifar_17": (_CIFAR, 17, 2048, 10, None, None),
    "lasem_office_home_4": (_OFFICE_HOME, 4, 4096, 13, 1_613_312, 1_066_125),
    "lasem_office_home_6": (_OFFICE_HOME, 6, 4096, 13, None, None),
    "lasem_office_home_8": (_OFFICE_HOME, 8, 4096, 13, None, None),
    "lasem_stl10_6": (_STL10, 6, 2048, 3, 287_008, 264_387),
    "lasem_stl10_9": (_STL10, 9, 2048, 3, None, None),
    "lasem_mnist_2": (_MNIST, 2, 7 * 7 * 64, 2, None, None),
    "lasem_omniglot_3": (_OMNIGLOT, 3, 512, 20, None, None),
}
# What users' own images begin with has no published numbers.
_OWN = {"lasem_folders_4"}
_DECONV = sorted(
    path.stem
    for path in _GIN.glob("transfers/deconv_*.gin")
    if not path.stem.endswith("_digits")  # runs in gin_files_test.py
)
_STATED = ["LEARNING_RATE = 1e-4", "DECAY = 0.0", "EPOCHS = 1"]


@pytest.fixture(autouse=True)
def no_bindings_left():
    yield
    gin.clear_config()


def _method(network, transfer):
    """HPS, TF or DF-CNN that shares every layer, and a stream's outline."""
    shape, layers, _, classes, _, _ = _NETWORKS[network]
    files = ["base", "training/lasem", "methods/hps"]
    files += [f"transfers/{transfer}", f"networks/{network}"]
    sharing = f"CONFIGURATION = '{'1' * layers}'"
    configuration.load([f"gin/{f}.gin" for f in files], [*_STATED, sharing])
    names = tuple(f"class_{k}" for k in range(classes))
    spec = StreamSpec("made_up", shape, ("task",), (names,), 10)
    return configuration.build("Experiment.method"), spec


def test_every_network_of_lasem_is_tested():
    shipped = {path.stem for path in _GIN.glob("networks/lasem_*.gin")}
    assert shipped - _OWN == set(_NETWORKS)


@pytest.mark.parametrize(("depth", "numbers"), [(20, 269_722), (56, 853_018)])
def test_cifar_networks_have_their_sizes(depth, numbers):
    configuration.load(
        [f"gin/clr_cifar100_resnet{depth}.gin"], ["WEIGHTS = None"]
    )
    spec = StreamSpec("made_up", _CIFAR, ("task",), (("a", "b"),), 10)
    method = configuration.build("Experiment.method")
    backbone = method.training.backbone(spec)
    convs = [la for la in backbone.layers if la.name.count("conv")]
    assert len(convs) == depth - 1  # and the classifier
    trained = sum(np.prod(v.shape) for v in backbone.trainable_weights)
    assert trained + (64 + 1) * 10 == numbers  # with CIFAR-10's classifier


@pytest.mark.parametrize("name", _NETWORKS)
def test_networks_have_the_published_sizes(name):
    _, layers, features, classes, in_backbone, in_head = _NETWORKS[name]
    method, spec = _method(name, "hard")
    backbone = method.training.backbone(spec)
    assert backbone.output_shape == (None, features)
    convs = [la for la in backbone.layers if la.name.startswith("conv_")]
    assert len(convs) == layers
    if in_backbone is None:
        return
    assert backbone.count_params() == in_backbone
    head = method.training.head(classes)
    head.build((None, features))
    numbers = sum(np.prod(v.shape) for v in head.trainable_variables)
    assert numbers == in_head


def test_the_deepest_network_has_the_published_skips():
    method, spec = _method("lasem_cifar_17", "hard")
    backbone = method.training.backbone(spec)
    skips = [la.name for la in backbone.layers if la.name.startswith("skip")]
    wanted = ["skip_1_2", "skip_3_4", "skip_7_8", "skip_11_12", "skip_15_16"]
    assert skips == wanted


def _numbers(name):
    """Numbers in all knowledge bases, and per task in what generates."""
    _, *words, depth = name.split("_")
    data = "_".join(w for w in words if w not in ("direct", "tc2"))
    network = f"lasem_{data.rstrip('0123456789') if 'mnist' in data else data}"
    method, spec = _method(f"{network}_{depth}", name)
    backbone = method.make_backbone(spec)
    layers = [la for la in backbone.layers if hasattr(la, "transfer_variables")]
    counts = [
        sum(int(np.prod(v.shape)) for la in layers for v in variables(la))
        for variables in (
            lambda la: la.shared_variables,
            lambda la: la.transfer_variables,
        )
    ]
    return len(layers), *counts


@pytest.mark.parametrize("name", _DECONV)
def test_df_cnn_sizes_fit_their_network(name):
    layers, shared, per_task = _numbers(name)
    assert layers == int(name.rpartition("_")[2])
    assert shared > 0 and per_task > 0


@pytest.mark.parametrize(
    ("name", "shared", "per_task"),
    [
        ("deconv_cifar_4", 432, 533_424),
        # KB 6*6*24 + 3*3*64 + 2*(2*2*64); 19.1 million per task (76 MB).
        ("deconv_office_home_4", 1_952, 19_116_400),
    ],
)
def test_df_cnn_sizes_are_the_published_ones(name, shared, per_task):
    assert _numbers(name)[1:] == (shared, per_task)
