"""Labelled images out of TFDS: labels at once, pixels when asked for."""

import contextlib
import dataclasses
import os
import shlex
import sys

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging

from tfcl.data.lazy_images import MemoryLimits
from tfcl.data.sources import catalog, prepared_sets
from tfcl.data.sources.labelled_images import LabelledImages
from tfcl.data.sources.record_files import EncodedInFiles, EncodedInMemory
from tfcl.errors import UserError, installing
from tfcl.types import Folder

_READ_BATCH = 1024


def open_split(
    name: str,
    split: str,
    data_dir: Folder | None = None,
    image_shape: tuple | None = None,
    resize: str = "stretch",
    image_key: str | None = None,
    memory: MemoryLimits | None = None,
) -> LabelledImages:
    """Opens one split of a data set of the catalog, preparing it if needed.

    A set that is not yet prepared is built (`data_builders/`) or downloaded
    (stock TFDS sets) into `data_dir`; of several processes that start
    together one does so and the others wait. Sets that forbid a download are
    built from what the user has put into `<data_dir>/downloads/manual`.

    The order of the images depends on the data alone: by `id` where the set
    has one, else the order of its files.

    Args:
        name: Name in `tfcl.data.sources.catalog`.
        split: "train", "test" or, of sets that come with one, "validation"; a
            set without parts of its own has "train".
        data_dir: Folder of prepared TFDS data sets. Defaults to TFDS's own:
            the environment variable TFDS_DATA_DIR or `~/tensorflow_datasets`.
        image_shape: `(height, width, channels)` to which images of any size
            are resized when they are decoded, with antialiasing and like a
            user's images (`preprocessing.grey_levels`). None takes them as
            they are, which must be in one shape.
        resize: How they are, see `Preprocessing`.
        image_key: Feature that holds the image, for sets with several;
            None takes the catalog's.
        memory: `MemoryLimits`, of which `encoded` counts; None for its
            defaults.

    Raises:
        UserError: If the name or split is unknown, or the files are missing,
            damaged or unreadable and cannot be made.
        ValueError: If the images are not uint8, or of several shapes
            without `image_shape`.
    """
    source = catalog.find(name)
    if image_key is not None:
        source = dataclasses.replace(source, image_key=image_key)
    place = prepared_sets.Place(name, split, data_dir)
    splits = {
        "train": source.train_split,
        "validation": source.validation_split,
        "test": source.test_split,
    }
    if splits.get(split) is None:
        known = " or ".join(f"'{k}'" for k, v in splits.items() if v)
        raise UserError(f"{place}: no such split. Ask for {known}.")
    builder = _prepared(source, place)
    if splits[split] not in builder.info.splits:
        raise place.damaged(
            prepared_sets.description(builder.data_dir),
            f"lacks '{splits[split]}'",
        )
    _tell_of_parts(builder, place, splits[split])
    features = builder.info.features
    class_names = prepared_sets.class_names(builder, place, source.label_key)
    stored_shape = _stored_shape(features[source.image_key], place, image_shape)
    keys = [source.image_key, source.label_key]
    keys += ["id"] if "id" in features else []
    largest = (memory or MemoryLimits()).encoded
    encoded, records = _read(builder, place, splits[split], keys, largest)
    if "id" in records:
        order = np.argsort(records["id"], kind="stable")
        records = {key: value[order] for key, value in records.items()}
        encoded = encoded.ordered(order)
    return LabelledImages(
        encoded=encoded,
        labels=records[source.label_key],
        class_names=class_names,
        image_shape=image_shape or stored_shape,
        ids=records.get("id"),
        place=place,
        stored_channels=stored_shape[-1] if image_shape else None,
        resize=resize,
    )


def read_columns(
    name: str, split: str, keys: tuple, data_dir: Folder | None = None
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Reads a small data set without images, such as points of the plane.

    Args:
        name: Name in `tfcl.data.sources.catalog`.
        split: Split of the TFDS builder.
        keys: Features to read.
        data_dir: Folder of prepared TFDS data sets.

    Returns:
        `{key: array (n, ...)}` in the order of the examples' `id`, and the
        class names.

    Raises:
        UserError: If the name is unknown, or the files are damaged.
    """
    source = catalog.find(name)
    place = prepared_sets.Place(name, split, data_dir)
    builder = _prepared(source, place)
    names = prepared_sets.class_names(builder, place, source.label_key)
    config = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    try:
        examples = list(
            tfds.as_numpy(
                builder.as_dataset(
                    split=split, shuffle_files=False, read_config=config
                )
            )
        )
    except tf.errors.OpError as error:
        path, fault = prepared_sets.damage(builder, split)
        raise place.damaged(path, fault) from error
    examples.sort(key=lambda example: example["id"])
    return {key: np.stack([e[key] for e in examples]) for key in keys}, names


def _tell_of_parts(builder, place, tfds_split):
    found = builder.info.splits[tfds_split].num_examples
    whole = prepared_sets.release_size(builder, tfds_split)
    if whole and found < whole:
        logging.warning(
            "%s: a part of the release, %d of its %d images.",
            place,
            found,
            whole,
        )


def _prepared(source, place):
    """The TFDS builder of a data set that is on the disk."""
    builder = prepared_sets.make_builder(source, place)
    if builder.is_prepared():
        return builder
    try:
        with prepared_sets.only_one(builder):
            # Another process may have prepared it while this one waited.
            builder = prepared_sets.make_builder(source, place)
            if not builder.is_prepared():
                _prepare(builder, downloads=source.module is None)
    except ImportError as error:
        raise UserError(
            f"{place}: preparing it needs the Python package '{error.name}'. "
            f"Install it ({installing(error)}) and run again, or "
            f"{place.elsewhere}."
        ) from error
    except prepared_sets.PREPARE_ERRORS as error:
        raise UserError(
            f"{place}: not found as '{place.shown(builder.data_dir)}' and "
            f"cannot be prepared there ({prepared_sets.brief(error, 300)}). "
            f"{_remedy(builder, place)} and run again, or {place.elsewhere}."
            f"{_way_with_parts(builder, place)}"
        ) from error
    if not builder.is_prepared():
        # TFDS takes a folder without this file for a finished one.
        raise place.damaged(
            prepared_sets.description(builder.data_dir), "is missing"
        )
    return builder


def _remedy(builder, place):
    """What a user can do about a preparation that failed."""
    instructions = builder.MANUAL_DOWNLOAD_INSTRUCTIONS
    if not instructions:
        return "Remove the cause (a download needs the internet)"
    folder = os.path.join(builder.data_dir_root, "downloads", "manual")
    text = " ".join(instructions.split()).rstrip(".")
    return f"{text}. The folder for this is '{place.shown(folder)}': fill it"


def _way_with_parts(builder, place):
    """The command that takes what is there as a part of the release."""
    if not getattr(builder, "COUNTS", None):
        return ""
    words = ["python", "-m", "tfcl.build", place.name]
    if place.data_dir:
        words.append(f"--data_dir={place.data_dir}")
    return f" A part of the release is taken by `{shlex.join(words)}`."


def _prepare(builder, downloads):
    if downloads:
        logging.warning(
            "Downloading data set %s into %s. Without a connection TFDS gives "
            "up after about 4 minutes.",
            builder.name,
            builder.data_dir,
        )
    # stdout belongs to the command's own results.
    with contextlib.redirect_stdout(sys.stderr):
        tfds.display_progress_bar(sys.stderr.isatty())
        builder.download_and_prepare()


def _read(builder, place, tfds_split, keys, largest):
    """All records of a split, up to `largest` bytes of images in memory.

    Returns:
        The encoded images, `EncodedInMemory` or, of a large set,
        `EncodedInFiles`; and `{key: (n,) array}` of the other keys.
    """
    image, *others = keys
    instructions = _file_instructions(builder, tfds_split, largest)
    columns = {key: [] for key in (others if instructions else keys)}
    try:
        dataset = builder.as_dataset(
            split=tfds_split,
            shuffle_files=False,
            decoders=tfds.decode.PartialDecoding(
                dict.fromkeys(keys, True),
                decoders={keys[0]: tfds.decode.SkipDecoding()},
            ),
            read_config=tfds.ReadConfig(
                interleave_cycle_length=1, try_autocache=False
            ),
        )
        # The pass over large sets verifies their checksums, too.
        for batch in dataset.batch(_READ_BATCH).as_numpy_iterator():
            for key, column in columns.items():
                column.append(batch[key])
    except tf.errors.OpError as error:
        path, fault = prepared_sets.damage(builder, tfds_split)
        raise place.damaged(path, fault) from error
    columns = {key: np.concatenate(parts) for key, parts in columns.items()}
    if instructions:
        return EncodedInFiles(instructions, image), columns
    return EncodedInMemory(columns.pop(image)), columns


def _file_instructions(builder, tfds_split, largest):
    """Where the records of a large split lie, None to keep it in memory."""
    instructions = [
        (os.fspath(i.filename), i.skip, i.take)
        for i in builder.info.splits[tfds_split].file_instructions
    ]
    paths = {path for path, _, _ in instructions}
    try:
        size = sum(os.path.getsize(path) for path in paths)
    except OSError:
        return None  # Reading will tell what is missing.
    readable = all(".tfrecord" in os.path.basename(path) for path in paths)
    return instructions if readable and size > largest else None


def _stored_shape(feature, place, wanted):
    shape = tuple(feature.shape)
    if (None in shape and not wanted) or feature.np_dtype != np.uint8:
        raise ValueError(
            f"{place}: images must be uint8 of one shape; for several shapes "
            "the stream must state the `image_shape` to resize them to. "
            f"Received: {feature.np_dtype} of shape {shape}"
        )
    return shape
