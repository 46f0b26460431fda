"""Refuses what cannot fit into the machine before it is built."""

from __future__ import annotations

import os
import pathlib

from absl import logging

# Limit of a container, version 2 and 1 of control groups.
_LIMITS = (
    pathlib.Path("/sys/fs/cgroup/memory.max"),
    pathlib.Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def machine_memory() -> int | None:
    """Bytes of main memory that this process may use at most.

    Returns:
        Integer, or None where the system does not tell.
    """
    found = []
    try:
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        found.append(pages)
    except (AttributeError, OSError, ValueError):
        pass  # No POSIX system.
    for path in _LIMITS:
        try:
            found.append(int(path.read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue  # No such file, or "max": no limit.
    found = [size for size in found if size > 0]
    return min(found) if found else None


def require_memory(
    needed: int, num_configurations: int, batch_size: int
) -> None:
    """Logs what a search needs; refuses what the machine does not have.

    Args:
        needed: Bytes of the activations of one step.
        num_configurations: Configurations searched at once.
        batch_size: Images per step.

    Raises:
        ValueError: If `needed` exceeds the machine's memory.
    """
    logging.info(
        "Activations of %d configurations, batch %d: %.3f GB per step.",
        num_configurations,
        batch_size,
        needed / 1e9,
    )
    memory = machine_memory()
    if memory is not None and needed > memory:
        raise ValueError(
            f"The {num_configurations} configurations of this backbone need "
            f"{needed / 1e9:.1f} GB for the activations of one step of "
            f"{batch_size} images, the machine has {memory / 1e9:.1f} GB. "
            "Choose layers in groups (argument `groups`, e.g. "
            "LASEM.groups = (5, 4, 4, 4) for 17 convolutions), or make the "
            "stream's batch_size smaller."
        )
