"""Copies of the files that a run's backbone begins with."""

from __future__ import annotations

import functools
import hashlib
import os
import pathlib
import shutil
import typing

import keras
from absl import logging

from tfcl.errors import RunError, UserError
from tfcl.files import cannot

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


_PART = 2**20  # Bytes read at once.


class StartFiles:
    """Folder `model_dir/start`: what a run needs besides checkpoint and bank.

    New tasks start from pretrained weights, and a network out of a file has
    its layers from there. So a run keeps the files, with their checksums in
    the journal, and is then independent of the originals.

    Args:
        folder: `model_dir/start`.
        notes: `{name: {"file": name in the folder, "sha256": ...}}` of the
            journal; `keep` adds to it.
    """

    def __init__(
        self, folder: str | pathlib.Path, notes: dict[str, dict[str, str]]
    ):
        self.folder = pathlib.Path(folder)
        self.notes = notes
        self._found = {}
        self._writers = {}

    def given(self, path: str | pathlib.Path) -> str:
        """See `tfcl.models.start_files`; the original will do as well."""
        path = str(path)
        if path not in self.notes:
            self._writers[path] = functools.partial(shutil.copyfile, path)
            return path
        return self._kept(path, original=path)

    def built(self, name: str, build: Callable[..., Any]) -> Any:
        """See `tfcl.models.start_files`."""
        name = f"built/{name}.keras"  # no file of a user's
        if name in self.notes:
            return keras.models.load_model(
                self._kept(name), compile=False, safe_mode=True
            )
        model = build()
        self._writers[name] = model.save
        return model

    def _kept(self, name, original=None):
        if name not in self._found:
            note = self.notes[name]
            kept = self.folder / note["file"]
            for place in filter(None, (str(kept), original)):
                if _checksum(place) == note["sha256"]:
                    self._found[name] = place
                    break
                if original not in (None, place):
                    logging.warning(
                        "%s is missing or damaged: the original of the same "
                        "content is looked for. Put a copy of it there.",
                        kept,
                    )
            else:
                way_out = "Restore it from a copy"
                if original is not None:
                    way_out += f", or put '{original}' back as it was"
                raise RunError(
                    f"{kept}, from which the run's network begins, is missing "
                    f"or damaged. {way_out}."
                )
        return self._found[name]

    def refuse_changed(self) -> None:
        """Refuses to go on where an original has another content today.

        The run would go on from its copy, against what a user who gives new
        weights expects. One that is gone is not missed.

        Raises:
            UserError: With the file.
        """
        for name, note in self.notes.items():
            if _checksum(name) not in (None, note["sha256"]):
                raise UserError(
                    f"'{name}' has changed since the run began with it, and "
                    "a run cannot change the network that its tasks start "
                    "from. Put the old file back, or remove it (the run has "
                    f"a copy, {self.folder / note['file']}), or begin a run "
                    "with the new one in another --model_dir."
                )

    def keep(self) -> None:
        """Copies what was asked for and is not kept yet.

        To be called before a step changes any weight.

        Raises:
            RunError: If the disk is full or not writable.
        """
        for left_over in self.folder.glob(".[0-9]*_*"):
            left_over.unlink()  # Half a copy: its process was killed.
        for name, write in self._writers.items():
            file = f"{len(self.notes)}_{pathlib.Path(name).name}"
            temporary = self.folder / f".{file}"
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                write(str(temporary))
                sha = _checksum(temporary)
                os.replace(temporary, self.folder / file)
            except OSError as error:
                temporary.unlink(missing_ok=True)
                raise cannot(
                    f"keep '{name}' in {self.folder}", error
                ) from error
            self.notes[name] = {"file": file, "sha256": sha}
        self._writers = {}


def _checksum(path):
    """SHA-256 of a file, None if there is none."""
    if not os.path.isfile(path):
        return None
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(_PART):
            sha.update(part)
    return sha.hexdigest()
