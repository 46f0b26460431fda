"""Classifies images: `python -m tfcl.predict --model_dir=... --task=...`."""

from __future__ import annotations

import typing

import numpy as np
from absl import flags

# isort: off
from tfcl import commands  # Before all that loads TensorFlow.

# isort: on
from tfcl.configuration import command_flags
from tfcl.data.sources.image_files import check_image, read_image
from tfcl.data_builders.image_folders.image_file import Rules
from tfcl.errors import UserError, printable
from tfcl.learner import runs

if typing.TYPE_CHECKING:
    from collections.abc import Sequence


_TASK = flags.DEFINE_string("task", None, "Name of a learned task. Required.")
_TOP = flags.DEFINE_integer("top", 3, "Classes to print per image.")
command_flags.define_largest_file()
command_flags.define_model_dir()
flags.mark_flag_as_required("task")


def main(argv: Sequence[str]) -> None:
    """Prints `file: class probability, ...` for every image."""
    if len(argv) < 2:
        raise UserError(
            "Name at least one image: python -m tfcl.predict "
            "--model_dir=... --task=... a.png b.jpg"
        )
    for path in argv[1:]:  # Before the network is built.
        check_image(path, flags.FLAGS.largest_file)
    learned = runs.open_learned(flags.FLAGS.model_dir)
    assert _TASK.value is not None, "the flag is required"
    entry = learned.find(_TASK.value)
    rules = Rules(
        flags.FLAGS.largest_file,
        entry.preprocessing.white,
        entry.preprocessing.two_channels,
    )
    images = [read_image(path, rules) for path in argv[1:]]
    for path, image in zip(argv[1:], images):
        probabilities = learned.probabilities(entry, image[None])[0]
        best = np.argsort(-probabilities)[: _TOP.value]
        told = ", ".join(
            f"{printable(entry.class_names[k])} {probabilities[k]:.4f}"
            for k in best
        )
        print(f"{printable(path)}: {told}")
    commands.refuse_earlier_state(learned.earlier_state, "These answers")


if __name__ == "__main__":
    commands.run(main)
