"""MOONS: four pairs of half circles in the plane, as a TFDS data set."""

import numpy as np

from data_builders import point_streams

# Per pair of classes: points of the outer and the inner moon in a domain, then
# (offset, standard deviation of the noise, seed) of both domains.
_PAIRS = (
    ((400, 100), ((0, 0), 0.08, 1234), ((2, 1), 0.04, 1)),
    ((300, 200), ((-3, 1), 0.06, 5678), ((3, -1), 0.03, 5)),
)


class Builder(point_streams.PointStreamBuilder):
    """1,000 training, 500 test and about 250 validation points; see README."""

    def drawn(self):
        points, labels, domains = [], [], []
        for pair, (counts, *drawings) in enumerate(_PAIRS):
            for domain, (offset, deviation, seed) in enumerate(drawings):
                moons = _moons(*counts)
                generator = np.random.RandomState(seed)
                moons += generator.normal(scale=deviation, size=moons.shape)
                points.append(moons + offset)
                labels += [2 * pair] * counts[0] + [2 * pair + 1] * counts[1]
                domains += [domain] * sum(counts)
        return np.concatenate(points), np.array(labels), np.array(domains)


def _moons(outer, inner):
    """Points on two half circles that reach into each other, outer first."""
    upper = np.linspace(0, np.pi, outer)
    lower = np.linspace(0, np.pi, inner)
    return np.concatenate(
        [
            np.stack([np.cos(upper), np.sin(upper)], axis=1),
            np.stack([1 - np.cos(lower), 0.5 - np.sin(lower)], axis=1),
        ]
    )
