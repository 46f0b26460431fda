"""A model that a Python program gives, as a backbone."""

from __future__ import annotations

import hashlib
import json
import re
import typing
from typing import Annotated

import gin
import keras
import numpy as np
from absl import logging

from tfcl.arguments import checked, within
from tfcl.errors import UserError
from tfcl.models import start_files
from tfcl.models.backbones.whole_model import (
    require_images,
    require_one_way,
    up_to_features,
)
from tfcl.models.layer_names import with_own_names
from tfcl.models.start_weights import note_source
from tfcl.models.variables import leaf_layers

if typing.TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tfcl.types import Shape


class GivenModel:
    """Backbone function of a live Keras model, such as one of
    `keras.applications`.

    The model itself is never changed: every call copies it, weights included,
    up to its features. A run keeps a copy in its folder `start/` and begins
    with that whenever it goes on, whatever weights the program gives then.

    Args:
        model: Functional or sequential `keras.Model` with one input and one
            output. If it ends in a dense layer (a classifier), what goes into
            that is the features; a line of the log says so. For another layer
            give `keras.Model(model.input, layer.output)`, and for a dense one
            `keras.layers.Identity()` behind it.
        norm_momentum: Largest share of the moving statistics that a step of
            batch norm keeps. Keras' networks have 0.99 and more, which is made
            for thousands of steps: after a hundred, a task would be answered
            by statistics of other images. None leaves the model's own.

    Raises:
        UserError: If it is another kind of model.

    Attributes:
        model: As given.
        name: Of the model, made safe for the names of files; without the
            number that Keras gives to models that have no name.
    """

    @checked
    def __init__(
        self,
        model: keras.Model,
        norm_momentum: Annotated[float, within("[0, 1)")] | None = 0.9,
    ):
        shown = getattr(model, "name", type(model).__name__)
        require_one_way(model, f"The backbone '{shown}' must be")
        self.model = model
        # Another process may have counted otherwise.
        plain = re.sub(r"^(functional|sequential)_\d+$", r"\1", shown)
        self.name = re.sub(r"\W+", "_", plain)
        self._norm_momentum = norm_momentum
        self._told: set[str] = set()

    def __repr__(self):
        return f"GivenModel({self.name})"

    def __deepcopy__(self, memo):
        # gin copies what it gives out, and one model is enough.
        return self

    def __call__(self, image_shape: Shape) -> keras.Model:
        """A copy of the model up to its features.

        Args:
            image_shape: `(height, width, channels)` of the input.

        Returns:
            As of `keras_file`. Its weights are start values unless
            `TaskTraining.pretrained` is False.

        Raises:
            UserError: If the model does not take such images, does not end in
                features, has code or layers that a file cannot hold, or other
                layers than the copy of the run.
        """
        built = []

        def build():
            built.append(self._backbone(image_shape, tells=True))
            return built[0]

        kept = start_files.built(self.name, build)
        if not built:
            self._compare(kept, image_shape)
        # Of its own, since the run writes the other one down later.
        return _noted(_copied(kept), self.name)

    def _backbone(self, image_shape, tells=False):
        shown = f"The model '{self.name}'"
        require_images(self.model, image_shape, shown)
        copy = self._copy()
        self._hasten(copy, tells)
        # By names that do not depend on what the program made before.
        return with_own_names(
            lambda: up_to_features(
                copy,
                None,
                self.name,
                shown,
                "Give keras.Model(model.input, layer.output) of another layer.",
            )
        )

    def _hasten(self, model, tells):
        """Has moving statistics follow a task of few steps."""
        largest = self._norm_momentum
        slow = [
            layer
            for layer in leaf_layers(model)
            if isinstance(layer, keras.layers.BatchNormalization)
            and largest is not None
            and layer.momentum > largest
        ]
        for layer in slow:
            layer.momentum = largest
        if slow and tells:
            logging.info(
                "Model '%s': a step of its %d batch norms keeps %g of their "
                "moving statistics, less than the model's own, which is slow "
                "for small tasks (GivenModel.norm_momentum).",
                self.name,
                len(slow),
                largest,
            )

    def _copy(self):
        # Without what a compiled model or a class of one's own adds to it.
        graph = keras.Model(self.model.inputs, self.model.outputs)
        try:
            return _copied(graph)
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise UserError(
                f"The model '{self.name}' cannot be copied as a run keeps it "
                f"({reason}). Give a model of Keras' own layers without "
                "Lambda, or register its layers by "
                "keras.saving.register_keras_serializable."
            ) from error

    def _compare(self, kept, image_shape):
        """Says, of weights once, how the model differs from a run's copy."""
        given = self._backbone(image_shape)
        if _structure(given) != _structure(kept):
            raise UserError(
                f"The model '{self.name}' has other layers than the one that "
                "the run began with, and a run cannot change the network that "
                "its tasks start from. Give that model, or begin a run with "
                "the new one in another folder."
            )
        digest = _digest(kept)
        if digest not in {_digest(given), *self._told}:
            self._told.add(digest)
            logging.warning(
                "The model '%s' has other weights than the one that the run "
                "began with: the run goes on from its own copy.",
                self.name,
            )


@gin.configurable(denylist=["image_shape"])
def given_model(image_shape: Shape, name: str = gin.REQUIRED) -> keras.Model:
    """The copy that a run keeps of a model that a Python program gave.

    So the commands can predict and go on without that program.

    Args:
        image_shape: `(height, width, channels)` of the input.
        name: `GivenModel.name`.

    Returns:
        As of `GivenModel`.

    Raises:
        UserError: Outside of such a run.
    """

    def build():
        raise UserError(
            f"The model '{name}' was given by a Python program, and this run "
            "has no copy of it. Start the run by that program; a gin file "
            "takes a model out of a file: TaskTraining.backbone = @keras_file."
        )

    kept = start_files.built(name, build)
    require_images(kept, image_shape, f"The model '{name}'")
    return _noted(kept, name)


def backbone_function(given: Any, owner: str) -> Callable[..., Any]:
    """A function to a backbone, of what a user gives.

    Args:
        given: Such a function, returned as it is, or a `keras.Model`.
        owner: Class of the argument, for the message.

    Raises:
        ValueError: If it is None.
        UserError: See `GivenModel`.
    """
    if given is None:
        raise ValueError(
            "Argument `backbone` must be a Keras model, or a function from "
            "`image_shape` to one that ends in features. From Python: "
            f"{owner}(backbone=model). In a gin file: {owner}.backbone = "
            "@keras_file, or another of gin/networks. Received: backbone=None"
        )
    return GivenModel(given) if isinstance(given, keras.Model) else given


def _noted(backbone, name):
    note_source(backbone, f"the weights of the model '{name}'")
    return backbone


def _copied(model):
    """A model as a file would give it back, code in it refused."""
    config = json.loads(model.to_json())
    copy = keras.saving.deserialize_keras_object(config, safe_mode=True)
    copy.set_weights(model.get_weights())
    return copy


def _digest(model):
    """Of all weights, to tell whether others are the same."""
    digest = hashlib.sha256()
    for value in model.get_weights():
        digest.update(np.asarray(value).tobytes())
    return digest.hexdigest()


def _structure(model):
    """What a model is made of, whatever its layers are called."""
    return _unnamed(json.loads(model.to_json())["config"])


def _unnamed(config):
    """A model's configuration with its layers' numbers for their names."""
    numbers = {
        layer["config"]["name"]: number
        for number, layer in enumerate(config["layers"])
    }

    def changed(value):
        if isinstance(value, list):
            if value and isinstance(value[0], str) and len(value) == 3:
                return [numbers.get(value[0], value[0]), *value[1:]]
            return [changed(each) for each in value]
        if not isinstance(value, dict):
            return value
        if "layers" in value:
            return _unnamed(value)
        # Of a layer, perhaps inside another one; a dtype's has no such key.
        left_out = "name" if "trainable" in value else None
        return {k: changed(v) for k, v in value.items() if k != left_out}

    layers = []
    for layer in config["layers"]:
        own = changed(layer["config"])
        if isinstance(own, dict):  # Else an inner model.
            own.pop("name", None)  # Of an input.
        nodes = changed(layer.get("inbound_nodes"))
        layers.append([layer["class_name"], own, nodes])
    ends = [changed(config.get(f"{end}_layers")) for end in ("input", "output")]
    return [layers, ends]
