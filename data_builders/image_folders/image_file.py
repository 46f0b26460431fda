"""Any image file as upright 8-bit RGB."""

import io
import os
import pathlib

import numpy as np
import PIL.Image
import PIL.ImageOps


class BadImage(ValueError):
    """A file that is no image; says what is wrong with it."""


def decode(source: str | os.PathLike | bytes) -> np.ndarray:
    """Decodes an image as uint8 `(height, width, 3)`.

    Any format that Pillow reads; turned upright by its EXIF note; grey,
    palette, CMYK and 16-bit images become 8-bit RGB; opacity is dropped; of
    an animation, the first image. Images of more than 179 million pixels
    are refused: a small file may claim to be one to fill the memory.

    By Pillow, since TensorFlow's decoder knows neither EXIF notes nor CMYK,
    16-bit grey and floating numbers, nor a limit of size. The published sets,
    whose files are stored as they are, are looked at by
    `data_builders.image_files.read`.

    Args:
        source: Path, or the content of the file.

    Raises:
        BadImage: If it is no image or a damaged one.
        OSError: If the file cannot be read.
    """
    if isinstance(source, bytes):
        content = source
    else:
        content = pathlib.Path(source).read_bytes()
    if not content:
        raise BadImage("is no readable image: it is empty")
    try:
        with PIL.Image.open(io.BytesIO(content)) as stored:
            image = PIL.ImageOps.exif_transpose(stored)
            if image.mode.startswith("I;16") or image.mode in ("I", "F"):
                return _from_deep_grey(np.asarray(image))
            return np.asarray(image.convert("RGB"), np.uint8)
    except PIL.UnidentifiedImageError as error:
        raise BadImage("is no readable image") from error
    except (
        OSError,
        SyntaxError,
        ValueError,
        PIL.Image.DecompressionBombError,
    ) as error:
        raise BadImage(f"is no readable image: {error}") from error


def _from_deep_grey(values):
    values = values.astype(np.float64)
    # 16 bits, unless floating numbers are plainly of a smaller range.
    white = 65535.0
    if values.max(initial=0.0) <= 1.0:
        white = 1.0
    grey = np.clip(np.rint(values * (255.0 / white)), 0, 255)
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=-1)
