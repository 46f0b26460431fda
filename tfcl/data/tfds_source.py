"""Labelled pictures out of TFDS: labels at once, pixels when asked for."""

import contextlib
import dataclasses
import fcntl
import importlib
import os
import sys

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging
from google.protobuf import json_format
from tensorflow_datasets.core.download import download_manager, extractor

from tfcl.data import catalog
from tfcl.data.labelled_images import LabelledImages
from tfcl.data.pictures import LARGEST_IN_MEMORY
from tfcl.data.record_files import EncodedInFiles, EncodedInMemory
from tfcl.errors import UserError

# What TFDS raises for description files it cannot use (ValueError and
# AssertionError: names, splits or versions that contradict each other).
_DESCRIPTION_ERRORS = (
    OSError,
    ValueError,
    AssertionError,
    json_format.ParseError,
)
# What a preparation raises: no network (requests' errors are OSErrors), a full
# disk (TFDS turns TF's error into a RuntimeError), a wrong checksum or archive,
# an empty manual_dir (AssertionError).
_PREPARE_ERRORS = (
    OSError,
    AssertionError,
    RuntimeError,
    tf.errors.OpError,
    tfds.download.DownloadError,
    download_manager.NonMatchingChecksumError,
    extractor.ExtractError,
)
_READ_BATCH = 1024


def open_split(
    name: str,
    split: str,
    data_dir: str | None = None,
    image_shape: tuple | None = None,
) -> LabelledImages:
    """Opens one split of a data set of the catalog, preparing it if needed.

    A set that is not yet prepared is built (`data_builders/`) or downloaded
    (stock TFDS sets) into `data_dir`; of several processes that start
    together one does so and the others wait. Sets that forbid a download are
    built from what the user has put into `<data_dir>/downloads/manual`.

    The order of the pictures depends on the data alone: by `id` where the set
    has one, else the order of its files.

    Args:
        name: Name in `tfcl.data.catalog`.
        split: "train" or "test"; a set without parts of its own has "train".
        data_dir: Folder of prepared TFDS data sets. Defaults to TFDS's own:
            the environment variable TFDS_DATA_DIR or `~/tensorflow_datasets`.
        image_shape: `(height, width, channels)` to which pictures of any size
            are resized when they are decoded, with antialiasing and like a
            user's pictures (`preprocessing.grey_levels`). None takes them as
            they are, which must be in one shape.

    Raises:
        UserError: If the name or split is unknown, or the files are missing,
            damaged or unreadable and cannot be made.
        ValueError: If the pictures are not uint8, or of several shapes
            without `image_shape`.
    """
    source = catalog.find(name)
    place = _Place(name, split, data_dir)
    splits = {"train": source.train_split, "test": source.test_split}
    if splits.get(split) is None:
        known = " or ".join(f"'{k}'" for k, v in splits.items() if v)
        raise UserError(f"{place}: no such split. Ask for {known}.")
    builder = _prepared(source, place)
    if splits[split] not in builder.info.splits:
        raise place.damaged(
            _description(builder.data_dir), f"lacks '{splits[split]}'"
        )
    features = builder.info.features
    class_names = _class_names(builder, place, source.label_key)
    stored_shape = _stored_shape(features[source.image_key], place, image_shape)
    keys = [source.image_key, source.label_key]
    keys += ["id"] if "id" in features else []
    encoded, records = _read(builder, place, splits[split], keys)
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
    )


@dataclasses.dataclass(frozen=True)
class _Place:
    """A split as the user asked for it, to be named in messages."""

    name: str
    split: str
    data_dir: str | None
    elsewhere = "point --data_dir or TFDS_DATA_DIR to a whole copy"

    def __str__(self):
        return f"Data set '{self.name}', split '{self.split}'"

    @property
    def root(self):
        """`data_dir` as TFDS needs it: it does not expand `~` itself."""
        if not self.data_dir:
            return None
        return os.path.expanduser(self.data_dir)

    def shown(self, path):
        """`path`, a file of TFDS, below `data_dir` as the user wrote it."""
        path = os.fspath(path)
        if not self.data_dir:
            return path
        return os.path.join(self.data_dir, os.path.relpath(path, self.root))

    def damaged(self, path, fault):
        """The error for a file inside a prepared data set's folder."""
        folder = os.path.dirname(path)
        return UserError(
            f"{self}: file '{self.shown(path)}' {fault}. Delete the folder "
            f"'{self.shown(folder)}' and run again, or {self.elsewhere}."
        )


def _prepared(source, place):
    """The TFDS builder of a data set that is on the disk."""
    builder = _builder(source, place)
    if builder.is_prepared():
        return builder
    try:
        with _only_one(builder):
            # Another process may have prepared it while this one waited.
            builder = _builder(source, place)
            if not builder.is_prepared():
                _prepare(builder, downloads=source.module is None)
    except ImportError as error:
        raise UserError(
            f"{place}: preparing it needs the Python package '{error.name}'. "
            f"Install that and run again, or {place.elsewhere}."
        ) from error
    except _PREPARE_ERRORS as error:
        raise UserError(
            f"{place}: not found as '{place.shown(builder.data_dir)}' and "
            f"cannot be prepared there ({_brief(error, 300)}). "
            f"{_remedy(builder, place)} and run again, or {place.elsewhere}."
        ) from error
    if not builder.is_prepared():
        # TFDS takes a folder without this file for a finished one.
        raise place.damaged(_description(builder.data_dir), "is missing")
    return builder


def _remedy(builder, place):
    """What a user can do about a preparation that failed."""
    instructions = builder.MANUAL_DOWNLOAD_INSTRUCTIONS
    if not instructions:
        return "Remove the cause (a download needs the internet)"
    folder = os.path.join(builder.data_dir_root, "downloads", "manual")
    text = " ".join(instructions.split()).rstrip(".")
    return f"{text}. The folder for this is '{place.shown(folder)}': fill it"


def _builder(source, place):
    name, _, config = source.builder.partition("/")
    if source.module is None:
        cls = tfds.builder_cls(name)
    else:
        cls = importlib.import_module(source.module).Builder
    try:
        builder = cls(data_dir=place.root, config=config or None)
        for split in builder.info.splits.values():
            # Made from a pattern in the description: fails if that is damaged.
            _ = split.filepaths
    except _DESCRIPTION_ERRORS as error:
        root = place.root or tfds.core.constants.DATA_DIR
        folder = os.path.join(root, source.builder, str(cls.VERSION))
        raise place.damaged(
            _description(folder), f"cannot be used ({_brief(error)})"
        ) from error
    return builder


def _description(folder):
    return os.path.join(folder, "dataset_info.json")


@contextlib.contextmanager
def _only_one(builder):
    """Keeps other processes from preparing the same data set meanwhile."""
    folder = builder.data_path.parent
    if "://" in os.fspath(folder):
        # Object stores have no locks; TFDS still renames when complete.
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f".{builder.version}.lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logging.info("Waiting: another process prepares %s.", builder.name)
            fcntl.flock(file, fcntl.LOCK_EX)
        # Closing the file, or the death of the process, lets go.
        yield


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


def _read(builder, place, tfds_split, keys):
    """All records of a split.

    Returns:
        The encoded pictures, `EncodedInMemory` or, of a large set,
        `EncodedInFiles`; and `{key: (n,) array}` of the other keys.
    """
    picture, *others = keys
    instructions = _file_instructions(builder, tfds_split)
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
        path, fault = _damage(builder, tfds_split)
        raise place.damaged(path, fault) from error
    columns = {key: np.concatenate(parts) for key, parts in columns.items()}
    if instructions:
        return EncodedInFiles(instructions, picture), columns
    return EncodedInMemory(columns.pop(picture)), columns


def _file_instructions(builder, tfds_split):
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
    return instructions if readable and size > LARGEST_IN_MEMORY else None


def _damage(builder, tfds_split):
    """(file, what is wrong with it) of a split that could not be read."""
    info = builder.info.splits[tfds_split]
    for path, expected in zip(info.filepaths, info.shard_lengths):
        path = os.fspath(path)
        if not tf.io.gfile.exists(path):
            return path, "is missing"
        if ".tfrecord" not in path:
            continue
        try:
            records = tf.data.TFRecordDataset(path)
            found = int(records.reduce(np.int64(0), lambda n, _: n + 1))
        except tf.errors.OpError as error:
            return path, f"is damaged or unreadable ({type(error).__name__})"
        if found != expected:
            return path, f"holds {found} records where {expected} are expected"
    return _description(builder.data_dir), "does not fit the split's files"


def _class_names(builder, place, label_key):
    """The names of the classes, checked against their file.

    TFDS passes in silence over a file of names that is damaged, and then
    gives numbers or too few names.
    """
    feature = builder.info.features[label_key]
    path = builder.data_path / f"{label_key}.labels.txt"
    if not path.exists():
        # TFDS writes none for classes without names: theirs are "0", "1", ....
        return tuple(feature.names)
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise place.damaged(
            path, f"cannot be used ({_brief(error)})"
        ) from error
    names = [line.strip() for line in lines if line.strip()]
    if names != list(feature.names) or len(names) != feature.num_classes:
        raise place.damaged(
            path, f"does not hold the {feature.num_classes} class names"
        )
    return tuple(names)


def _stored_shape(feature, place, wanted):
    shape = tuple(feature.shape)
    if (None in shape and not wanted) or feature.np_dtype != np.uint8:
        raise ValueError(
            f"{place}: pictures must be uint8 of one shape; for several shapes "
            "the stream must state the `image_shape` to resize them to. "
            f"Received: {feature.np_dtype} of shape {shape}"
        )
    return shape


def _brief(error, length=120):
    """Kind and first line of an error, at most `length` characters of it."""
    cause = error.__cause__
    # TFDS wraps the system's error; "Permission denied" is the useful part.
    if isinstance(cause, (OSError, tf.errors.OpError)):
        error = cause
    text = getattr(error, "strerror", None) or str(error)
    if isinstance(error, tf.errors.OpError):
        # "<path>; No space left on device".
        text = error.message.rsplit("; ", 1)[-1]
    line = (text.strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {line[:length].rstrip(' .:(')}"
