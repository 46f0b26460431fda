"""Writes SavedModels: `python -m tfcl.export --model_dir=... [--task=...]`.

With `--bundle` all of them become one, with the shared network stored once.
"""

from __future__ import annotations

import typing

from absl import flags

from tfcl import commands
from tfcl.configuration import command_flags
from tfcl.engine.serving.export_options import (
    FORMATS,
    NONE,
    QUANTIZATIONS,
    REPRESENTATIVE,
    SAVED_MODEL,
    ExportOptions,
)
from tfcl.learner import runs
from tfcl.learner.asking.exports import exported

if typing.TYPE_CHECKING:
    from collections.abc import Sequence


_TASKS = flags.DEFINE_multi_string(
    "task", [], "Name of a learned task; repeats. Default: all."
)
_FOLDER = command_flags.define_path(
    "export_dir", "Where to write. Default: <model_dir>/export."
)
_BUNDLE = flags.DEFINE_bool(
    "bundle",
    False,
    "Write one SavedModel of all these tasks, whose second input is the number "
    "of each image's task.",
)
_FORMAT = flags.DEFINE_enum(
    "format",
    SAVED_MODEL,
    FORMATS,
    "saved_model: images of any size in, for servers and Python. keras: a "
    ".keras file of Keras' own layers. litert: a .tflite file for devices. "
    "onnx: an .onnx file for other programs; needs the extra onnx. The last "
    "three take pixels in the network's size.",
)
_QUANTIZE = flags.DEFINE_enum(
    "quantize",
    NONE,
    QUANTIZATIONS,
    "Of --format=litert. int8: weights of large layers in 8 bits. float16: all "
    "weights in 16 bits. full_integer: all weights in 8 bits, and what is "
    "computed with them, for devices without float; needs the run's training "
    "or validation images. Tells the accuracy before and after, if the run's "
    "test images are at hand.",
)
_REPRESENTATIVE = flags.DEFINE_integer(
    "representative_images",
    REPRESENTATIVE,
    "Of --quantize=full_integer: how many training images of a task, at most, "
    "tell the ranges of its numbers.",
)
_REJECT = flags.DEFINE_float(
    "reject_below",
    None,
    "Of SavedModels: an image whose largest probability is below this one is "
    "labelled 'none of these'.",
)
command_flags.define_data_dir()
command_flags.define_model_dir()


def main(argv: Sequence[str]) -> None:
    """Exports the tasks and prints the folders."""
    del argv
    given = flags.FLAGS
    options = ExportOptions(
        _FORMAT.value,
        _QUANTIZE.value,
        _REJECT.value,
        _BUNDLE.value,
        _REPRESENTATIVE.value,
    )
    options.check()
    learned = runs.open_learned(given.model_dir)
    for path in exported(
        learned, _TASKS.value, _FOLDER.value, options, given.data_dir
    ):
        print(path)
    commands.refuse_earlier_state(learned.earlier_state, "These exports")


if __name__ == "__main__":
    commands.run(main)
