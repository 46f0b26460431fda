"""Any image file as upright 8-bit RGB: the one door for files of users.

Everything that reads images of a user comes here, so that what is said of
formats, sizes and damage holds for training, packing and serving alike.
"""

import contextlib
import io
import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import PIL.Image
import tensorflow as tf
from absl import logging

from tfcl.data_builders import regular_files
from tfcl.data_builders.image_folders import jpeg_file, upright

# The decoders that run in this process. Pillow knows others, of which one
# (EPS) starts a program, Ghostscript, with the file; those are never asked.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
# What is white in files of 16 bits, unless their data set says otherwise.
WHITE_OF_16_BITS = 65535.0
# Up to here, 16-bit values may well be some of fewer bits.
_DIM = 16383
_BITS, _EXTRA = 258, 338  # Tags of TIFF: bits and meaning of channels.
_UNREADABLE = "is no readable image"


class BadImage(ValueError):
    """A file that is no image; says what is wrong with it."""


class Rules(NamedTuple):
    """How the files of a data set are read.

    Attributes:
        largest_file: Bytes that a file may hold.
        white: The value of white in images of more than 8 bits (16-bit,
            32-bit and floating numbers); None if it is not known.
        two_channels: "error" refuses images of two channels, grey and
            something else than full opacity; "grey" takes the first.
    """

    largest_file: int = regular_files.LARGEST
    white: float | None = None
    two_channels: str = "error"


DEFAULT_RULES = Rules()


class Opened(NamedTuple):
    """An image, decoded and upright.

    Attributes:
        values: uint8 `(height, width, 3)`; of more than 8 bits: the numbers
            of the file, `(height, width)` or `(height, width, 3)`.
        notes: Texts: what is odd with the file, though it could be read.
    """

    values: np.ndarray
    notes: tuple[str, ...]

    @property
    def is_deep(self) -> bool:
        """Whether it is white's place in the numbers that is open."""
        return self.values.dtype != np.uint8


def decode(
    source: str | os.PathLike | bytes,
    rules: Rules = DEFAULT_RULES,
    note: Callable[[str], None] | None = None,
) -> np.ndarray:
    """Decodes an image as uint8 `(height, width, 3)`.

    Of `FORMATS`, whatever the file is called; turned upright by its EXIF
    note; grey, palette, CMYK and 16-bit images become 8-bit RGB; opacity is
    dropped; of an animation, the first image. Images of more than 179 million
    pixels are refused: a small file may claim to be one to fill the memory.

    By Pillow, since TensorFlow's decoder knows neither EXIF notes nor CMYK,
    16-bit grey and floating numbers, nor a limit of size. The published sets,
    whose files are stored as they are, are looked at by
    `tfcl.data_builders.image_files.read`.

    Args:
        source: Path, or the content of the file.
        rules: Its data set's.
        note: Called with a text for each thing that is odd with a file which
            can be read nevertheless. Defaults to a warning.

    Raises:
        BadImage: If it is no image or a damaged one.
        OSError: If the file cannot be read, is none, or is too large.
    """
    if isinstance(source, bytes):
        name, content = "An image", source
    else:
        name = repr(os.fspath(source))
        content = regular_files.read(source, rules.largest_file)
    values, notes = open_image(content, rules)
    if rules.white is None and _looks_dim(values):
        notes += (
            f"holds values up to {values.max():,} of {int(WHITE_OF_16_BITS):,}"
            ", nearly black; fewer bits may be meant",
        )
    for text in notes:
        if note is None:
            logging.warning("%s %s.", name, text)
        else:
            note(text)
    return levels(values, rules.white)


def open_image(content: bytes, rules: Rules) -> Opened:
    """Decodes an image, but leaves deep numbers as they are.

    Args:
        content: Of the file.
        rules: Its data set's.

    Raises:
        BadImage: If it is no image, a damaged one or one that is refused.
    """
    if not content:
        raise BadImage(f"{_UNREADABLE}: it is empty")
    notes: list[str] = []
    jpeg = jpeg_file.cut_up(content)
    bare = jpeg.bare if jpeg else content
    with (
        _faults_named(),
        PIL.Image.open(io.BytesIO(bare), formats=FORMATS) as image,
    ):
        image.load()
        exif, xmp = (jpeg.exif, jpeg.xmp) if jpeg else _notes_of(image)
        values = _values(image, content, rules.white)
        opaque = _is_opaque(image)
        orientation = upright.of_notes(exif, xmp)
        four_inks = image.mode == "CMYK"
    if not opaque and rules.two_channels == "error":
        raise BadImage(
            "has two channels: grey, and what is either opacity or data. Save "
            "it as grey or colours, or take the first channel alone by "
            "two_channels = 'grey'"
        )
    if jpeg:
        damage = jpeg_file.damage(bare, four_inks)
        if damage.lost:
            raise BadImage(f"{_UNREADABLE}: {damage.text}")
        if damage.text:
            notes.append(f"may be damaged ({damage.text}): look at it")
    if orientation is None:
        notes.append("has EXIF notes that cannot be read: taken as upright")
        orientation = 1
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise BadImage(f"{_UNREADABLE}: it holds infinity or no numbers")
    return Opened(upright.turned(values, orientation), tuple(notes))


def check_header(content: bytes) -> None:
    """Refuses what does not begin as an image, without decoding it.

    Args:
        content: Of the file.

    Raises:
        BadImage: If it is empty, of no known format, or claims to be larger
            than any image may be.
    """
    if not content:
        raise BadImage(f"{_UNREADABLE}: it is empty")
    jpeg = jpeg_file.cut_up(content)
    bare = jpeg.bare if jpeg else content
    with _faults_named(), PIL.Image.open(io.BytesIO(bare), formats=FORMATS):
        pass  # Pillow decodes when pixels are asked for.


def levels(values: np.ndarray, white: float | None) -> np.ndarray:
    """The numbers of an image as uint8 `(height, width, 3)`.

    Args:
        values: See `Opened`.
        white: See `Rules`. For whole numbers, None stands for 65535.

    Raises:
        BadImage: If they are floating numbers, and white is not known.
    """
    if values.dtype == np.uint8:
        return values
    if white is None:
        if values.dtype.kind == "f":
            raise BadImage(
                "holds floating numbers, and nothing says which of them is "
                "white. Save it with 8 bits"
            )
        white = WHITE_OF_16_BITS
    if values.ndim == 3 and white == WHITE_OF_16_BITS:
        # As Pillow reads colours of 16 bits.
        return (values >> 8).astype(np.uint8)
    grey = np.rint(values.astype(np.float64) * (255.0 / white))
    grey = np.clip(grey, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1) if grey.ndim == 2 else grey


def may_be_deep(head: bytes) -> bool:
    """Whether a file that begins so may hold more than 8 bits per channel.

    Args:
        head: Its first 32 bytes.
    """
    if head.startswith(b"\x89PNG"):
        return head[24:25] == b"\x10"
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def _looks_dim(values):
    # 16-bit numbers that may well be some of fewer bits.
    deep = values.dtype.kind in "iu" and values.dtype != np.uint8
    return deep and 0 < values.max(initial=0) <= _DIM


@contextlib.contextmanager
def _faults_named():
    """What decoders raise over a file, as `BadImage`."""
    try:
        yield
    except (BadImage, MemoryError):
        raise
    except PIL.UnidentifiedImageError as error:
        raise BadImage(_UNREADABLE) from error
    # The bytes may come from anybody, and lead to anything.
    except Exception as error:
        told = " ".join(str(error).split()) or type(error).__name__
        raise BadImage(f"{_UNREADABLE}: {told}") from error


def _notes_of(image):
    """Content of the EXIF and XMP notes of a file that is no JPEG file."""
    if image.format == "TIFF":
        # Pillow has turned it already; the note is part of its structure.
        return None, None
    exif = image.info.get("exif")
    old = image.info.get("Raw profile type exif")  # ImageMagick's, in PNG.
    if exif is None and isinstance(old, str):
        try:
            exif = bytes.fromhex("".join(old.split("\n")[3:]))
        except ValueError:
            exif = old.encode()  # Which cannot be read, and is told so.
    xmp = image.info.get("XML:com.adobe.xmp") or image.info.get("xmp")
    return exif, xmp.encode() if isinstance(xmp, str) else xmp


def _values(image, content, white):
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return np.asarray(image)
    if image.format == "PNG" and content[24] == 16:
        # Of colours, Pillow keeps the upper 8 bits only.
        values = tf.io.decode_png(content, dtype=tf.uint16).numpy()
        return values[..., 0] if values.shape[-1] < 3 else values[..., :3]
    pixels = np.asarray(image.convert("RGB"), np.uint8)
    if image.format == "TIFF" and max(image.tag_v2.get(_BITS, (8,))) > 8:
        if white not in (None, WHITE_OF_16_BITS):
            raise BadImage(
                "is a TIFF file of more than 8 bits per colour, of which only "
                f"the upper 8 are read: too few for a white of {white:g}. Save "
                "it as PNG"
            )
        return (pixels.astype(np.uint16) << 8) | 0xFF
    return pixels


def _is_opaque(image):
    if image.mode not in ("LA", "La"):
        return True
    if image.format == "TIFF" and image.tag_v2.get(_EXTRA) == (0,):
        return False  # Not said to be opacity; Pillow passes it over.
    return image.getextrema()[1][0] == 255
