"""What Pillow does not tell of a JPEG file: its notes, and damaged scans."""

import re
from typing import NamedTuple

import simplejpeg

_START = b"\xff\xd8"
_SCAN = 0xDA
_NOTE = 0xFE
_APPLICATION = range(0xE0, 0xF0)
# Of the notes of applications, JFIF's and Adobe's say what colours mean.
_COLOURS = (0xE0, 0xEE)
# Of libjpeg's warnings, those after which pixels are made up. After others,
# such as superfluous bytes before the end, they may be right.
_LOST = re.compile(
    "premature end|bad huffman code|bad arithmetic code|found marker"
    "|inconsistent progression",
    re.I,
)
_DOUBTFUL = re.compile("extraneous bytes", re.I)


class Damage(NamedTuple):
    """What libjpeg warns of.

    Attributes:
        text: Its words; "" if of nothing.
        lost: Whether pixels are lost.
    """

    text: str = ""
    lost: bool = False


class JpegFile(NamedTuple):
    """A JPEG file, cut up.

    Attributes:
        bare: The file without the notes that do not matter for its pixels.
        exif: Content of its EXIF note, from "Exif" on, or None.
        xmp: That of its XMP note, or None.
    """

    bare: bytes
    exif: bytes | None
    xmp: bytes | None


def cut_up(content: bytes) -> JpegFile | None:
    """Takes the notes out of a JPEG file, whatever they hold.

    Returns:
        None if it is no JPEG file, or none that is put together as the
        standard says (ITU-T T.81, B.1).
    """
    if not content.startswith(_START):
        return None
    kept, exif, xmp = [_START], None, None
    place = len(_START)
    try:
        while True:
            first = place
            if content[place] != 0xFF:
                return None
            while content[place] == 0xFF:  # It may be repeated.
                place += 1
            marker, place = content[place], place + 1
            if marker == _SCAN:
                kept.append(content[first:])
                return JpegFile(b"".join(kept), exif, xmp)
            size = int.from_bytes(content[place : place + 2], "big")
            end = place + size
            if size < 2 or end > len(content):
                return None
            held = content[place + 2 : end]
            if marker == 0xE1 and held.startswith(b"Exif\0"):
                exif = exif or held
            elif marker == 0xE1 and held.startswith(b"http://ns.adobe.com/xap"):
                xmp = xmp or held
            if marker != _NOTE and (
                marker not in _APPLICATION or marker in _COLOURS
            ):
                kept.append(content[first:end])
            place = end
    except IndexError:
        return None


def damage(bare: bytes, four_inks: bool = False) -> Damage:
    """Looks for damage inside of the scans of a JPEG file.

    libjpeg fills up what it cannot read and warns, which Pillow keeps to
    itself. So the file is decoded once more, at an eighth of its size, by
    simplejpeg, which tells of the first warning.

    Args:
        bare: The file without notes (`cut_up`): libjpeg warns of notes, too.
        four_inks: Whether it holds four colours.
    """
    try:
        simplejpeg.decode_jpeg(
            bare,
            colorspace="CMYK" if four_inks else "GRAY",
            min_height=1,
            min_width=1,
            min_factor=8,
            strict=True,
        )
    except ValueError as error:
        text = " ".join(str(error).split())
        if _LOST.search(text):
            return Damage(text, lost=True)
        # All else is for Pillow to accept or refuse.
        if _DOUBTFUL.search(text):
            return Damage(text)
    return Damage()
