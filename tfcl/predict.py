"""Classifies images: `python -m tfcl.predict --model_dir=... [--task=...]`.

Takes files, folders with all that is in them, and `-` for paths on standard
input, one per line.
"""

from __future__ import annotations

import sys
import typing

from absl import flags

# isort: off
from tfcl import commands  # Before all that loads TensorFlow.

# isort: on
from tfcl.configuration import command_flags
from tfcl.data.sources.image_files import check_image
from tfcl.errors import UserError
from tfcl.learner import runs
from tfcl.learner.asking.answers import FORMATS, TEXT, writer
from tfcl.learner.asking.image_paths import image_paths
from tfcl.learner.asking.read_images import AT_ONCE, read_like

if typing.TYPE_CHECKING:
    from collections.abc import Sequence


_TOP = flags.DEFINE_integer(
    "top", 3, "Classes to tell per image.", lower_bound=1
)
_OUTPUT = flags.DEFINE_enum(
    "output_format",
    TEXT,
    FORMATS,
    "text: a line per image. csv: a row per image, task and class. jsonl: a "
    "JSON object per image and task.",
)
command_flags.define_task(
    "Default: the answers of all of them, side by side; none is chosen."
)
command_flags.define_largest_file()
command_flags.define_model_dir()


def main(argv: Sequence[str]) -> None:
    """Prints the most probable classes of every image."""
    paths = image_paths(argv[1:], sys.stdin)
    if not paths:
        raise UserError(
            "Name at least one image, a folder of images, or - for paths on "
            "standard input: python -m tfcl.predict --model_dir=... --task=... "
            "a.png b.jpg"
        )
    largest = flags.FLAGS.largest_file
    for path in paths:  # Before the network is built.
        check_image(path, largest)
    learned = runs.open_learned(flags.FLAGS.model_dir)
    task = flags.FLAGS.task
    entries = [learned.find(name) for name in [task] if name]
    entries = entries or [learned.find(name) for name in learned.names]
    answers = writer(_OUTPUT.value, _TOP.value, chosen=task is not None)
    for first in range(0, len(paths), AT_ONCE):
        part = paths[first : first + AT_ONCE]
        images = [read_like(entries, path, largest) for path in part]
        found = [
            learned.probabilities_of_each(
                entry, [image[place] for image in images]
            )
            for place, entry in enumerate(entries)
        ]
        for row, path in enumerate(part):
            rows = [probabilities[row] for probabilities in found]
            answers.write(path, list(zip(entries, rows)))
    commands.refuse_earlier_state(learned.earlier_state, "These answers")


if __name__ == "__main__":
    commands.run(main)
