"""Omniglot: one task per alphabet, one class per character."""

from collections.abc import Sequence
from typing import Annotated

import gin
import numpy as np

from tfcl.arguments import PositiveInt, checked, one_of
from tfcl.data.class_pools import ClassPools, shuffled
from tfcl.data.lazy_images import HeldTasks, MemoryLimits
from tfcl.data.sources import tfds_source
from tfcl.data.task import TaskStream
from tfcl.data.task_assembly import UNSTANDARDISED, assemble_task
from tfcl.errors import UserError
from tfcl.types import Folder

# Of a character's 20 drawings: training and validation, by percentage of the
# data; 10 are for test. The ends are published, of the rest only that
# validation has 1 or 2: about a fifth, as at the upper end.
OMNIGLOT_SIZES = {10: (1, 1), 20: (3, 1), 30: (5, 1), 40: (6, 2), 50: (8, 2)}
_TEST = 10
_PARTS: dict[str, tuple[str, ...]]
_PARTS = {"background": ("train",), "evaluation": ("test",)}
_PARTS["all"] = ("train", "test")


@gin.configurable(denylist=["data_dir"])
@checked
def omniglot_stream(
    data_percent: Annotated[int, one_of(*OMNIGLOT_SIZES)] = 50,
    part: Annotated[str, one_of(*_PARTS)] = "background",
    alphabets: Sequence | None = None,
    image_size: PositiveInt = 28,
    data_seed: int = 0,
    batch_size: PositiveInt = 10,
    memory: MemoryLimits | None = None,
    data_dir: Folder | None = None,
) -> TaskStream:
    """Handwritten characters, the task being to tell those of an alphabet.

    Args:
        data_percent: 10, 20, 30, 40 or 50: 1 / 1, 3 / 1, 5 / 1, 6 / 2 or 8 / 2
            training / validation drawings per character. Always 10 test
            drawings, the same for all percentages.
        part: "background" (30 alphabets), "evaluation" (20) or "all".
        alphabets: Names of the alphabets to learn, in this order. None takes
            all of `part` by name.
        image_size: Height and width in pixels to which the drawings of 105 x
            105 are resized.
        data_seed: Seed of the choice of drawings.
        batch_size: Examples per training step over all replicas.
        memory: `MemoryLimits` of decoded images; None for its defaults.
        data_dir: Folder of prepared TFDS data sets.

    Returns:
        A `TaskStream` "omniglot_<number of tasks>" of grey uint8 images
        `(image_size, image_size, 1)`, black (0) on white, not standardised.
        14 to 55 classes per task.

    Raises:
        UserError: If Omniglot is damaged or cannot be prepared, an alphabet
            is unknown, or a character has fewer than 20 drawings.
        ValueError: If an argument breaks its rule.

    Note:
        The published program of the LASEM line has counts for Omniglot but no
        loader; size and order here are ours (28 x 28 as in Vinyals et al.,
        "Matching networks for one shot learning", 2016).

    Reference:
        Lake, Salakhutdinov, Tenenbaum, Science 2015.
    """
    sources = [
        tfds_source.open_split(
            "omniglot",
            split,
            data_dir,
            (image_size, image_size, 1),
            memory=memory,
        )
        for split in _PARTS[part]
    ]
    counts = (*OMNIGLOT_SIZES[data_percent], _TEST)
    found = {}
    for source in sources:
        for alphabet, characters in _alphabets(source).items():
            found[alphabet] = (source, characters)
    tasks, held = [], HeldTasks(memory)
    for alphabet in _chosen(alphabets, found):
        source, characters = found[alphabet]
        pools = _pools(source, characters, data_seed)
        splits = held.add(
            pools.take(characters, counts, alphabet, *held.next())
        )
        class_names = [source.class_names[c] for c in characters]
        tasks.append(
            assemble_task(
                len(tasks),
                _task_name(alphabet),
                class_names,
                splits,
                UNSTANDARDISED,
                tasks,
            )
        )
    return TaskStream(f"omniglot_{len(tasks)}", tasks, batch_size)


def _alphabets(source):
    """`{alphabet: class indices of its characters}`, alphabets by name.

    A class is called "<alphabet>_<number>". All alphabets have a name in both
    parts, but drawings in one.
    """
    members = {}
    for label in np.unique(source.labels).tolist():
        alphabet, _, number = source.class_names[label].rpartition("_")
        members.setdefault(alphabet, []).append((int(number), label))
    return {
        alphabet: [label for _, label in sorted(members[alphabet])]
        for alphabet in sorted(members)
    }


def _chosen(alphabets, found):
    if alphabets is None:
        return sorted(found)
    unknown = [name for name in alphabets if name not in found]
    if unknown:
        raise UserError(
            f"omniglot_stream.alphabets: no alphabet {', '.join(unknown)}. "
            f"Known are: {', '.join(sorted(found))}."
        )
    return alphabets


def _task_name(alphabet):
    """Task names hold no brackets; "Japanese_(hiragana)" has some."""
    return "".join(c for c in alphabet if c.isalnum() or c in "_-.")


def _pools(source, characters, data_seed):
    pools = {}
    for label in characters:
        mine = shuffled(source, label, data_seed)
        test, validation, train = np.split(mine, (_TEST, _TEST + 2))
        pools[label] = (train, validation, test)
    remedy = "Lower omniglot_stream.data_percent."
    return ClassPools((source,) * 3, pools, remedies=(remedy, remedy))
