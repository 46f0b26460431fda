"""Streams of points in the plane: order, splits, distributions.

The protocol of MODES and MOONS (Tiezzi et al., "Memory Head for Pre-Trained
Backbones in Continual Learning", CoLLAs 2024; streams of the companion paper
"Continual Neural Computation", ECML-PKDD 2024).
"""

import abc
from typing import ClassVar, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from tfcl.data_builders.own_folder import InOwnFolder

ORDERS = {
    "iid": "One distribution: all points in random order.",
    "ci": "Class-incremental: sorted by class, 4 distributions.",
    "cdi": "Class-domain-incremental: by domain, then class, 8 distributions.",
    "cdid": "As cdi, and inside a distribution by the first coordinate: drift.",
}
# Rows of the drawn points that a split takes.
_ROWS = {
    "train": slice(0, None, 2),
    "validation": slice(1, None, 4),
    "test": slice(3, None, 4),
}
_SEED = 1234  # Of both permutations.


class Stream(NamedTuple):
    """One split in its order.

    Args:
        points: `(n, 2)`, float64, each coordinate in [-1, 1] over the set.
        labels: Class indices, `(n,)`.
        domains: Domain indices, `(n,)`; 0 in `iid` and `ci`, which mix them.
        distributions: Number of the distribution, from 0, `(n,)`.
    """

    points: np.ndarray
    labels: np.ndarray
    domains: np.ndarray
    distributions: np.ndarray


def stream(points, labels, domains, order, split):
    """One split of drawn points as a stream.

    Args:
        points: `(n, 2)`, float64, as drawn: by class and domain.
        labels: `(n,)`, integers.
        domains: `(n,)`, integers.
        order: A key of `ORDERS`.
        split: "train", "validation" or "test".
    """
    low, high = points.min(0), points.max(0)
    points = (points - low) / (high - low) * 2 - 1
    rows = np.arange(len(points))[_ROWS[split]]
    rows = rows[np.random.RandomState(_SEED).permutation(len(rows))]
    points, labels, domains = points[rows], labels[rows], domains[rows]
    place = _PLACES[order](points, labels, domains)
    points, labels, domains = points[place], labels[place], domains[place]
    if order in ("iid", "ci"):
        domains = np.zeros_like(domains)  # Mixed, and published as 0.
    changes = np.diff(labels, prepend=labels[0]) != 0
    changes |= np.diff(domains, prepend=domains[0]) != 0
    number = np.zeros_like(labels) if order == "iid" else np.cumsum(changes)
    if split == "validation":
        # Of the distributions only the first half is validated on; the one of
        # `iid` is cut in the middle.
        half = (number[-1] + 1) // 2
        kept = np.arange(len(rows)) < len(rows) // 2
        kept = number < half if half else kept
        points, labels = points[kept], labels[kept]
        domains, number = domains[kept], number[kept]
    return Stream(points, labels, domains, number)


def _iid(points, labels, domains):
    del labels, domains
    return np.random.RandomState(_SEED).permutation(len(points))


def _by_class(points, labels, domains):
    del points, domains
    return _published_argsort(labels)


def _by_domain_and_class(points, labels, domains):
    del points
    place = _published_argsort(domains)
    parts = [place[domains[place] == domain] for domain in np.unique(domains)]
    return np.concatenate(
        [part[_published_argsort(labels[part])] for part in parts]
    )


def _drifting(points, labels, domains):
    # The last key is the first to count.
    return np.lexsort((points[:, 0], labels, domains))


def _published_argsort(keys):
    """The order of equal keys is that of the published streams.

    They were sorted with NumPy's unstable default. For 8-bit keys that is its
    introsort on every machine (wider ones may be sorted with vector
    instructions), and it gives the published order.
    """
    return np.argsort(keys.astype(np.int8), kind="quicksort")


_PLACES = {
    "iid": _iid,
    "ci": _by_class,
    "cdi": _by_domain_and_class,
    "cdid": _drifting,
}


class PointStreamBuilder(
    InOwnFolder,
    tfds.core.GeneratorBasedBuilder,
    skip_registration=True,  # type: ignore[call-arg]
):
    """What MODES and MOONS share; a subclass draws the points.

    Features:
        point: `(2,)`, float64, in [-1, 1]; the published programs train on it
            as float32.
        label: Class index 0..3.
        domain: 0 or 1; 0 throughout in `iid` and `ci`, which mix the domains.
        distribution: Number of the distribution in the stream, from 0.
        id: "<split>_<place in the stream>", so ids in order give the stream.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict] = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar[list] = [
        tfds.core.BuilderConfig(name=name, description=text)
        for name, text in ORDERS.items()
    ]

    @abc.abstractmethod
    def drawn(self):
        """The points by class and domain, before they are scaled and split.

        Returns:
            `(points, labels, domains)`: `(n, 2)` float64, `(n,)` and `(n,)`
            integers.
        """

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "id": tfds.features.Text(),
                    # As bytes: TFDS rounds other reals to float32.
                    "point": tfds.features.Tensor(
                        shape=(2,),
                        dtype=np.float64,
                        encoding=tfds.features.Encoding.BYTES,
                    ),
                    "label": tfds.features.ClassLabel(num_classes=4),
                    "domain": tfds.features.Scalar(dtype=np.int64),
                    "distribution": tfds.features.Scalar(dtype=np.int64),
                }
            ),
            supervised_keys=("point", "label"),
            homepage="https://github.com/mtiezzi/memory_head",
        )

    def _split_generators(self, dl_manager):
        del dl_manager
        drawn = self.drawn()
        order = self.builder_config.name
        return {
            split: self._generate_examples(split, stream(*drawn, order, split))
            for split in _ROWS
        }

    def _generate_examples(self, split, points):
        for place, row in enumerate(zip(*points)):
            identity = f"{split}_{place:04d}"
            point, label, domain, distribution = row
            yield (
                identity,
                {
                    "id": identity,
                    "point": point,
                    "label": int(label),
                    "domain": int(domain),
                    "distribution": int(distribution),
                },
            )
