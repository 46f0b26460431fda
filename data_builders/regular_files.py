"""Files that somebody else has laid out, read with bounds.

A folder of images may hold what is no file of bytes: reading a named pipe
waits for ever, reading a device such as /dev/zero has no end.
"""

import errno
import io
import os
import stat

# Bytes. Larger than any photograph; four are in memory at a time.
LARGEST = 2**28
_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def read(path: str | os.PathLike, largest: int | None = None) -> bytes:
    """The content of a regular file, links followed.

    Args:
        path: The file.
        largest: Bytes that it may hold. Defaults to `LARGEST`.

    Raises:
        OSError: If it is missing, cannot be read, is a pipe, device or
            socket (nothing is read of it then), or is larger.
    """
    if largest is None:
        largest = LARGEST
    with opened(path) as file:
        found = os.fstat(file.fileno())
        parts, size = [], 0
        wanted = found.st_size + 1
        while size <= largest:
            part = file.read(min(wanted, largest + 1 - size))
            if not part:
                return b"".join(parts)
            parts.append(part)
            size += len(part)
            wanted = 1 << 20  # Files of /proc say that they are empty.
    raise OSError(
        errno.EFBIG,
        f"it holds {max(found.st_size, size):,} bytes, more than the "
        f"{largest:,} that a file may hold",
        os.fspath(path),
    )


def head(path: str | os.PathLike, size: int) -> bytes:
    """The first bytes of a regular file, at most `size`."""
    with opened(path) as file:
        return file.read(size)


def opened(path: str | os.PathLike) -> io.BufferedReader:
    """A regular file, links followed, opened for reading bytes.

    Raises:
        OSError: If it cannot be opened or is none.
    """
    # Opening alone does something to a device, or waits at a pipe: look first.
    _check(os.stat(path), path)
    flags = os.O_RDONLY
    # For what took the file's place since.
    for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY", "O_NOCTTY"):
        flags |= getattr(os, name, 0)
    file = os.fdopen(os.open(path, flags), "rb")
    try:
        _check(os.fstat(file.fileno()), path)
    except OSError:
        file.close()
        raise
    return file


def _check(found, path):
    if stat.S_ISREG(found.st_mode):
        return
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(
            errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path)
        )
    kind = next((kind for is_it, kind in _KINDS if is_it(found.st_mode)), None)
    raise OSError(
        errno.EINVAL,
        f"it is {kind or 'no file'}, and only regular files are read",
        os.fspath(path),
    )
