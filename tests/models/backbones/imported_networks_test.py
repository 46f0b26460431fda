"""Residual networks with weights out of other programs' files."""

import functools
import json
import pickle
import struct

import keras
import numpy as np
import pytest

from tests.data_builders import samples
from tests.testing.torch_saving import save_archive, save_stream, saved
from tfcl import testing
from tfcl.errors import UserError
from tfcl.methods.baselines.individual import Individual
from tfcl.models.backbones.cifar_resnet import cifar_resnet
from tfcl.models.backbones.resnet_torchvision import (
    resnet_torchvision,
    torchvision_place,
)
from tfcl.models.surgery.lift import lift, lower
from tfcl.models.variables import leaf_layers
from tfcl.models.weight_files import read_arrays

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Of the first test image of CIFAR-10, as stated beside the weights.
_LOGITS = {
    20: "15.8632 3.4659 1.4518 -4.8397 5.1785 -8.9961 -9.2712 -4.5694 "
    "4.3293 -2.6788",
    56: "17.2744 -1.4529 6.6574 -6.8538 -2.6959 -6.5818 -6.4267 -0.2736 "
    "3.5433 -3.2015",
}


def save_safetensors(path, arrays):
    """Writes float32 arrays in the format of safetensors."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, array in arrays.items():
        content = np.ascontiguousarray(array, np.float32).tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + len(content)],
        }
        data += content
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def _state_dict(model, depth_names):
    """Random arrays with PyTorch's names and order of axes."""
    generator = np.random.default_rng(0)
    shapes = {
        (layer.name, weight.name): tuple(weight.shape)
        for layer in leaf_layers(model)
        for weight in layer.weights
    }
    arrays = {}
    for name in depth_names:
        shape = shapes[torchvision_place(name)]
        if len(shape) == 4:
            shape = tuple(shape[k] for k in (3, 2, 0, 1))
        arrays[name] = generator.uniform(0.5, 1.0, shape).astype(np.float32)
    return arrays


def _names(depth_blocks, convs):
    """Torchvision's names of a network without its classifier."""
    norm = ("weight", "bias", "running_mean", "running_var")
    layers = [("conv1", "bn1")]
    for stage, count in enumerate(depth_blocks, 1):
        for block in range(count):
            start = f"layer{stage}.{block}"
            layers += [
                (f"{start}.conv{k}", f"{start}.bn{k}")
                for k in range(1, convs + 1)
            ]
            if block == 0 and (stage > 1 or convs == 3):
                down = f"{start}.downsample"
                layers.append((f"{down}.0", f"{down}.1"))
    return [
        name
        for conv, bn in layers
        for name in (f"{conv}.weight", *(f"{bn}.{part}" for part in norm))
    ]


@pytest.fixture(name="resnet18", scope="module")
def _resnet18():
    return resnet_torchvision((32, 32, 3), 18)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_a_state_dict_lands_in_its_layers(resnet18, suffix, tmp_path):
    arrays = _state_dict(resnet18, _names((2, 2, 2, 2), 2))
    path = tmp_path / f"resnet18{suffix}"
    more = {
        "fc.weight": np.zeros((3, 512)),
        "bn1.num_batches_tracked": np.zeros(()),
        "projection_head.0.weight": np.zeros((2, 2)),
    }
    if suffix == ".npz":
        np.savez(path, **arrays, **more)
    else:
        # As PyTorch names them after training on several devices.
        save_safetensors(
            path, {f"module.{k}": v for k, v in (arrays | more).items()}
        )
    model = resnet_torchvision((32, 32, 3), 18, str(path))
    kernel = model.get_layer("block_1_0_shortcut_conv").kernel.numpy()
    wanted = arrays["layer2.0.downsample.0.weight"]
    np.testing.assert_array_equal(kernel, wanted.transpose(2, 3, 1, 0))
    norm = model.get_layer("block_3_1_1_norm")
    for weight, part in (("gamma", "weight"), ("moving_mean", "running_mean")):
        np.testing.assert_array_equal(
            getattr(norm, weight), arrays[f"layer4.1.bn2.{part}"]
        )


@pytest.mark.parametrize("save", [save_archive, save_stream])
@pytest.mark.parametrize("within", [None, "state_dict"])
def test_a_file_of_swav_is_taken_without_its_heads(
    resnet18, save, within, tmp_path
):
    arrays = _state_dict(resnet18, _names((2, 2, 2, 2), 2))
    heads = {
        "projection_head.0.weight": np.ones((6, 512), "<f4"),
        "projection_head.0.bias": np.ones(6, "<f4"),
        "projection_head.1.weight": np.ones(6, "<f4"),
        "projection_head.1.running_mean": np.ones(6, "<f4"),
        "projection_head.1.num_batches_tracked": np.array(5, "<i8"),
        "projection_head.3.weight": np.ones((4, 6), "<f4"),
        "prototypes.weight": np.ones((9, 4), "<f4"),
        "bn1.num_batches_tracked": np.array(5, "<i8"),
    }
    content = {f"module.{k}": v for k, v in (arrays | heads).items()}
    if within:
        content = {"epoch": 800, within: content, "amp": {"scale": 2.0}}
    path = tmp_path / "swav_800ep_pretrain.pth.tar"
    saved(save, path, content)
    model = resnet_torchvision((32, 32, 3), 18, str(path))
    for name, array in arrays.items():
        layer, weight = torchvision_place(name)
        found = {v.name: v for v in model.get_layer(layer).weights}[weight]
        if array.ndim == 4:
            array = array.transpose(2, 3, 1, 0)
        np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize(
    "depth, blocks, convs, numbers",
    [(18, (2, 2, 2, 2), 2, 11_176_512), (50, (3, 4, 6, 3), 3, 23_508_032)],
)
def test_every_name_of_torchvision_has_a_place(depth, blocks, convs, numbers):
    model = resnet_torchvision((64, 64, 3), depth)
    owned = {
        (layer.name, weight.name)
        for layer in leaf_layers(model)
        for weight in layer.weights
    }
    names = _names(blocks, convs)
    assert {torchvision_place(name) for name in names} == owned
    assert len(names) == len(owned)
    trained = sum(
        int(np.prod(v.shape))
        for layer in leaf_layers(model)
        for v in layer.trainable_weights
    )
    assert trained == numbers


def test_weights_that_do_not_fit_name_their_layer(resnet18, tmp_path):
    arrays = _state_dict(resnet18, _names((2, 2, 2, 2), 2))
    path = tmp_path / "weights.npz"
    wrong = {"layer1.0.conv1.weight": np.zeros((1, 2, 3, 3))}
    np.savez(path, **(arrays | wrong))
    with pytest.raises(UserError, match=r"block_0_0_0_conv.*\(3, 3, 2, 1\)"):
        resnet_torchvision((32, 32, 3), 18, str(path))
    with pytest.raises(UserError, match="nothing for.*'block_0_0_2_conv'"):
        resnet_torchvision((32, 32, 3), 50, str(path))
    np.savez(path, **arrays, **{"layer1.7.conv1.weight": np.zeros(3)})
    with pytest.raises(UserError, match="network has no.*block_0_7_0_conv"):
        resnet_torchvision((32, 32, 3), 18, str(path))


def test_names_that_say_nothing_are_shown(resnet18, tmp_path):
    path = tmp_path / "weights.npz"
    strange = {f"encoder.{k}.w": np.zeros(1) for k in range(6)}
    np.savez(path, **strange)
    shown = r"'encoder.0.w', .*'encoder.3.w', and 2 more"
    with pytest.raises(UserError, match=shown):
        resnet_torchvision((32, 32, 3), 18, str(path))


def test_two_arrays_for_one_weight_are_refused(resnet18, tmp_path):
    arrays = _state_dict(resnet18, _names((2, 2, 2, 2), 2))
    twice = {"module.conv1.weight": arrays["conv1.weight"]}
    path = tmp_path / "weights.npz"
    np.savez(path, **arrays, **twice)
    match = "both 'conv1.weight' and 'module.conv1.weight' are the kernel"
    with pytest.raises(UserError, match=match):
        resnet_torchvision((32, 32, 3), 18, str(path))


class _Bomb:
    def __reduce__(self):
        return (pytest.fail, ("code of the file was run",))


def test_no_code_of_a_file_is_run(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(UserError, match="no file of torch.save"):
        read_arrays(str(path))
    path = tmp_path / "weights.npz"
    np.savez(path, a=np.array([_Bomb()], dtype=object))
    with pytest.raises(UserError, match="cannot be read"):
        read_arrays(str(path))


@pytest.mark.parametrize("content", [b"", b"\xff" * 16, b"\x02" + b"\0" * 7])
def test_damaged_files_are_told(content, tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read"):
        read_arrays(str(path))
    with pytest.raises(UserError, match="no such file"):
        read_arrays(str(tmp_path / "none.npz"))


def test_half_precision_is_read(tmp_path):
    path = tmp_path / "weights.safetensors"
    values = np.array([1.0, -2.5, 0.15625], np.float32)
    words = (values.view(np.uint32) >> 16).astype("<u2")
    note = {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}
    text = json.dumps({"a": note}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + words.tobytes())
    np.testing.assert_array_equal(read_arrays(str(path))["a"], values)


@pytest.mark.parametrize("depth", [20, 56])
def test_the_cifar_network_computes_the_stated_logits(depth):
    file = samples.folder(f"pretrained/cifar10_resnet{depth}.npz")
    picture = samples.folder("raw/cifar10")
    picture = next(picture.rglob("test_batch.bin"))
    row = np.frombuffer(picture.read_bytes()[:3073], np.uint8)
    pixels = row[1:].reshape(3, 32, 32).transpose(1, 2, 0) / 255.0
    image = ((pixels - _MEAN) / _STD)[None].astype(np.float32)
    model = cifar_resnet((32, 32, 3), depth, str(file))
    arrays = np.load(file)
    weights = [arrays[f"classifier/{name}"] for name in ("kernel", "bias")]
    wanted = np.array(_LOGITS[depth].split(), float)
    for each in (model, lower(lift(model, {}))):
        logits = np.matmul(each(image), weights[0]) + weights[1]
        # Stated with four places.
        np.testing.assert_allclose(logits[0], wanted, rtol=3e-5, atol=1e-4)


def test_state_dicts_fit_the_cifar_network_too(tmp_path):
    model = cifar_resnet((32, 32, 3), 8)
    names = {
        "conv1.weight": ("stem_conv", "kernel"),
        "bn1.running_var": ("stem_bn", "moving_variance"),
        "layer3.0.conv2.weight": ("stage3_block1_conv2", "kernel"),
        "layer2.0.bn1.bias": ("stage2_block1_bn1", "beta"),
    }
    arrays = {}
    for layer in leaf_layers(model):
        for weight in layer.weights:
            path = f"{layer.name}/{weight.name}".replace("_block", "/block")
            path = path.replace("_conv", "/conv").replace("_bn", "/bn")
            arrays[path] = np.random.default_rng(0).normal(size=weight.shape)
    for torch_name, (layer, weight) in names.items():
        path = next(
            k for k in arrays if k.replace("/", "_") == f"{layer}_{weight}"
        )
        value = arrays.pop(path)
        if value.ndim == 4:
            value = value.transpose(3, 2, 0, 1)
        arrays[torch_name] = value
    np.savez(tmp_path / "mixed.npz", **arrays)
    again = cifar_resnet((32, 32, 3), 8, str(tmp_path / "mixed.npz"))
    for layer, weight in names.values():
        found = {v.name: v for v in again.get_layer(layer).weights}[weight]
        wanted = np.random.default_rng(0).normal(size=found.shape)
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_the_cifar_network_begins_with_what_a_run_of_it_has_learned(tmp_path):
    backbone = functools.partial(cifar_resnet, depth=8)
    run = testing.learned(
        tmp_path / "run",
        Individual(testing.tiny_training(1, backbone=backbone)),
        class_counts=(2,),
    )
    (path,) = (tmp_path / "run/tasks").glob("*/values.npz")
    entry = run.bank.load(0, run.stream.tasks[0].name)
    run.method.activate(entry.values, 0)
    # Its head is left out.
    again = cifar_resnet((8, 8, 3), 8, str(path))
    wanted = run.method.network().backbone.weights
    assert len(wanted) == len(again.weights)
    for weight, found in zip(wanted, again.weights):
        np.testing.assert_array_equal(weight, found)


def test_the_cifar_network_can_be_saved(tmp_path):
    model = cifar_resnet((32, 32, 3), 8)
    path = tmp_path / "model.keras"
    model.save(path)
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3))
    images = images.astype(np.float32)
    again = keras.models.load_model(path)
    np.testing.assert_array_equal(again(images), model(images))
    with pytest.raises(ValueError, match="depth=21"):
        cifar_resnet((32, 32, 3), 21)
