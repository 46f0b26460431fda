"""Networks of `keras.applications` as backbones, and their classifiers."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import typing

import gin
import keras
import numpy as np

from tfcl.errors import UserError
from tfcl.layers.reprogram.colour_transform import ColourTransform
from tfcl.models import start_files
from tfcl.models.empty_maps import refuse_empty_maps
from tfcl.models.start_weights import note_source
from tfcl.models.variables import give_weights
from tfcl.types import StartFile

if typing.TYPE_CHECKING:
    from tfcl.types import Shape


_IMAGENET = "imagenet"
_DEVIATIONS = (0.229, 0.224, 0.225)  # Of ImageNet's pixels / 255.


@gin.configurable(denylist=["image_shape"])
def keras_application(
    image_shape: Shape,
    network: str = gin.REQUIRED,
    weights: StartFile | None = None,
    mean: float | tuple = 0.0,
    std: float | tuple = 1.0,
) -> keras.Model:
    """A network of `keras.applications` up to its pooled features.

    The network receives its images as its weights expect them, whatever the
    stream's convention: the first layer undoes the stream's standardisation
    and applies the network's own.

    Args:
        image_shape: `(height, width, 3)` of the input.
        network: Name in `keras.applications`, such as "ResNet50".
        weights: "imagenet" downloads Keras' own, a path reads a file of
            weights without the top, None draws new ones. They are start
            values unless `TaskTraining.pretrained` is False.
        mean: Mean that the stream subtracts from pixels / 255, a number or
            one per channel.
        std: Deviation by which it divides them, likewise.

    Returns:
        A functional `keras.Model`: `(batch, height, width, 3)` to
        `(batch, features)`, the mean of the last map.

    Raises:
        UserError: If the weights cannot be had, or the images are too small
            for the network.
        ValueError: If there is no such network, the images have not 3
            channels, or an argument breaks its rule.

    Note:
        It has no `width`, so methods cannot let it grow. Its ResNet50 has the
        stride in the first 1 x 1 convolution of a block and biases in the
        convolutions, other than `cpg_resnet`.
    """
    if image_shape[-1] != 3:
        raise ValueError(
            "Networks of keras.applications take images of 3 channels; the "
            "stream has to bring its own to that. Received: "
            f"image_shape={tuple(image_shape)}"
        )
    transform = _from_standardised(_factory(network), mean, std)

    def build():
        inputs = keras.Input(image_shape)
        model = _built(
            network,
            "keras_application.weights",
            weights,
            include_top=False,
            input_tensor=transform(inputs),
            pooling="avg",
        )
        return keras.Model(inputs, model.outputs[0], name=network.lower())

    if weights == _IMAGENET:
        model = start_files.built(network, build)
    else:
        model = build()
    if weights is not None:
        note_source(model, f"the weights '{weights}' of {network}")
    return model


@gin.configurable
def application_classifier(
    network: str = gin.REQUIRED, weights: StartFile = _IMAGENET
) -> keras.Model:
    """The last layer of a network of `keras.applications`.

    Its 1,000 classes come in the order of `imagenet2012`. Nothing is read
    before it is asked for.

    Args:
        network: As of `keras_application`.
        weights: "imagenet", or a path to weights with the top.

    Returns:
        Function without arguments to its kernel `(features, classes)` and
        bias `(classes,)`, float32 arrays. It raises a `UserError` if the
        weights cannot be had, and a `ValueError` if the network does not end
        in a dense layer with a bias.

    Raises:
        ValueError: If an argument breaks its rule.
    """
    _factory(network)
    if weights is None:
        raise ValueError(
            "Argument `weights` must be 'imagenet' or a path: a classifier "
            "without training is of no use. Received: weights=None"
        )
    return functools.partial(_classifier, network, weights)


def _classifier(network, weights):
    argument = "application_classifier.weights"
    model = _built(network, argument, weights, include_top=True)
    last = model.layers[-1]
    if not isinstance(last, keras.layers.Dense) or not last.use_bias:
        raise ValueError(
            f"Argument `network`: {network} does not end in a dense layer "
            "with a bias, so that it has no classifier for a task's head. "
            f"Choose another, such as ResNet50. Received: {last.name}"
        )
    return tuple(last.get_weights())


def _factory(network):
    """The function of `keras.applications` of this name."""
    known = [
        name
        for name, value in vars(keras.applications).items()
        if name[0].isupper()
        and callable(value)
        and "include_top" in inspect.signature(value).parameters
    ]
    if network not in known:
        raise ValueError(
            "Argument `network` must be one of keras.applications: "
            f"{', '.join(sorted(known))}. Received: network={network!r}"
        )
    return getattr(keras.applications, network)


def _built(network, argument, weights, **kwargs):
    factory, found = _factory(network), weights
    if weights not in (None, _IMAGENET):
        found = start_files.given(weights)
    if found not in (None, _IMAGENET) and not os.path.isfile(found):
        raise UserError(
            f"{argument}: no file '{weights}'. Give 'imagenet' (a download), "
            "or a path to a file that Keras has published for "
            f"{network} or written by save_weights."
        )
    try:
        model = factory(weights=found, **kwargs)
        refuse_empty_maps(model)
    except Exception as error:
        # A failed download is a plain Exception in Keras.
        if weights is None or not _can_be_built(factory, kwargs):
            _refuse_images(network, kwargs, error)
            raise
        raise UserError(
            f"{argument}: the weights '{weights}' of {network} cannot be had "
            f"or do not fit ({_brief(error)}). 'imagenet' needs the internet; "
            "without it give the path of the file."
        ) from error
    if weights != _IMAGENET:
        _square_deviations(model)
    return model


def _square_deviations(model):
    """Has EfficientNets normalise alike from a file and from a download.

    Keras' files hold deviations where its layer takes variances. A further
    layer makes up for that, but only if `weights` is "imagenet".
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            mean, variance, count = layer.get_weights()
            if np.allclose(variance.ravel(), _DEVIATIONS, rtol=1e-5):
                give_weights(layer, [mean, variance**2, count])


def _can_be_built(factory, kwargs):
    """Whether weights alone are to blame for a failure."""
    try:
        refuse_empty_maps(factory(weights=None, **kwargs))
    except ValueError:
        return False
    return True


def _refuse_images(network, kwargs, error):
    images = kwargs.get("input_tensor")
    if images is not None:
        raise UserError(
            f"{network} cannot take images of {tuple(images.shape[1:])} "
            f"({_brief(error)}). Set the stream's image_size, to 224 or more "
            "for most networks, or choose another network."
        ) from error


def _brief(error):
    return " ".join(str(error).split())[:200] or type(error).__name__


def _from_standardised(factory, mean, std):
    """From the stream's convention to what a network expects.

    Every network's rule is affine per pixel, so that its values for black,
    red, green and blue say all.
    """
    probes = np.zeros((4, 1, 1, 3), np.float32)
    probes[1:, 0, 0] = 255.0 * np.eye(3)
    rule = sys.modules[factory.__module__].preprocess_input
    black, *colours = rule(probes).reshape(4, 3).astype(np.float64)
    levels = (np.array(colours) - black) / 255.0
    mean, std = (255.0 * np.broadcast_to(value, 3) for value in (mean, std))
    return ColourTransform(
        std[:, None] * levels, mean @ levels + black, name="colours"
    )
