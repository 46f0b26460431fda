"""PyTorch's files in both of their forms."""

import argparse
import collections
import os
import pickle
import tracemalloc
import zipfile

import ml_dtypes
import numpy as np
import pytest

from tests.testing.torch_saving import (
    Storage,
    Tensor,
    save_archive,
    save_stream,
    tensor,
)
from tfcl.errors import UserError
from tfcl.models import torch_files
from tfcl.models.backbones.spherenet import sphereface_place, spherenet
from tfcl.models.variables import leaf_layers
from tfcl.models.weight_files import read_arrays

_FORMS = pytest.mark.parametrize("save", [save_archive, save_stream])


@_FORMS
def test_tensors_are_read_as_they_were_saved(save, tmp_path):
    generator = np.random.default_rng(0)
    arrays = {
        "conv1.weight": generator.normal(size=(4, 3, 3, 3)).astype("<f4"),
        "steps": np.array(7, "<i8"),
        "double": generator.normal(size=5),
        "used": np.array([True, False]),
        "none": np.zeros((0, 3), "<f4"),
        "half": np.arange(3).astype("<f2"),
        "brain": np.arange(3).astype(ml_dtypes.bfloat16),
    }
    row = Storage("shared", np.arange(12, dtype="<f4"))
    # [1:, ::2] of the transposed 3 x 4 matrix, which views the same numbers.
    views = {
        "view": Tensor(row, (3, 2), (1, 8), 1),
        "all": Tensor(row, (12,), (1,)),
    }
    path = tmp_path / "weights.pth"
    save(path, {**{k: tensor(k, v) for k, v in arrays.items()}, **views})
    found = torch_files.read(path)
    arrays["view"] = np.arange(12, dtype="<f4").reshape(3, 4).T[1:, ::2]
    arrays["all"] = np.arange(12, dtype="<f4")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)


@_FORMS
@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_the_state_dict_of_a_checkpoint_is_found(save, key, tmp_path):
    inner = collections.OrderedDict(
        weight=tensor("0", np.ones(3, "<f4")), count=3
    )
    inner._metadata = {"version": 1}
    path = tmp_path / "swav.pth.tar"
    other = tensor("1", np.zeros(1, "<f4"))
    save(path, {"epoch": 9, "best": other, key: inner, "mask": [(other,)]})
    arrays = read_arrays(path)
    assert list(arrays) == ["weight"]
    np.testing.assert_array_equal(arrays["weight"], np.ones(3))


class _Order:
    def __reduce__(self):
        return os.system, ("touch ran",)


@_FORMS
def test_nothing_that_a_file_names_is_run(save, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = argparse.Namespace(rate=0.1)
    content = {
        "w": tensor("0", np.ones(2, "<f4")),
        "x": _Order(),
        "a": arguments,
    }
    save("weights.pth", content)
    found = torch_files.read("weights.pth")
    assert not os.path.exists("ran")
    assert isinstance(found["x"], torch_files.Unread)
    assert isinstance(found["a"], torch_files.Unread)
    np.testing.assert_array_equal(torch_files.state(found)["w"], np.ones(2))


@_FORMS
@pytest.mark.parametrize(
    "shape, strides, offset",
    [
        ((13,), (1,), 0),
        ((3,), (1,), 10),
        ((2**40,), (0,), 0),
        ((2, 2), (1,), 0),
        ((3,), (-1,), 2),
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(
    save, shape, strides, offset, tmp_path
):
    row = Storage("0", np.arange(12, dtype="<f4"))
    save(tmp_path / "w.pth", {"w": Tensor(row, shape, strides, offset)})
    with pytest.raises(ValueError, match="a tensor of shape"):
        torch_files.read(tmp_path / "w.pth")


@_FORMS
def test_a_damaged_file_is_one_line(save, tmp_path):
    path = tmp_path / "w.pth"
    save(path, {"w": tensor("0", np.arange(40, dtype="<f4"))})
    data = path.read_bytes()
    for end in range(0, len(data) - 1, 7):
        path.write_bytes(data[:end])
        with pytest.raises(UserError, match="cannot be read"):
            read_arrays(path)
    generator = np.random.default_rng(0)
    for _ in range(300):
        changed = bytearray(data)
        changed[generator.integers(len(data))] ^= 1 << generator.integers(8)
        path.write_bytes(changed)
        try:
            read_arrays(path)
        except UserError:
            pass


def test_a_damaged_number_of_an_object_takes_no_memory(tmp_path):
    path = tmp_path / "w.pth"
    save_stream(path, {"w": tensor("0", np.arange(40, dtype="<f4"))})
    put = pickle.BINPUT + b"\x00"
    data = path.read_bytes()
    assert put in data
    large = pickle.LONG_BINPUT + (2**31 - 1).to_bytes(4, "little")
    path.write_bytes(data.replace(put, large, 1))
    tracemalloc.start()
    try:
        # Python would make a table of 16 GiB.
        with pytest.raises(UserError, match="cannot be read"):
            read_arrays(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_what_unpacks_to_any_size_is_refused(tmp_path):
    path = tmp_path / "w.pth"
    content = {"w": tensor("0", np.zeros(10_000, "<f4"))}
    save_archive(path, content, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match="is compressed"):
        read_arrays(path)


def test_a_file_without_tensors_says_where_they_are_looked_for(tmp_path):
    save_archive(tmp_path / "w.pth", {"epoch": 3})
    with pytest.raises(UserError, match="no state dict.*'state_dict'"):
        read_arrays(tmp_path / "w.pth")


def test_spherenet_takes_the_weights_of_sphereface(tmp_path):
    sizes = {"channels": (4, 6, 8, 8), "units": (1, 2, 4, 1)}
    model = spherenet((16, 16, 3), **sizes)
    generator = np.random.default_rng(0)
    wanted, content = {}, {"fc5.weight": tensor("fc", np.ones((2, 8), "<f4"))}
    for stage, units in enumerate(sizes["units"], 1):
        for number in range(1, 2 + 2 * units):
            for name in (
                f"conv{stage}_{number}.weight",
                f"conv{stage}_{number}.bias",
                f"relu{stage}_{number}.weight",
            ):
                layer, weight = sphereface_place(name)
                shape = getattr(model.get_layer(layer), weight).shape
                array = generator.normal(size=shape).astype("<f4")
                wanted[layer, weight] = array
                if array.ndim == 4:
                    array = array.transpose(3, 2, 0, 1)
                if weight == "alpha":
                    array = array.ravel()
                content[name] = tensor(name, array)
    save_stream(tmp_path / "face.pth", content)
    loaded = spherenet((16, 16, 3), **sizes, weights=str(tmp_path / "face.pth"))
    weights = {
        (layer.name, weight.name): weight.numpy()
        for layer in leaf_layers(loaded)
        for weight in layer.weights
    }
    assert weights.keys() == wanted.keys() and len(weights) == 60
    for where, array in wanted.items():
        np.testing.assert_array_equal(weights[where], array)
