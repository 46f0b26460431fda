"""PyTorch's files, written byte by byte in both of their forms."""

import collections
import contextlib
import io
import pickle
import struct
import sys
import types
import zipfile
from unittest import mock

import ml_dtypes
import numpy as np

_STORAGES = {
    "<f4": "FloatStorage",
    "<f8": "DoubleStorage",
    "<f2": "HalfStorage",
    "<i8": "LongStorage",
    "|b1": "BoolStorage",
    "|u1": "ByteStorage",
    ml_dtypes.bfloat16: "BFloat16Storage",
}


class Tensor:
    """What `torch.save` writes for a tensor: a view of a storage."""

    def __init__(self, storage, shape, strides, offset=0):
        self.parts = (storage, offset, shape, strides)

    def __reduce__(self):
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        hooks = collections.OrderedDict()
        return rebuild, (*self.parts, False, hooks)


class Storage:
    """A row of numbers with its key in the file."""

    def __init__(self, key, values, count=None):
        self.key = key
        self.values = np.asarray(values)
        self.count = self.values.size if count is None else count


def tensor(key, array):
    """An array as a tensor with a storage of its own."""
    array = np.asarray(array, order="C")
    strides = tuple(step // array.itemsize for step in array.strides)
    return Tensor(Storage(key, array.ravel()), array.shape, strides)


class _Pickler(pickle.Pickler):
    def __init__(self, file):
        super().__init__(file, protocol=2)
        self.storages = {}

    def persistent_id(self, obj):
        if not isinstance(obj, Storage):
            return None
        self.storages[obj.key] = obj
        name = next(
            name
            for dtype, name in _STORAGES.items()
            if np.dtype(dtype) == obj.values.dtype
        )
        kind = getattr(sys.modules["torch"], name)
        return ("storage", kind, obj.key, "cpu", obj.count, *self.more)

    more = ()


@contextlib.contextmanager
def _names_of_torch():
    """Modules with the names that PyTorch's files write down."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in _STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2():
        """Never called."""

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    stand_ins = {"torch": torch, "torch._utils": utils}
    with mock.patch.dict(sys.modules, stand_ins):
        yield


def save_archive(path, content, **options):
    """A file of version 1.6 and later."""
    data = io.BytesIO()
    pickler = _Pickler(data)
    with _names_of_torch():
        pickler.dump(content)
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr("archive/data.pkl", data.getvalue())
        archive.writestr("archive/byteorder", b"little")
        for key, storage in pickler.storages.items():
            archive.writestr(f"archive/data/{key}", storage.values.tobytes())


def save_stream(path, content):
    """A file from before version 1.6."""
    with open(path, "wb") as file:
        for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(part, file, protocol=2)
        pickler = _Pickler(file)
        pickler.more = (None,)
        with _names_of_torch():
            pickler.dump(content)
        pickle.dump(list(pickler.storages), file, protocol=2)
        for storage in pickler.storages.values():
            file.write(struct.pack("<q", storage.values.size))
            file.write(storage.values.tobytes())


def saved(save, path, content):
    """Writes a dict of dicts and arrays, all arrays as tensors."""
    count = iter(range(10**6))

    def with_tensors(value):
        if isinstance(value, dict):
            return {k: with_tensors(v) for k, v in value.items()}
        if isinstance(value, np.ndarray):
            return tensor(str(next(count)), value)
        return value

    save(path, with_tensors(content))
