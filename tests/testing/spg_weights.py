"""Weights and images of SPG's golden files, drawn as they were."""

import numpy as np


def alexnet_weights(data):
    """Weights and images of "spg/alexnet_*.npz".

    Returns:
        List of (kernel, bias) of c1, c2, c3, fc1, fc2 and the heads, and
        images `(tasks, images, height, width, channels)`; float32.
    """
    height, width, channels = (int(n) for n in data["inputsize_hwc"])
    first, second = height // 8, height // 10
    last = 256 * int(data["smid"]) ** 2
    shapes = [
        (first, first, channels, 64),
        (second, second, 64, 128),
        (2, 2, 128, 256),
        (last, 2048),
        (2048, 2048),
        *((2048, int(classes)) for classes in data["ncls"]),
    ]
    seed = int(data["seed"])
    draws = np.random.RandomState(seed)
    weights = []
    for shape in shapes:
        root = np.sqrt(np.prod(shape[:-1]))
        kernel = draws.uniform(-1.0, 1.0, size=shape) / root
        bias = draws.uniform(-1.0, 1.0, size=shape[-1:]) / root
        weights.append((kernel.astype(np.float32), bias.astype(np.float32)))
    draws = np.random.RandomState(seed + 1)
    tasks = len(data["y"])
    shape = (tasks, int(data["n_images"]), height, width, channels)
    images = draws.standard_normal(shape).astype(np.float32)
    labels = [
        draws.randint(0, int(classes), shape[1])
        for classes in data["ncls"][:tasks]
    ]
    np.testing.assert_array_equal(labels, data["y"])
    return weights, images
