"""Plain networks that serve the tasks of a masked one."""

from __future__ import annotations

import typing

import numpy as np

from tfcl.models.surgery.leading_block import block_of, flattened_positions
from tfcl.models.variables import layer_named, restore

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    import keras

    from tfcl.models.network import TaskNetwork
    from tfcl.types import Values


class ServedNetworks:
    """One plain network per width at which some task was learned.

    Task t computes with `W_t = W [A = t or (1 <= A < t and picked)]` on the
    leading block of the width that it was trained with, in a network of that
    width and with its own biases, norms and head: the same numbers in the same
    shapes, hence the same bits, however wide the network has become.

    Args:
        build: Function from a width to a `TaskNetwork` of plain layers.

    Attributes:
        positions: `{"layer/weight": positions}`, see `flattened_positions`;
            the same at every width.
    """

    def __init__(self, build: Callable[..., Any]):
        self._build = build
        self._networks = {}
        self.positions = {}

    @property
    def widths(self) -> list[float]:
        """The widths there are networks for."""
        return sorted(self._networks)

    def add(self, width: float) -> None:
        """Makes sure that there is a network of a width."""
        if width not in self._networks:
            network = self._build(width)
            if not self._networks:
                self.positions = flattened_positions(network.backbone)
            self._networks[width] = network

    def network(self, width: float) -> TaskNetwork:
        """The `TaskNetwork` of a width."""
        return self._networks[width]

    def blocks(self, width: float, layer: keras.layers.Layer, *arrays) -> Any:
        """Leading blocks of arrays, each in the shape of the plain kernel."""
        plain = layer_named(self.network(width).backbone, layer.name).kernel
        shape = tuple(plain.shape)
        positions = self.positions.get(f"{layer.name}/kernel", 1)
        return [block_of(array, shape, positions) for array in arrays]

    def pack(self, width: float, masked: Sequence[Any], number: int) -> Any:
        """`{layer/picks: bits}` of a task: which earlier weights it picks.

        One bit for each weight of the leading block that belongs to an
        earlier task, in the block's order.

        Args:
            width: Of the task's network.
            masked: Layers with a `MaskedKernel`.
            number: Number of the task, from 1.
        """
        values = {}
        for layer in masked:
            if layer.scores is None:
                continue
            owner, scores = self.blocks(
                width, layer, layer.owner.numpy(), layer.scores.numpy()
            )
            earlier = (owner > 0) & (owner < number)
            picks = scores[earlier] > np.float32(layer.threshold)
            values[f"{layer.name}/picks"] = np.packbits(picks)
        return values

    def serve(
        self, width: float, masked: Sequence[Any], number: int, values: Values
    ) -> None:
        """Gives the network of a width the weights of a task.

        Args:
            width, masked, number: As of `pack`.
            values: Bank values: picks, and all that is not masked.
        """
        network, names = self.network(width), set()
        values = {k: v for k, v in values.items() if k != "width"}
        for layer in masked:
            kernel, owner = self.blocks(
                width, layer, layer.kernel.numpy(), layer.owner.numpy()
            )
            known = (owner > 0) & (owner <= number)
            bits = values.pop(f"{layer.name}/picks", None)
            if bits is not None:
                earlier = known & (owner < number)
                count = np.count_nonzero(earlier)
                known[earlier] = np.unpackbits(bits, count=count)
            plain = layer_named(network.backbone, layer.name).kernel
            served = np.where(known, kernel, np.zeros((), kernel.dtype))
            plain.assign(served)
            names.add(f"{layer.name}/kernel")
        others = [
            owned
            for owned in network.backbone_variables + network.head_variables
            if owned.name not in names
        ]
        restore(others, values, network.head.left_out(values))
        # A head may be wider today than when the task was learned.
        network.head.use_columns(values[f"{network.head.name}/columns"])
