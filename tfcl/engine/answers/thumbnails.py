"""Small encoded images of a split, for reports."""

from __future__ import annotations

import io
import typing

import numpy as np
from PIL import Image

from tfcl.errors import UserError

if typing.TYPE_CHECKING:
    from collections.abc import Sequence

    from tfcl.data.split import Split


LONGEST_SIDE = 64
_SMALLEST_SIDE = 4
_QUALITY = 85
# Drawings are smaller as PNG, photographs of more bytes as JPEG.
_LARGEST_PNG = 1500


def thumbnails(
    split: Split, rows: Sequence[int]
) -> tuple[dict[int, bytes], str]:
    """PNG or JPEG of some examples.

    Args:
        split: `Split`.
        rows: Numbers of examples.

    Returns:
        `{example: bytes}` and, if that is empty, why.
    """
    height, width, channels = split.image_shape
    if min(height, width) < _SMALLEST_SIDE or channels not in (1, 3):
        shape = f"{height} x {width} x {channels}"
        return {}, f"The examples are no images: {shape} numbers each."
    try:
        pixels = np.asarray(split.images[np.asarray(rows, np.int64)])
    except UserError:  # Images that are kept nowhere, `tfcl.data.absent`.
        return {}, "The test images were not there."
    if pixels.dtype != np.uint8:
        pixels = pixels * np.float32(split.scale)
        if not ((pixels >= 0.0) & (pixels <= 1.0)).all():
            return {}, "The pixels are no colours: they are not all in 0 to 1."
        pixels = np.round(pixels * 255.0).astype(np.uint8)
    return {int(row): _encoded(each) for row, each in zip(rows, pixels)}, ""


def _encoded(pixels):
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    # Smaller images stay as they are.
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    png = _saved(image, format="png", optimize=True)
    if len(png) <= _LARGEST_PNG:
        return png
    options = {"quality": _QUALITY, "subsampling": 0, "optimize": True}
    jpeg = _saved(image, format="jpeg", **options)
    return min(png, jpeg, key=len)


def _saved(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()
