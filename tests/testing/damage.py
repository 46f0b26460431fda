"""Damages that hypothesis draws, to files as disks, networks and people do."""

import os
import pathlib
import shutil

from hypothesis import strategies as st

_PLACES = st.integers(0, 2**16)  # Of 2**16 equal parts of a file.
_BYTES = st.binary(min_size=1, max_size=40)
_KINDS = (
    st.tuples(st.just("flip"), _PLACES, st.integers(0, 7)),
    st.tuples(st.just("write"), _PLACES, _BYTES),
    st.tuples(st.just("insert"), _PLACES, _BYTES),
    st.tuples(st.just("remove"), _PLACES, st.integers(1, 64)),
    st.tuples(st.just("zeros"), _PLACES, st.integers(1, 4096)),
    st.tuples(st.just("cut"), _PLACES),
    st.tuples(st.just("replace"), _BYTES | st.just(b"")),
)
_OF_FILES = (
    st.tuples(st.sampled_from(["delete", "folder", "pipe", "dangling"])),
    st.tuples(st.sampled_from(["swap", "copy"]), _PLACES),
)


def damages_of_content():
    """Strategy of damages to the bytes of one file."""
    return st.one_of(*_KINDS)


def damages():
    """Strategy of damages to files, that they are gone or swapped, too."""
    return st.one_of(*_KINDS, *_OF_FILES)


def damaged(content, damage):
    """Bytes after a damage to them."""
    kind, *rest = damage
    if kind == "replace":
        return rest[0]
    at = rest[0] * len(content) // (2**16 + 1)
    if kind == "cut":
        return content[:at]
    if kind == "flip":
        changed = bytearray(content)
        if content:
            changed[at] ^= 1 << rest[1]
        return bytes(changed)
    if kind == "write":
        return content[:at] + rest[1] + content[at + len(rest[1]) :]
    if kind == "insert":
        return content[:at] + rest[1] + content[at:]
    if kind == "remove":
        return content[:at] + content[at + rest[1] :]
    assert kind == "zeros", kind
    count = min(rest[1], len(content) - at)
    return content[:at] + bytes(count) + content[at + count :]


def files_of(folder):
    """All files below a folder, in an order that is always the same."""
    return sorted(p for p in pathlib.Path(folder).rglob("*") if p.is_file())


def damage_file(path, damage, others):
    """Does a damage to a file.

    Args:
        path: Of the file.
        damage: Of `damages`.
        others: Files that it may be swapped with.
    """
    kind, *rest = damage
    if not path.is_file():  # By a damage before this one.
        return
    if kind in ("swap", "copy"):
        other = others[rest[0] % len(others)]
        if other.is_file():
            content = path.read_bytes(), other.read_bytes()
            path.write_bytes(content[1])
            if kind == "swap":
                other.write_bytes(content[0])
    elif kind in ("delete", "folder", "pipe", "dangling"):
        path.unlink()
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "dangling":
            path.symlink_to("nowhere")
    else:
        path.write_bytes(damaged(path.read_bytes(), damage))


def copy_of(folder, to):
    """Copies a folder to another place, over what is there."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(folder, to, symlinks=True)
    return pathlib.Path(to)
