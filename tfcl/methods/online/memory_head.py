"""Memory Head: a classifier that reads its weights from a memory.

One example x with label y, one key set; `memory_update` and `MemoryDense` are
in `tfcl/layers/memory/`. Numbers are those of this list, and stand beside the
code as well.

    (1)  q = psi(x), for the cosine q / |q|         key_projections.project,
                                                    memory_update.unit_length
    (2)  s_i = q k_i / sqrt(d)                      memory_update.responses
         s_i = exp(-|q - k_i|^2 / (sqrt(d) sigma)), euclidean
    (3)  the delta largest s_i, i_1 that of the winner;
         a = softmax(gamma s)                       MemoryDense.read
    (4)  W = a_1 M_{i_1} + sum_{k > 1} a_k sg(M_{i_k})
                                                    MemoryDense.read
    (5)  o = W [x, 1]                               MemoryDense.read
    (6)  G = dL(o, y) / dM_{i_1}                    OnlineNetwork.learn
    (7)  scrambling: where s_{i_1} (for the cosine without its sqrt(d)) is
         below tau_alpha and a unit has mu < tau_mu and eta >= tau_eta, the
         oldest such unit z gets
         k_z <- q, M_z <- M_{i_1}, mu_z <- 0        memory_update.scrambled
    (8)  the keys' rule (online k-means, MH_ok), w = i_1:
         k_w <- (k_w + beta q) / |k_w + beta q|     memory_update.key_step
         k_w <- k_w + beta s_w (q - k_w) / (sqrt(d) sigma), euclidean
    (9)  counters: mu_w <- mu_w + 1, eta_w <- 0, eta <- eta + 1
                                                    memory_update.counted
    (10) M_{i_1} <- M_{i_1} - rho G                 the optimizer

The function `memory_update.updated` is (7) to (9) in this order; a batch does
all of it at once. `MemoryOptions`, `KeyOptions` and `ScramblingOptions`
(`memory_options`) say what other forms there are: memories of which all blended
units are trained, keys trained by gradients, units drawn anew.
"""

from __future__ import annotations

import typing

import gin

from tfcl.methods.online.online import OnlineLearning

if typing.TYPE_CHECKING:
    from typing import Any

    from tfcl.data.task import StreamSpec


@gin.configurable
class MemoryHead(OnlineLearning):
    """MH, learning a stream online, without replay and without task labels.

    A step reads the memory, (1) to (5) of the list above, takes gradients
    (6), lets the layer scramble, move its keys and count, (7) to (9), and
    then applies the optimizer (10).

    Args:
        network: See `OnlineLearning`; its head is a `MemoryDense`
            (`memory_network`).
        training: See `OnlineLearning`.

    Raises:
        ValueError: At set-up, if the network has no `MemoryDense` head.

    Reference:
        Tiezzi, Becattini, Marullo, Melacci, "Memory Head for Pre-Trained
        Backbones in Continual Learning", CoLLAs 2024.
    """

    def setup(self, spec: StreamSpec, seed: int) -> None:
        super().setup(spec, seed)
        if not self._network.memory_heads:
            raise ValueError(
                "MemoryHead needs a network with a MemoryDense head: bind "
                "MemoryHead.network = @memory_network."
            )

    def bank_notes(self) -> dict[str, Any]:
        scrambles = sum(
            int(head.scrambles.numpy().sum())
            for head in self._network.memory_heads
            if head.scrambling.scramble
        )
        used = {
            f"unit {unit}": int(count)
            for head in self._network.memory_heads[:1]
            if head.scrambling.scramble
            for unit, count in enumerate(head.key_counter.numpy().sum(0))
        }
        return {**super().bank_notes(), "scrambles": scrambles, "wins": used}
