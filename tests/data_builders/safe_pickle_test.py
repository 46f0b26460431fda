"""Pickles of arrays are read; pickles that run programs are refused."""

import pathlib
import pickle
import tracemalloc

import numpy as np
import pytest

from tfcl.data_builders import safe_pickle
from tfcl.data_builders.manual_files import DataFileError


class _Writes:
    """Its pickle writes a file when it is read by Python's own reader."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (pathlib.Path.write_text, (self.path, "ran"))


def _file(folder, content, protocol=2):
    path = folder / "file.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def test_pickle_that_runs_a_program_is_refused_before_it_runs(tmp_path):
    witness = tmp_path / "witness"
    path = _file(tmp_path, {"data": [_Writes(witness)]})
    pickle.loads(path.read_bytes())
    assert witness.read_text() == "ran"  # It would run.
    witness.unlink()

    with pytest.raises(DataFileError, match="file.pkl' names '.*could run"):
        safe_pickle.load(path)
    assert not witness.exists()


@pytest.mark.parametrize(
    "data,name",
    [
        (b"cos\nsystem\n(Vtrue\ntR.", "os.system"),
        (b"cbuiltins\neval\n(V1\ntR.", "builtins.eval"),
        (b"cnumpy\nload\n(Vx\ntR.", "numpy.load"),
        (b"cnumpy.core.multiarray\nfromfile\n(Vx\ntR.", "multiarray.fromfile"),
        (b"cnumpy\nndarray.__reduce__\n.", "ndarray.__reduce__"),
        (b"Vkey\nQ.", "persistent id 'key'"),
        (b"\x80\x02\x82\x01.", "no whole pickle"),
    ],
)
def test_names_beyond_arrays_are_refused(tmp_path, data, name):
    path = tmp_path / "file.pkl"
    path.write_bytes(data)
    with pytest.raises(DataFileError) as caught:
        safe_pickle.load(path)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_plain_containers_are_read(tmp_path, protocol):
    content = {
        "data": np.arange(12, dtype=np.uint8).reshape(3, 4),
        "mean": np.float64(1.5),
        "columns": np.asfortranarray(np.ones((2, 3))),
        "labels": [1, 2, (3, None, True)],
        "text": "é",
        "bytes": b"\xff",
    }
    read = safe_pickle.load(_file(tmp_path, content, protocol))
    assert read.keys() == content.keys()
    for key in ("data", "mean", "columns"):
        np.testing.assert_array_equal(read[key], content[key])
        assert read[key].dtype == content[key].dtype
    for key in ("labels", "text", "bytes"):
        assert read[key] == content[key]


def test_pickles_of_python_2_give_texts(tmp_path):
    path = tmp_path / "file.pkl"
    # {'data': array([1, 255], uint8)} as NumPy on Python 2 wrote it: every
    # text is a byte string.
    path.write_bytes(
        b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\n"
        b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02\x85cnumpy\ndtype\n"
        b"U\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff"
        b"\xffK\x00tb\x89U\x02\x01\xfftbs."
    )
    read = safe_pickle.load(path)
    np.testing.assert_array_equal(read["data"], np.uint8([1, 255]))


@pytest.mark.parametrize("kept", [0, 1, 40, -1])
def test_cut_off_pickles_are_named(tmp_path, kept):
    path = _file(tmp_path, {"data": np.arange(9)})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataFileError, match="file.pkl' is no whole pickle"):
        safe_pickle.load(path)


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_large_array_is_not_copied_while_it_is_read(tmp_path, protocol):
    size = 1 << 24
    content = {"data": np.zeros(size, np.uint8)}
    path = tmp_path / "file.pkl"
    if protocol == 4:
        path.write_bytes(pickle.dumps(content, protocol=4))
    else:  # As Python 2 wrote it.
        path.write_bytes(
            b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\n"
            b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01J\x00\x00\x00\x01\x85"
            b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff"
            b"\xffJ\xff\xff\xff\xffK\x00tb\x89T\x00\x00\x00\x01"
            + bytes(size)
            + b"tbs."
        )
    tracemalloc.start()
    try:
        assert safe_pickle.load(path)["data"].shape == (size,)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < (2.2 if protocol == 2 else 1.2) * size


def test_missing_key_is_named():
    with pytest.raises(DataFileError, match="'x.pkl' holds no 'labels'"):
        safe_pickle.field({"data": 1}, "labels", "x.pkl")
    with pytest.raises(DataFileError, match="'x.pkl' holds no 'labels'"):
        safe_pickle.field([1], "labels", "x.pkl")


def test_a_table_of_objects_beyond_the_memory_is_refused(tmp_path):
    path = tmp_path / "file.pkl"
    large = pickle.LONG_BINPUT + (2**31 - 1).to_bytes(4, "little")
    path.write_bytes(b"]" + large + b".")
    with pytest.raises(DataFileError, match="no whole pickle"):
        safe_pickle.load(path)
