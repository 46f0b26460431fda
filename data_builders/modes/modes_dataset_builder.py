"""MODES: eight Gaussian blobs in the plane, as a TFDS data set."""

import numpy as np

from data_builders import point_streams

# Per class: points per domain, then (centre, standard deviation, seed) of
# both domains.
_BLOBS = (
    (200, ((0.25, 0.25), 0.02, 1234), ((0.2, 0.75), 0.04, 1)),
    (400, ((0.6, 0.65), 0.08, 5678), ((1.0, 0.1), 0.02, 5)),
    (100, ((0.15, 0.5), 0.015, 9101112), ((1.15, 0.75), 0.06, 9)),
    (300, ((0.85, 0.3), 0.03, 13141516), ((0.3, 0.5), 0.015, 13)),
)


class Builder(point_streams.PointStreamBuilder):
    """1,000 training, 500 test and about 250 validation points; see README."""

    def drawn(self):
        points, labels, domains = [], [], []
        for label, (count, *blobs) in enumerate(_BLOBS):
            for domain, (centre, deviation, seed) in enumerate(blobs):
                generator = np.random.RandomState(seed)
                points.append(
                    generator.normal(centre, deviation, size=(count, 2))
                )
                labels += [label] * count
                domains += [domain] * count
        return np.concatenate(points), np.array(labels), np.array(domains)
