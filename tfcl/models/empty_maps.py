"""Maps without a pixel, which no layer can make anything of."""

import keras

from tfcl.models.variables import leaf_layers


def refuse_empty_maps(model: keras.Model) -> None:
    """Refuses a network whose images are too small for one of its layers.

    Newer versions of Keras refuse it themselves; 3.12, the last for Python
    3.10, builds it, and every mean over such a map is not a number.

    Args:
        model: Functional `keras.Model`.

    Raises:
        ValueError: With the layer.
    """
    for layer in leaf_layers(model):
        shape = getattr(getattr(layer, "output", None), "shape", ())
        if 0 in shape[1:]:
            raise ValueError(
                f"Layer '{layer.name}' of '{model.name}' gets images that are "
                f"smaller than its window: its output has shape {shape}. Give "
                "larger images, or another network."
            )
