"""What goes into some layers of a network, beside what comes out of it."""

from __future__ import annotations

import typing

import keras
import tensorflow as tf

from tfcl.models.surgery.rewire import inlined, rewire

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tfcl.types import Tensor


def kernel_inputs(
    model: keras.Model, layers: Sequence[keras.layers.Layer]
) -> Callable[[Tensor], list[list[Tensor]]]:
    """What goes into some layers of a model that is called in inference.

    Args:
        model: A functional or built sequential model. Inner models are gone
            through.
        layers: Of `model` or its inner models.

    Returns:
        Function from images to a list for each of `layers`, in their order:
        its input at every place where it is called.
    """
    found: dict[int, list] = {id(layer): [] for layer in layers}

    def call(layer, *args, **kwargs):
        if id(layer) in found:
            found[id(layer)].append(args[0])
        return layer(*args, **kwargs)

    again = rewire(inlined(model), call)
    places = [found[id(layer)] for layer in layers]
    seen = keras.Model(again.inputs[0], [*again.outputs, *sum(places, [])])

    def inputs(images):
        _, *flat = seen(images, training=False)
        rest = iter(flat)
        return [[next(rest) for _ in place] for place in places]

    return inputs


def kernel_rows(layer: keras.layers.Layer, inputs: Tensor) -> Tensor:
    """The rows that a layer's kernel is multiplied by.

    Args:
        layer: A `Dense`, or a `Conv2D` without groups, channels last.
        inputs: Of the layer.

    Returns:
        float32 `(rows, d)`: inputs of a dense layer; of a convolution the
        patches under its kernel, as (row, column, channel), so that a kernel
        of the shape `(d, outputs)` maps them to what comes out, but for the
        bias.
    """
    inputs = tf.cast(inputs, tf.float32)
    if isinstance(layer, keras.layers.Conv2D):
        inputs = tf.image.extract_patches(
            inputs,
            sizes=[1, *layer.kernel_size, 1],
            strides=[1, *layer.strides, 1],
            rates=[1, *layer.dilation_rate, 1],
            padding=layer.padding.upper(),
        )
    return tf.reshape(inputs, (-1, inputs.shape[-1]))
