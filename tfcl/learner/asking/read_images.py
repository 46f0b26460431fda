"""Image files read as the images of learned tasks were."""

from __future__ import annotations

import typing

from tfcl.data.sources.image_files import read_image
from tfcl.data_builders.image_folders.image_file import Rules

if typing.TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from tfcl.engine.storage.bank import BankedTask


AT_ONCE = 64  # Images that are in memory.


def read_like(
    entries: Sequence[BankedTask], path: str, largest: int
) -> list[np.ndarray]:
    """An image file as each of some tasks takes it.

    Args:
        entries: `BankedTask`s; those that read files alike get one array.
        path: Of the file.
        largest: Bytes that it may hold.

    Returns:
        uint8 `(height, width, 3)` per task.

    Raises:
        UserError: If the file is missing or no image.
    """
    known: dict[Rules, np.ndarray] = {}
    found = []
    for entry in entries:
        made = entry.preprocessing
        rules = Rules(largest, made.white, made.two_channels)
        if rules not in known:
            known[rules] = read_image(path, rules)
        found.append(known[rules])
    return found
