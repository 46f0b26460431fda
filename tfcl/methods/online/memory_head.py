"""Memory Head: a classifier that reads its weights from a memory."""

import gin

from tfcl.methods.online.online import OnlineLearning


@gin.configurable
class MemoryHead(OnlineLearning):
    """MH, learning a stream online, without replay and without task labels.

    A step reads the memory, takes gradients, lets the layer move its keys,
    scramble and count, and then applies the optimizer: `MemoryDense` tells
    how.

    Args:
        network: See `OnlineLearning`; its head is a `MemoryDense`
            (`memory_network`).
        training: `OnlineTraining`.

    Raises:
        ValueError: At set-up, if the network has no `MemoryDense` head.

    Reference:
        Tiezzi, Becattini, Marullo, Melacci, "Memory Head for Pre-Trained
        Backbones in Continual Learning", CoLLAs 2024.
    """

    def setup(self, spec, seed):
        super().setup(spec, seed)
        if not self._network.memory_heads:
            raise ValueError(
                "MemoryHead needs a network with a MemoryDense head: bind "
                "MemoryHead.network = @memory_network."
            )

    def bank_notes(self):
        scrambles = sum(
            int(head.scrambles.numpy().sum())
            for head in self._network.memory_heads
            if head.scramble
        )
        used = {
            f"unit {unit}": int(count)
            for head in self._network.memory_heads[:1]
            if head.scramble
            for unit, count in enumerate(head.key_counter.numpy().sum(0))
        }
        return {**super().bank_notes(), "scrambles": scrambles, "wins": used}
