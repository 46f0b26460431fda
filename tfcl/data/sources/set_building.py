"""Builds a data set of the catalog, once and whole, and checks it."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import importlib
import os
import pathlib
import sys
import tarfile
import typing
import zipfile
import zlib

import tensorflow_datasets as tfds
from absl import logging
from tensorflow_datasets.core.download import download_manager

from tfcl.data.sources import catalog, prepared_sets
from tfcl.data.sources.set_check import damaged, read_split
from tfcl.data_builders import manual_files
from tfcl.data_builders.image_folders.image_tree import TreeError
from tfcl.errors import UserError, missing_package
from tfcl.types import Folder

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


# What builders raise over files that a user has supplied.
_ARCHIVE_ERRORS = (
    EOFError,
    KeyError,
    ValueError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclasses.dataclass(frozen=True)
class _WholeSet(prepared_sets.Place):
    """A data set as the user asked for it, to be named in messages."""

    def __str__(self):
        return f"Data set '{self.name}'"


def catalog_builder(name: str, data_dir: Folder | None = None) -> Any:
    """The TFDS builder of a set of the catalog.

    Args:
        name: Name in `tfcl.data.sources.catalog`.
        data_dir: Folder of TFDS data sets, or None for TFDS's own.

    Raises:
        UserError: If the name is unknown, a description in `data_dir` is
            damaged, or the builder needs a package that is not installed.
    """
    source = catalog.find(name)
    place = _WholeSet(name, "", data_dir)
    try:
        return prepared_sets.make_builder(source, place)
    except ImportError as error:
        raise _package_missing(name, error) from error


def needs_manual_files(name: str) -> bool:
    """Whether the user must supply files of a set of the catalog."""
    source = catalog.find(name)
    if source.module is None:
        cls = tfds.builder_cls(source.builder.partition("/")[0])
    else:
        cls = importlib.import_module(source.module).Builder
    return bool(cls.MANUAL_DOWNLOAD_INSTRUCTIONS)


def build_set(
    name: str,
    make_builder: Callable[..., Any],
    manual_dir: str | None = None,
    partial: bool = False,
) -> tuple[Any, bool]:
    """Builds a data set, unless it is there.

    TFDS writes into a folder beside the final one and renames it when it is
    complete: after a kill at any moment the set is either whole or not there,
    and the next call builds it anew. What a killed process left is removed.
    Downloaded archives are kept and not fetched again.

    Args:
        name: For messages.
        make_builder: Function without arguments to the set's TFDS builder.
        manual_dir: Folder of the files that the user supplies. Defaults to
            `<data_dir>/downloads/manual`.
        partial: Take a part of the owners' release, warning of what it lacks,
            instead of refusing it.

    Returns:
        The builder, and whether it was built now.

    Raises:
        UserError: If it cannot be built; one line that says why.
    """
    builder = make_builder()
    if builder.is_prepared():
        return builder, False
    manual = pathlib.Path(
        manual_dir or os.path.join(builder.data_dir_root, "downloads", "manual")
    ).expanduser()
    _check_manual(name, builder, manual)
    try:
        with prepared_sets.only_one(builder):
            # Another process may have built it while this one waited.
            builder = make_builder()
            if builder.is_prepared():
                return builder, False
            _remove_leftovers(builder)
            with manual_files.parts_accepted(partial):
                _prepare(builder, manual_dir and os.fspath(manual))
    except TreeError as error:
        raise UserError(str(error)) from error
    except ImportError as error:
        raise _package_missing(name, error) from error
    except (*prepared_sets.PREPARE_ERRORS, *_ARCHIVE_ERRORS) as error:
        raise UserError(
            f"Data set '{name}' cannot be built in '{builder.data_dir}' "
            f"({_told(error)}). {_remedy(builder, error, manual)}; then run "
            f"the same command again.{_way_with_parts(builder, partial)}"
        ) from error
    if not builder.is_prepared():
        # TFDS takes a folder without this file for a finished one.
        info = os.path.join(builder.data_dir, "dataset_info.json")
        raise damaged(builder.data_dir, info, "is missing")
    return builder, True


def check_set(
    name: str, builder: Any, label_key: str | None = None
) -> Iterator[tuple[str, int, int]]:
    """Reads and decodes every record of a built set.

    Args:
        name: For messages.
        builder: TFDS builder.
        label_key: Feature whose class names are checked too, or None.

    Yields:
        `(split, records, files)` of each split that is whole.

    Raises:
        UserError: If the set is not there; or at the first damage, naming the
            file.
    """
    if not builder.is_prepared():
        raise UserError(
            f"Data set '{name}' is not in '{builder.data_dir}'. Build it "
            f"first: python -m tfcl.build {name}."
        )
    if label_key is not None:
        place = _WholeSet(name, "", builder.data_dir_root)
        prepared_sets.class_names(builder, place, label_key)
    for split, info in builder.info.splits.items():
        count = sum(1 for _ in read_split(builder, split))
        yield split, count, len(info.filepaths)


def _check_manual(name, builder, manual):
    if not builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        return
    if manual.is_dir() and any(manual.iterdir()):
        return
    state = "is empty" if manual.is_dir() else "does not exist"
    raise UserError(
        f"Data set '{name}' is built from files that you supply, but "
        f"'{manual}' {state}. {_instructions(builder)}. Give the folder by "
        "--manual_dir."
    )


def _remove_leftovers(builder):
    # Only this process builds here, see `only_one`.
    final = builder.data_path
    for path in final.parent.glob(f"incomplete.*_{final.name}"):
        logging.info("Removing what a killed process left: %s", path)
        path.rmtree()


def _prepare(builder, manual_dir):
    config = tfds.download.DownloadConfig(manual_dir=manual_dir)
    # stdout belongs to the command's own results.
    with contextlib.redirect_stdout(sys.stderr):
        tfds.display_progress_bar(sys.stderr.isatty())
        builder.download_and_prepare(download_config=config)


def _remedy(builder, error, manual):
    """What a user can do about a building that failed."""
    if getattr(error, "errno", None) == errno.ENOSPC or (
        "space" in str(error).lower()
    ):
        return "Make room on the disk"
    if isinstance(error, download_manager.NonMatchingChecksumError):
        if f"{manual}{os.sep}" in str(error):
            return (
                "Replace that file by the one that the owners publish, or take "
                "it away to have it downloaded"
            )
        downloads = os.path.join(builder.data_dir_root, "downloads")
        return (
            f"Delete the archive in '{downloads}': it was cut on its way, or "
            "its owners have changed it"
        )
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        return f"{_instructions(builder)}. The folder for this is '{manual}'"
    return (
        "Remove the cause (a download needs the internet; archives that you "
        "have already may lie in the folder that --manual_dir names)"
    )


def _way_with_parts(builder, partial):
    if partial or not getattr(builder, "COUNTS", None):
        return ""
    return " A part of the release is taken without --whole."


def _instructions(builder):
    return " ".join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split()).rstrip(".")


def _told(error):
    text = prepared_sets.brief(error, 300)
    path = getattr(error, "filename", None)
    return f"{text}: '{path}'" if path else text


def _package_missing(name, error):
    return missing_package(f"Data set '{name}'", error)
