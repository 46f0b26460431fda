"""A reservoir in NumPy that follows from keys, for data that stay at hand."""

from collections.abc import Mapping

import numpy as np

from tfcl.arguments import PositiveInt, checked, require
from tfcl.replay.table import Column


class HostReservoir:
    """Keeps the examples with the largest keys.

    With keys drawn uniformly, each example has the same chance, and one that
    has dropped out does not come back. If the keys follow from a seed, so
    does the reservoir: nothing has to be saved for a run that is continued,
    which builds it again. `ReplayBuffer` is the one for streams, inside
    traced steps.

    Args:
        capacity: Examples.
        columns: `{name: Column}`, what is kept of an example.

    Raises:
        ValueError: If `capacity` is not positive.

    Reference:
        Efraimidis, Spirakis, "Weighted random sampling with a reservoir",
        2006, with equal weights.
    """

    @checked
    def __init__(self, capacity: PositiveInt, columns: Mapping[str, Column]):
        self.capacity = capacity
        self._keys = np.zeros(0)
        self._values = {
            name: np.zeros((0, *column.shape), column.dtype)
            for name, column in columns.items()
        }

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, name: str) -> np.ndarray:
        """A column of the examples kept, those of the largest keys first."""
        return self._values[name]

    def insert(
        self, keys: np.ndarray, examples: Mapping[str, np.ndarray]
    ) -> None:
        """Offers examples.

        Args:
            keys: `(n,)`; of equal ones, the example that came first counts
                as the larger.
            examples: `{name: (n, *shape)}` with all columns.

        Raises:
            ValueError: If a column is missing or unknown.
        """
        require(
            set(examples) == set(self._values),
            "examples",
            f"must have the columns {sorted(self._values)}",
            list(examples),
        )
        keys = np.concatenate([self._keys, keys])
        largest = np.argsort(-keys, kind="stable")[: self.capacity]
        self._keys = keys[largest]
        for name, old in self._values.items():
            new = np.asarray(examples[name], old.dtype)
            self._values[name] = np.concatenate([old, new])[largest]
