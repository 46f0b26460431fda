"""The networks of the CPG line against the sizes that were published."""

import keras
import numpy as np
import pytest

from tfcl.layers.masked.masked_conv2d import MaskedConv2D
from tfcl.layers.masked.masked_dense import MaskedDense
from tfcl.layers.unbiased_batch_norm import UnbiasedBatchNorm
from tfcl.models.backbones.cpg_resnet import _Builder, cpg_resnet
from tfcl.models.backbones.cpg_vgg import cpg_vgg
from tfcl.models.backbones.spherenet import spherenet
from tfcl.models.surgery.lift import lift
from tfcl.models.width import Width

_SMALL_VGG = {"layers": (6, "M", 8), "hidden_units": (10, 5)}


@pytest.fixture(autouse=True)
def _no_drawing(monkeypatch):
    """Zeros where values do not count: tens of millions take a while."""

    def zeros(self, shape, dtype=None):
        return np.zeros(shape, dtype or "float32")

    for drawn in (
        keras.initializers.RandomNormal,
        keras.initializers.VarianceScaling,
    ):
        monkeypatch.setattr(drawn, "__call__", zeros)


def _counts(model):
    """Masked weights, their layers, biases of these, norm channels."""
    kernels = [
        layer
        for layer in model.layers
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense))
    ]
    norms = [la for la in model.layers if isinstance(la, UnbiasedBatchNorm)]
    return (
        sum(int(np.prod(layer.kernel.shape)) for layer in kernels),
        len(kernels),
        sum(la.bias.shape[0] for la in kernels if la.bias is not None),
        sum(layer.gamma.shape[0] for layer in norms),
    )


@pytest.mark.parametrize(
    ("width", "weights", "biases", "norms"),
    [
        (1.0, 33_584_832, 8_192, 4_224),
        (1.5, 50_350_644, 10_032, 5_169),
        (2.0, 67_152_663, 11_584, 5_972),
    ],
)
def test_vgg_has_the_published_size(width, weights, biases, norms):
    model = cpg_vgg((32, 32, 3), width)
    assert _counts(model) == (weights, 15, biases, norms)
    assert model.output_shape == (None, biases // 2)


def test_vgg_for_large_images_flattens_seven_by_seven():
    model = cpg_vgg((224, 224, 3), hidden_units=(4,), dropout=0.5)
    assert model.get_layer("dense_0").kernel.shape == (25_088, 4)
    assert model.layers[-1].rate == 0.5


def test_resnet_50_has_the_published_size():
    model = cpg_resnet((224, 224, 3))
    assert _counts(model) == (23_454_912, 53, 0, 26_560)
    assert model.output_shape == (None, 2048)
    sides = [
        model.get_layer(f"block_{stage}_0_add").output.shape[1]
        for stage in range(4)
    ]
    assert sides == [56, 28, 14, 7]


def test_resnet_18_is_the_known_one():
    model = cpg_resnet((64, 64, 3), depth=18)
    # torchvision's 11,689,512 parameters, without the classifier's 513,000.
    assert model.count_params() - _counts(model)[3] * 2 == 11_176_512


def test_a_wide_resnet_floors_every_convolution():
    net = _Builder(Width(1.5), None, keras.layers.Conv2D)
    block = net.bottleneck
    model = keras.Model(
        inputs := keras.Input((4, 4, 3)), block(inputs, 64, 1, "block")
    )
    sizes = [model.get_layer(f"block_{k}_conv").filters for k in range(3)]
    assert sizes == [78, 78, 313]  # 64 m, 64 m, 256 m


def test_spherenet_20_has_the_published_size():
    model = spherenet((112, 112, 3))
    weights, layers, biases, _ = _counts(model)
    assert (weights, layers, biases) == (11_650_752, 20, 4_672)
    slopes = [
        int(np.prod(layer.alpha.shape))
        for layer in model.layers
        if isinstance(layer, keras.layers.PReLU)
    ]
    assert sum(slopes) == 4_672 and len(slopes) == 20
    assert model.output_shape == (None, 25_088)


@pytest.mark.parametrize(
    ("make", "layer", "reach"),
    [(spherenet, "stage_0_conv", 2), (cpg_resnet, "stem_conv", 4)],
)
def test_strided_convolutions_are_padded_on_both_sides(make, layer, reach):
    model = make((8, 8, 1))
    conv = model.get_layer(layer)
    conv.kernel.assign(np.ones(conv.kernel.shape))
    outputs = keras.Model(model.inputs[0], conv.output)(np.ones((1, 8, 8, 1)))
    # Half of the window, its centre included, lies inside at the first pixel.
    assert outputs[0, 0, 0, 0] == reach**2


def test_resnet_pools_over_a_symmetric_border():
    model = cpg_resnet((16, 16, 1), depth=18)
    pool = next(
        la for la in model.layers if isinstance(la, keras.layers.MaxPooling2D)
    )
    padding = pool.input._keras_history.operation
    images = np.arange(64.0).reshape(1, 8, 8, 1)
    pooled = np.array(pool(padding(images)))[0, :, :, 0]
    rows = [max(r for r in (2 * i, 2 * i + 1) if r < 8) for i in range(4)]
    np.testing.assert_array_equal(pooled, images[0, rows][:, rows, 0])


@pytest.mark.parametrize(
    ("make", "options", "lifted"),
    [
        (cpg_vgg, _SMALL_VGG, 4),
        (cpg_resnet, {"depth": 18, "width": 0.01}, 20),
        (spherenet, {"channels": (4, 6), "units": (1, 2)}, 8),
    ],
)
def test_every_kernel_can_be_masked(make, options, lifted):
    backbone = make((16, 16, 3), **options)
    _randomise(backbone)
    model = lift(
        backbone,
        {
            keras.layers.Conv2D: MaskedConv2D.lift,
            keras.layers.Dense: MaskedDense.lift,
        },
    )
    masked = [la for la in model.layers if hasattr(la, "owner")]
    assert len(masked) == lifted
    images = np.random.default_rng(0).normal(size=(2, 16, 16, 3))
    np.testing.assert_array_equal(model(images), backbone(images))


def _randomise(model):
    generator = np.random.default_rng(1)
    for variable in model.weights:
        variable.assign(generator.uniform(0.1, 0.5, variable.shape))


def test_vgg_scales_every_layer():
    model = cpg_vgg((8, 8, 3), width=2.0, **_SMALL_VGG)
    shapes = [
        tuple(layer.kernel.shape)
        for layer in model.layers
        if hasattr(layer, "kernel")
    ]
    assert shapes == [(3, 3, 3, 8), (3, 3, 8, 11), (176, 14), (14, 7)]


def test_a_width_never_leaves_a_layer_empty():
    assert [Width(1e-4)(64), Width(4.0)(64), Width(2)(4096)] == [1, 128, 5792]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cpg_vgg((16, 16, 3)), "5 pools.*Received"),
        (lambda: cpg_vgg((32, 32, 3), width=0.0), "`width`.*width=0.0"),
        (lambda: cpg_resnet((32, 32, 3), depth=20), "18, 34 or 50.*20"),
        (lambda: spherenet((32, 32, 3), units=(1,)), "per stage.*Received"),
    ],
)
def test_networks_that_cannot_be_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
