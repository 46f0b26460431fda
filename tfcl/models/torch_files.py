"""PyTorch's files (.pth, .pt, .bin) without PyTorch and without running them.

A file of `torch.save` is a pickle that names the functions which put its
tensors together, and a pickle may name any function of the machine. Here no
name leads to a function: the few that make tensors stand for ours, which look
at the file's own bytes alone, and every other one becomes an `Unread`, which
takes what the pickle gives it and does nothing.

Both forms are read: the zip archive of PyTorch 1.6 and later, and the older
stream.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import typing
import zipfile

import ml_dtypes
import numpy as np

from tfcl.data_builders.pickle_memo import refuse_large_memo

if typing.TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable
    from typing import Any, BinaryIO


_TYPES = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}
# What `torch.save` writes first into its stream before version 1.6.
_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
# Where programs keep the tensors of their network in a larger dict.
_WITHIN = ("state_dict", "model_state_dict", "model")


class Unread:
    """What a file holds besides dicts, lists, numbers, text and tensors.

    Takes whatever a pickle does with an object, and does nothing.
    """

    __slots__ = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Unread:
        del args, kwargs
        return object.__new__(cls)

    def __call__(self, *args: Any) -> Unread:
        return self

    def __setstate__(self, state: Any) -> None:
        """Forgets the state."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """Forgets the item."""

    def append(self, item: Any) -> None:
        """Forgets the item."""

    def extend(self, items: Any) -> None:
        """Forgets the items."""

    def add(self, item: Any) -> None:
        """Forgets the item."""


class _OrderedDict(dict):
    """`collections.OrderedDict`, whose attributes no pickle can set."""

    __slots__ = ()

    def __setstate__(self, state):
        """Forgets the state: the versions of a state dict's modules."""


class _Named:
    """A name that a pickle may call; it has no attributes to be set."""

    __slots__ = ("_function",)

    def __init__(self, function):
        self._function = function

    def __call__(self, *args):
        return self._function(*args)

    def __setstate__(self, state):
        """Forgets the state."""


class _Storage(typing.NamedTuple):
    """Bytes of a file as one row of numbers."""

    values: np.ndarray


def read(path: str | pathlib.Path) -> Any:
    """What a file of `torch.save` holds, tensors as arrays.

    Args:
        path: Of the file.

    Returns:
        Dicts, lists, tuples, numbers and text as they were saved; tensors as
        `numpy.ndarray` of their own type; `Unread` for all other objects.

    Raises:
        ValueError: If the file is none of `torch.save`, is damaged, or has
            tensors that reach beyond its bytes.
        OSError: If it cannot be read.
    """
    with open(path, "rb") as file:
        if zipfile.is_zipfile(file):
            return _read_archive(file)
        file.seek(0)
        return _read_stream(file)


def state(content: Any) -> dict[str, np.ndarray]:
    """The named tensors of a network in what `read` returns.

    Args:
        content: A state dict, or a dict with one under "state_dict",
            "model_state_dict" or "model".

    Returns:
        `{name: array}` in the order of the file; counters and other entries
        that are no arrays are left out.

    Raises:
        ValueError: If there is none.
    """
    places = []
    if isinstance(content, dict):
        places = [content[key] for key in _WITHIN if key in content]
    for place in [*places, content]:
        if isinstance(place, dict):
            arrays = {
                str(name): array
                for name, array in place.items()
                if isinstance(array, np.ndarray)
            }
            if arrays:
                return arrays
    raise ValueError(
        "it holds no state dict, at its top or under one of "
        + ", ".join(repr(key) for key in _WITHIN)
    )


def _read_archive(file):
    """Of PyTorch 1.6 and later: data.pkl, and each storage in data/."""
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist()}
        roots = [
            name.removesuffix("data.pkl")
            for name in members
            if name.endswith("data.pkl") and name.count("/") <= 1
        ]
        if len(roots) != 1:
            raise ValueError("it is a zip archive without one data.pkl")
        root = roots[0]

        def member(name):
            info = members.get(root + name)
            if info is None:
                raise ValueError(f"its part '{name}' is missing")
            # torch.save stores; what is packed may unpack to any size.
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"its part '{name}' is compressed")
            return archive.read(info)

        if root + "byteorder" in members and member("byteorder") != b"little":
            raise ValueError("its numbers are stored big-endian")

        def storage(key, dtype, count):
            return _row(member(f"data/{key}"), dtype, count)

        return _load(io.BytesIO(member("data.pkl")), storage)


def _read_stream(file):
    """Older than that: five pickles, then the storages one after the other."""
    if _load(file, _no_storage) != _MAGIC:
        raise ValueError("it is no file of torch.save")
    if _load(file, _no_storage) != _PROTOCOL:
        raise ValueError("it is of an unknown version of torch.save")
    system = _load(file, _no_storage)
    if not (isinstance(system, dict) and system.get("little_endian", True)):
        raise ValueError("its numbers are stored big-endian")
    rows = {}

    def storage(key, dtype, count):
        return rows.setdefault(str(key), _Row(dtype, count))

    content = _load(file, storage)
    for key in _load(file, _no_storage):
        row = rows.get(str(key))
        if row is None:
            raise ValueError(f"its storage '{key}' belongs to no tensor")
        row.fill(file)
    return _filled(content, {})


class _Row:
    """A storage of the stream, which comes after the tensors that view it."""

    def __init__(self, dtype, count):
        self._dtype = dtype
        self._count = count
        self.values = None

    def fill(self, file: BinaryIO) -> None:
        (count,) = struct.unpack("<q", _exactly(file, 8))
        if count != self._count:
            raise ValueError("a storage has not the length that is written")
        data = _exactly(file, count * self._dtype.itemsize)
        self.values = _row(data, self._dtype, count).values


class _Pending(typing.NamedTuple):
    """A tensor whose storage has not been read yet."""

    row: _Row
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _filled(content, seen):
    """`content` with arrays in place of every `_Pending`."""
    if isinstance(content, _Pending):
        if content.row.values is None:
            raise ValueError("a tensor's numbers are missing")
        return _view(content.row, *content[1:])
    if not isinstance(content, dict | list | tuple):
        return content
    if id(content) in seen:
        return seen[id(content)]
    if isinstance(content, dict):
        seen[id(content)] = content
        for key, value in content.items():
            content[key] = _filled(value, seen)
        return content
    if isinstance(content, list):
        seen[id(content)] = content
        content[:] = [_filled(value, seen) for value in content]
        return content
    return tuple(_filled(value, seen) for value in content)


def _exactly(file, count):
    data = file.read(count)
    if len(data) != count:
        raise ValueError("it ends too early")
    return data


def _no_storage(key, dtype, count):
    raise ValueError("a tensor stands where none belongs")


def _row(data, dtype, count):
    if len(data) < count * dtype.itemsize:
        raise ValueError("a storage is shorter than is written")
    return _Storage(np.frombuffer(data, dtype, count))


def _load(file: BinaryIO, storage: Callable) -> Any:
    try:
        refuse_large_memo(file)
        return _Reader(file, storage).load()
    except ValueError:
        raise
    except Exception as error:
        # A damaged pickle raises nearly every kind of error.
        raise ValueError(f"{type(error).__name__}: {error}") from error


class _Reader(pickle.Unpickler):
    """Reads a pickle with no name of the machine in reach."""

    def __init__(self, file, storage):
        super().__init__(file, encoding="utf-8")
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name: of ours, or an `Unread`."""
        if (module, name) == ("collections", "OrderedDict"):
            return _OrderedDict
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        if module == "torch._utils" and name in (
            "_rebuild_tensor",
            "_rebuild_tensor_v2",
        ):
            return _Named(self._tensor)
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _Named(lambda tensor, *_: tensor)
        if (module, name) == ("torch", "Size"):
            return _Named(lambda sizes=(): tuple(sizes))
        return Unread

    def persistent_load(self, pid: Any) -> Any:
        """The storage of `("storage", type, key, device, length, ...)`."""
        kind, dtype, key, _, count, *_ = pid
        if kind != "storage" or not isinstance(dtype, np.dtype):
            raise ValueError(f"a storage of an unknown type: {pid[:2]}")
        if len(pid) > 5 and pid[5] is not None:
            raise ValueError("a storage that is a part of another one")
        if not isinstance(count, int) or count < 0:
            raise ValueError(f"a storage of {count} numbers")
        return self._storage(key, dtype, count)

    def _tensor(self, storage, offset, shape, strides, *_):
        if isinstance(storage, _Row):
            return _Pending(storage, offset, tuple(shape), tuple(strides))
        if not isinstance(storage, _Storage):
            raise ValueError("a tensor without numbers")
        return _view(storage, offset, tuple(shape), tuple(strides))


def _view(storage, offset, shape, strides):
    """A copy of the numbers that a tensor views, row by row."""
    values = storage.values
    numbers = (offset, *shape, *strides)
    if len(shape) != len(strides) or not all(
        isinstance(number, int) and number >= 0 for number in numbers
    ):
        raise ValueError(f"a tensor of shape {shape} with strides {strides}")
    size = math.prod(shape)
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides))
    # A repeated number (stride 0) could stand for any amount of memory.
    if size > 0 and (last >= values.size or size > values.size):
        raise ValueError(f"a tensor of shape {shape} beyond its storage")
    if size == 0:
        return np.zeros(shape, values.dtype)
    return np.ascontiguousarray(
        np.lib.stride_tricks.as_strided(
            values[offset:],
            shape,
            [step * values.dtype.itemsize for step in strides],
            writeable=False,
        )
    ).reshape(shape)
