"""`MemoryDense` layers with the configurations of the golden files."""

import json

import numpy as np
import tensorflow as tf

from tfcl.layers.memory.memory_dense import MemoryDense
from tfcl.layers.memory.memory_options import grouped

_SIMILARITIES = {"cosine": "cosine", "euclidean": "euclidean"}
_KEY_UPDATES = {
    "ad_hoc_WTA": "winner",
    "grad_WTA": "gradient_winner",
    None: "gradient",
}


def configuration(data, prefix=""):
    """The JSON configuration of a golden file."""
    return json.loads(str(data[f"{prefix}cfg"]))


def layer(cfg, features, units, keys, memories, dtype="float64"):
    """A built layer with the published names, keys and memories.

    Args:
        cfg: Published configuration; what it leaves out has the published
            defaults.
        features, units: Sizes of input and output.
        keys: `(q, m, d)`.
        memories: `(q, m, u)`.
    """
    options = dict(
        memory_units=cfg["key_mem_units"],
        delta=min(cfg["delta"], cfg["key_mem_units"]),
        shared_keys=cfg.get("shared_keys", True),
        use_bias=cfg.get("bias", True),
        key_size=cfg.get("key_size"),
        projection=cfg.get("psi_fn", "identity"),
        similarity=_SIMILARITIES.get(cfg.get("distance", "cosine"), "dot"),
        bandwidth=cfg.get("sigma_eu", 1.0),
        inverse_temperature=cfg["gamma_alpha"],
        memory_update="winner" if cfg.get("upd_m", "WTA") else "all",
        key_update=_KEY_UPDATES[cfg.get("upd_k", "ad_hoc_WTA")],
        key_rate=cfg["beta_k"],
        scramble=cfg.get("scramble", True),
        match_threshold=cfg["tau_alpha"],
        usage_threshold=cfg["tau_mu"],
        age_threshold=cfg["tau_eta"],
        scramble_score="scaled",
        detach_keys=cfg.get("detach_gradients", True),
        layer_norm="variance" if cfg.get("layer_norm") else None,
    )
    result = MemoryDense(units, **grouped(options), dtype=dtype)
    result.build((None, features))
    result.keys.assign(keys)
    result.memories.assign(np.reshape(memories, result.memories.shape))
    return result


def learned(layer, state, inputs, labels):
    """One forward and backward pass of a batch.

    Returns:
        Logits, loss, `Reading`, and the gradients of memories (dense) and
        keys (None where they are not trained).
    """
    with tf.GradientTape() as tape:
        watched = [state.memories, state.keys]
        tape.watch(watched)
        logits, reading = layer.read(inputs, state)
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        )
    memories, keys = tape.gradient(loss, watched)
    return logits, loss, reading, tf.convert_to_tensor(memories), keys


def optimised(value, gradient, cfg, moments, step):
    """A value after a step of the published optimiser, in its own dtype.

    Args:
        moments: Pair of Adam's moments before the step.
        step: From 1.

    Returns:
        The value and the moments.
    """
    gradient = gradient + cfg["weight_decay"] * value
    if cfg["optimizer"] == "sgd":
        return value - cfg["lr"] * gradient, moments
    step = tf.cast(step, value.dtype)
    mean = 0.9 * moments[0] + 0.1 * gradient
    square = 0.999 * moments[1] + 0.001 * gradient * gradient
    root = tf.sqrt(square / (1.0 - tf.pow(_number(0.999, value), step)))
    change = mean / (1.0 - tf.pow(_number(0.9, value), step)) / (root + 1e-8)
    return value - cfg["lr"] * change, (mean, square)


def _number(value, like):
    return tf.constant(value, like.dtype)
