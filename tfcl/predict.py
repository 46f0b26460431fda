"""Classifies pictures: `python -m tfcl.predict --model_dir=... --task=...`."""

import numpy as np
import PIL.Image
import PIL.ImageOps
from absl import flags

from tfcl import commands
from tfcl.errors import UserError

_TASK = flags.DEFINE_string("task", None, "Name of a learned task.")
_TOP = flags.DEFINE_integer("top", 3, "Classes to print per picture.")
commands.define_model_dir()
flags.mark_flag_as_required("task")


def main(argv):
    """Prints `file: class probability, ...` for every picture."""
    if len(argv) < 2:
        raise UserError(
            "Name at least one picture: python -m tfcl.predict "
            "--model_dir=... --task=... a.png b.jpg"
        )
    pictures = [read_picture(path) for path in argv[1:]]
    learned = commands.open_learned(flags.FLAGS.model_dir)
    entry = learned.find(_TASK.value)
    for path, picture in zip(argv[1:], pictures):
        probabilities = learned.probabilities(entry, picture[None])[0]
        best = np.argsort(-probabilities)[: _TOP.value]
        told = ", ".join(
            f"{entry.class_names[k]} {probabilities[k]:.4f}" for k in best
        )
        print(f"{path}: {told}")


def read_picture(path):
    """A picture file as uint8 `(height, width, 3)`.

    Any format that Pillow reads; turned upright by its EXIF note; grey,
    palette, CMYK and 16-bit pictures become 8-bit RGB; opacity is dropped.

    Raises:
        UserError: If the file is missing or no picture.
    """
    try:
        with PIL.Image.open(path) as image:
            image = PIL.ImageOps.exif_transpose(image)
            if image.mode.startswith("I;16") or image.mode in ("I", "F"):
                return _from_deep_grey(np.asarray(image))
            return np.asarray(image.convert("RGB"), np.uint8)
    except FileNotFoundError as error:
        raise UserError(f"No such picture: {path}") from error
    except (
        OSError,
        SyntaxError,
        ValueError,
        PIL.Image.DecompressionBombError,
    ) as error:
        raise UserError(f"{path} is no readable picture: {error}") from error


def _from_deep_grey(values):
    values = values.astype(np.float64)
    # 16 bits, unless floating numbers are plainly of a smaller range.
    white = 65535.0
    if values.max(initial=0.0) <= 1.0:
        white = 1.0
    grey = np.clip(np.rint(values * (255.0 / white)), 0, 255)
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=-1)


if __name__ == "__main__":
    commands.run(main)
