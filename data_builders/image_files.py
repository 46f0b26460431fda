"""Labelled image files: listing them, checking them, cutting them."""

import io
import re
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tfcl.data_builders import manual_files

_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
# First bytes of the formats that are stored as they are.
_STORED = (b"\xff\xd8\xff", b"\x89PNG")


class Image(NamedTuple):
    """One image file and its label.

    Args:
        id: Text that is unique in the data set and names the file.
        path: The file, `epath.Path`.
        label: Class index.
        box: `(left, top, right, bottom)` in pixels, right and bottom
            exclusive; what lies outside is cut off. None keeps all.
        more: Further features.
    """

    id: str
    path: object
    label: int
    box: tuple | None = None
    more: dict = {}


def features(names=None, count=None, image=None, **more):
    """Features of labelled images.

    Args:
        names: Names of the classes, in order.
        count: Number of classes whose names are not fixed.
        image: Feature of the image; None for colours of any size.
        **more: Further features by name.
    """
    return tfds.features.FeaturesDict(
        {
            "id": tfds.features.Text(),
            "image": image or any_image(),
            "label": tfds.features.ClassLabel(names=names, num_classes=count),
            **more,
        }
    )


def any_image():
    """`(height, width, 3)` uint8, any size; grey and CMYK files are turned
    into colours when they are read."""
    return tfds.features.Image(shape=(None, None, 3), dtype=np.uint8)


def png(height, width, channels):
    """`(height, width, channels)` uint8, stored without loss."""
    return tfds.features.Image(
        shape=(height, width, channels), dtype=np.uint8, encoding_format="png"
    )


def examples(images, classes):
    """Yields what `_generate_examples` yields for `Image`s.

    Args:
        images: Iterable of them.
        classes: Number of classes; labels are compared with it.
    """
    for each in images:
        if not 0 <= each.label < classes:
            raise manual_files.DataFileError(
                f"the lists give '{each.path}' the class index "
                f"{each.label}, which is not in 0..{classes - 1}"
            )
        image = read(each.path, each.box)
        yield (
            each.id,
            {
                "id": each.id,
                "image": image,
                "label": each.label,
                **each.more,
            },
        )


def read(path, box=None):
    """The encoded image, after a look at whether it can be decoded.

    JPEG and PNG files are taken unchanged; others, and the cut-outs, are
    encoded as PNG, which loses nothing.

    The look is TensorFlow's, since TFDS has it decode the stored bytes at every
    reading: what passes here can be read, and cut-outs have the pixels that
    the whole image would have. Files of users, which come in more kinds and
    are stored as pixels, are read by `image_folders.image_file`.

    Args:
        path: The file, `epath.Path`.
        box: See `Image`.

    Returns:
        A binary file object.

    Raises:
        FileNotFoundError: If the file is missing.
        DataFileError: If it is no image, is cut off, or `box` lies outside.
    """
    encoded = manual_files.content(path)
    try:
        # Truncated files fail as well: TF does not fill in what is missing.
        pixels = tf.io.decode_image(
            encoded, channels=3, expand_animations=False
        )
    except tf.errors.InvalidArgumentError:
        raise manual_files.DataFileError(
            f"'{path}' is no image or is cut off ({len(encoded):,} bytes): "
            "replace it"
        ) from None
    if box is not None:
        pixels = _cut(pixels, box, path)
    if box is not None or not encoded.startswith(_STORED):
        encoded = tf.io.encode_png(pixels).numpy()
    return io.BytesIO(encoded)


def _cut(pixels, box, path):
    height, width = pixels.shape[:2]
    left, top, right, bottom = box
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, width), min(bottom, height)
    if left >= right or top >= bottom:
        raise manual_files.DataFileError(
            f"the box {tuple(box)} lies outside '{path}', which has "
            f"{width} x {height} pixels"
        )
    return pixels[top:bottom, left:right]


def listed(folder):
    """The image files of a folder by name; others (Thumbs.db) are left out.

    Raises:
        FileNotFoundError: If the folder is missing or holds none.
    """
    found = []
    if folder.exists():
        found = [
            path
            for path in sorted(folder.iterdir())
            # "._x.jpg" is what macOS adds to archives.
            if path.suffix.lower() in _ENDINGS and path.name[0] != "."
        ]
    if not found:
        raise FileNotFoundError(f"there is no image in '{folder}'")
    return found


def in_class_folders(split, names, prefix, numbered=False):
    """The images of `<split>/<class>/<file>`, classes known by name.

    Folders are compared with the names without regard to capitals and
    punctuation.

    Args:
        split: The folder, `epath.Path`.
        names: The class names; places are labels.
        prefix: First part of the images' ids.
        numbered: Whether folders may be called "001.<any name>" or by a
            number alone as well, counted from 0 if there is a folder "0",
            else from 1.

    Raises:
        DataFileError: If a folder is none of the classes.
    """
    folders = _folders(split)
    known = {_plain(name): label for label, name in enumerate(names)}
    first = 0 if any(folder.name == "0" for folder in folders) else 1
    images = []
    for folder in folders:
        number = re.match(r"(\d+)(?:[._ -]|$)", folder.name)
        label = known.get(_plain(folder.name))
        if label is None and number and numbered:
            label = int(number[1]) - first
        if label is None or not 0 <= label < len(names):
            raise manual_files.DataFileError(
                f"'{folder}' is none of the {len(names)} classes"
            )
        images += _of(folder, label, prefix)
    return images


def in_split_folders(root, splits, names, numbered=False):
    """`{split: images}` of a tree `<split>/<class>/<file>`.

    Args:
        root: The folder, `epath.Path`.
        splits: The splits' names, which are their folders' names too; of a
            dict, the values are the folders' names.
        names: See `in_class_folders`.
        numbered: See `in_class_folders`.
    """
    folders = splits if isinstance(splits, dict) else dict(zip(splits, splits))
    return {
        split: in_class_folders(root / folder, names, folder, numbered)
        for split, folder in folders.items()
    }


def in_ranked_folders(split, count, prefix):
    """The same for sets whose class names are not fixed.

    A label is the place of its folder among all by name, as in the programs
    that read such trees; there must be `count` folders, lest labels shift.
    The name is kept as the feature "class_name".
    """
    folders = _folders(split)
    if len(folders) != count:
        raise manual_files.DataFileError(
            f"'{split}' has {len(folders):,} folders where {count:,} classes "
            "are expected: complete it"
        )
    return [
        image._replace(more={"class_name": folder.name})
        for label, folder in enumerate(folders)
        for image in _of(folder, label, prefix)
    ]


def _folders(split):
    if not split.exists():
        raise FileNotFoundError(f"there is no folder '{split}'")
    found = [path for path in sorted(split.iterdir()) if path.is_dir()]
    if not found:
        raise FileNotFoundError(f"there is no folder in '{split}'")
    return found


def _of(folder, label, prefix):
    return [
        Image(f"{prefix}/{folder.name}/{path.name}", path, label)
        for path in listed(folder)
    ]


def _plain(name):
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
