"""Points in the plane by class and domain: Gaussian blobs and half moons."""

from typing import Any

import numpy as np


def blobs(counts, centres, deviations, seeds):
    """A Gaussian blob per class and domain.

    Args:
        counts: Per class, the points of a domain.
        centres: Per domain and class, `(x, y)`.
        deviations: Per domain and class, the standard deviation.
        seeds: Per domain and class, of NumPy's `RandomState`.

    Returns:
        `(points, labels, domains)`, class by class: `(n, 2)` float64, `(n,)`
        and `(n,)` integers.
    """
    points, labels, domains = [], [], []
    for label, count in enumerate(counts):
        for domain in range(len(centres)):
            generator = np.random.RandomState(seeds[domain][label])
            points.append(
                generator.normal(
                    centres[domain][label],
                    deviations[domain][label],
                    size=(count, 2),
                )
            )
            labels += [label] * count
            domains += [domain] * count
    return np.concatenate(points), np.array(labels), np.array(domains)


def moons(counts, offsets, deviations, seeds):
    """Two half circles per pair of classes and domain, with noise.

    Args:
        counts: Per class, the points of a domain; classes 0 and 1 are the
            outer and the inner moon of one drawing, and so on.
        offsets: Per domain and pair, where the drawing is moved to.
        deviations: Per domain and pair, the standard deviation of the noise.
        seeds: Per domain and pair, of NumPy's `RandomState`.

    Returns:
        As `blobs`, pair by pair.
    """
    points, labels, domains = [], [], []
    for pair in range(len(counts) // 2):
        outer, inner = counts[2 * pair : 2 * pair + 2]
        for domain in range(len(offsets)):
            drawn = _half_circles(outer, inner)
            generator = np.random.RandomState(seeds[domain][pair])
            drawn += generator.normal(
                scale=deviations[domain][pair], size=drawn.shape
            )
            points.append(drawn + offsets[domain][pair])
            labels += [2 * pair] * outer + [2 * pair + 1] * inner
            domains += [domain] * (outer + inner)
    return np.concatenate(points), np.array(labels), np.array(domains)


def _half_circles(outer, inner):
    """Points on two half circles that reach into each other, outer first."""
    upper = np.linspace(0, np.pi, outer)
    lower = np.linspace(0, np.pi, inner)
    return np.concatenate(
        [
            np.stack([np.cos(upper), np.sin(upper)], axis=1),
            np.stack([1 - np.cos(lower), 0.5 - np.sin(lower)], axis=1),
        ]
    )


# The published sets (Tiezzi et al., CoLLAs 2024): arguments of `blobs` and of
# `moons`.
MODES: dict[str, Any] = {
    "counts": (200, 400, 100, 300),
    "centres": (
        ((0.25, 0.25), (0.6, 0.65), (0.15, 0.5), (0.85, 0.3)),
        ((0.2, 0.75), (1.0, 0.1), (1.15, 0.75), (0.3, 0.5)),
    ),
    "deviations": ((0.02, 0.08, 0.015, 0.03), (0.04, 0.02, 0.06, 0.015)),
    "seeds": ((1234, 5678, 9101112, 13141516), (1, 5, 9, 13)),
}
MOONS: dict[str, Any] = {
    "counts": (400, 100, 300, 200),
    "offsets": (((0, 0), (-3, 1)), ((2, 1), (3, -1))),
    "deviations": ((0.08, 0.06), (0.04, 0.03)),
    "seeds": ((1234, 5678), (1, 5)),
}
