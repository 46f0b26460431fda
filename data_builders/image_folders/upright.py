"""Which way up an image is, by the one number of its notes that says so."""

import re
import struct

import numpy as np

_ORIENTATION = 0x0112
_NUMBER_TYPES = {3: "H", 4: "L"}  # Cameras write the first.
_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
# What brings each orientation of EXIF 2.3, 4.6.4 upright.
_TURNS = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels),
}


def of_notes(exif: bytes | None, xmp: bytes | None) -> int | None:
    """The orientation of an image.

    Nothing else of the notes is looked at, so that nothing else can be wrong.

    Args:
        exif: Content of the EXIF note, with or without "Exif" in front.
        xmp: Content of the XMP note, which counts if the other is silent.

    Returns:
        1 (upright) to 8; None if the EXIF note cannot be read.
    """
    try:
        found = _of_exif(exif) if exif else None
    except struct.error:
        return None
    if found is None and xmp:
        match = _XMP.search(xmp)
        found = int(match[1]) if match else None
    return found if found in _TURNS else 1


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Brings `(height, width, ...)` of an orientation (1 to 8) upright."""
    if orientation not in _TURNS:
        return pixels
    return np.ascontiguousarray(_TURNS[orientation](pixels))


def _of_exif(block):
    """The number of tag 0x0112 in the first directory; None without it.

    The block is laid out like a TIFF file (TIFF 6.0, section 2).

    Raises:
        struct.error: If the block ends before, or is none.
    """
    while block.startswith(b"Exif\0\0"):
        block = block[6:]
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        raise struct.error("no byte order")
    magic, place = struct.unpack_from(order + "HL", block, 2)
    if magic != 42:
        raise struct.error("not laid out like TIFF")
    (count,) = struct.unpack_from(order + "H", block, place)
    for start in range(place + 2, place + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(order + "HHL", block, start)
        if tag == _ORIENTATION:
            if kind not in _NUMBER_TYPES or values != 1:
                raise struct.error("the orientation is no number")
            kind = order + _NUMBER_TYPES[kind]
            return struct.unpack_from(kind, block, start + 8)[0]
    return None
