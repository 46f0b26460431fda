"""Builds data sets: `python -m tfcl.build NAME --data_dir=...`."""

from __future__ import annotations

import difflib
import re
import typing

from absl import flags

# isort: off
from tfcl import commands  # Before all that loads TensorFlow.

# isort: on
from tfcl.configuration import command_flags
from tfcl.data.sources import (
    catalog,
    folder_package,
    prepared_sets,
    set_building,
    set_check,
)
from tfcl.data_builders.image_folders.image_file import Rules
from tfcl.errors import UserError, printable

if typing.TYPE_CHECKING:
    from collections.abc import Sequence


_FOLDERS = "image_folders"
_FOLDERS_TERMS = "Your own images: a folder of tasks as --manual_dir."

_MANUAL_DIR = command_flags.define_path(
    "manual_dir",
    "Folder of the files that you supply. Default: DATA_DIR/downloads/manual.",
)
_CHECK = flags.DEFINE_bool(
    "check", False, "Read a built set from end to end instead."
)
_LIST = flags.DEFINE_bool("list", False, "Print the sets that can be built.")
_WHOLE = flags.DEFINE_bool(
    "whole",
    False,
    "Refuse a part of the release, instead of warning of what it lacks.",
)
_IMAGE_SIZE = flags.DEFINE_string(
    "image_size",
    None,
    f"For {_FOLDERS}: pixels, 128 or 96x128 (height x width). Default: every "
    "image keeps its size.",
)
_RESIZE = flags.DEFINE_enum(
    "resize",
    "stretch",
    ("stretch", "crop"),
    f"For {_FOLDERS}: how to bring images to --image_size.",
)
_ON_BAD_IMAGE = flags.DEFINE_enum(
    "on_bad_image",
    "error",
    ("error", "skip"),
    f"For {_FOLDERS}: stop at a file that is no image, or leave it out.",
)
_WHITE = flags.DEFINE_float(
    "white",
    None,
    f"For {_FOLDERS}: the number that is white in images of more than 8 bits, "
    "such as 4095. Default: decided for each task by its largest number.",
)
_TWO_CHANNELS = flags.DEFINE_enum(
    "two_channels",
    "error",
    ("error", "grey"),
    f"For {_FOLDERS}: refuse images of two channels, or take the first.",
)
_LISTS_MAY_LEAVE_ROOT = flags.DEFINE_bool(
    "lists_may_leave_root",
    False,
    f"For {_FOLDERS}: allow lists to name images outside of --manual_dir.",
)
flags.DEFINE_alias("on_bad_picture", "on_bad_image")  # Its former name.
command_flags.define_data_dir()
command_flags.define_largest_file()


def main(argv: Sequence[str]) -> None:
    """Lists, checks or builds."""
    if _LIST.value:
        _list()
        return
    if len(argv) != 2:
        raise UserError(
            "Name one data set: python -m tfcl.build NAME "
            "[--manual_dir=...] [--data_dir=...]. Their names: python -m "
            "tfcl.build --list"
        )
    name = argv[1]
    if _CHECK.value:
        _check(name)
    else:
        _build(name)


def _list():
    for name, source in sorted(catalog.CATALOG.items()):
        by_hand = set_building.needs_manual_files(name)
        _show(name, "by hand" if by_hand else "", source.terms)
    _show(_FOLDERS, "by hand", _FOLDERS_TERMS)


def _show(name, by_hand, terms):
    print(f"{name:<24} {by_hand:<8} {terms}")


def _build(name):
    builder, built = set_building.build_set(
        name, lambda: _builder(name), _MANUAL_DIR.value, not _WHOLE.value
    )
    counts = ", ".join(
        f"{_counted(builder, split, info.num_examples)} {split}"
        for split, info in builder.info.splits.items()
    )
    state = "Built" if built else "Was there already:"
    print(f"{state} '{name}' in {builder.data_dir} ({counts} records)")
    if not built and " of the release's " in counts:
        print("To build it from more of the release, delete that folder first.")
    if name != _FOLDERS:
        return
    if not built:
        print("If the images have changed, delete that folder first.")
    skipped = builder.builder_config.bad.skipped
    for path, fault in skipped:
        print(f"Left out: '{printable(path)}' {printable(fault)}")
    print(f"--gin_bindings=\"folder_stream.root = '{builder.data_dir}'\"")


def _check(name):
    label_key = None
    if folder_package.is_package(name):  # A path.
        builder = set_check.set_in(name)
    else:
        builder = _builder(name)
        if name != _FOLDERS:
            label_key = catalog.find(name).label_key
    for split, count, files in set_building.check_set(name, builder, label_key):
        records = _counted(builder, split, count)
        print(f"{split}: {records} records in {files} file(s), whole")


def _counted(builder, split, count):
    release = prepared_sets.release_size(builder, split)
    if release is None or count >= release:
        return str(count)
    return f"{count} of the release's {release}"


def _builder(name):
    data_dir = flags.FLAGS.data_dir
    if name == _FOLDERS:
        if not _MANUAL_DIR.value:
            raise UserError(
                f"'{_FOLDERS}' needs the folder of your tasks: "
                "--manual_dir=my_tasks."
            )
        return folder_package.package_builder(
            _MANUAL_DIR.value,
            data_dir,
            _size(_IMAGE_SIZE.value),
            _RESIZE.value,
            _ON_BAD_IMAGE.value == "skip",
            Rules(flags.FLAGS.largest_file, _white(), _TWO_CHANNELS.value),
            _LISTS_MAY_LEAVE_ROOT.value,
        )
    if name not in catalog.CATALOG and difflib.get_close_matches(
        name, [_FOLDERS, *catalog.CATALOG], n=1
    ) == [_FOLDERS]:
        raise UserError(
            f"Unknown data set '{name}'. Did you mean '{_FOLDERS}'?"
        )
    return set_building.catalog_builder(name, data_dir)


def _white():
    white = _WHITE.value
    if white is not None and not 0.0 < white < float("inf"):
        raise UserError(f"--white is a number above 0. Received: {white}")
    return white


def _size(text):
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d*)(?:x([1-9]\d*))?", text)
    if match is None:
        raise UserError(
            "--image_size is a number of pixels or height x width: 128 or "
            f"96x128. Received: {text}"
        )
    height = int(match[1])
    return height, int(match[2] or height)


if __name__ == "__main__":
    commands.run(main)
