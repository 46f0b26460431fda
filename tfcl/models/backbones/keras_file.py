"""A user's own model, out of a `.keras` file, as a backbone."""

from __future__ import annotations

import os
import typing

import gin
import keras

from tfcl.arguments import StartFile
from tfcl.errors import UserError
from tfcl.models import start_files
from tfcl.models.surgery.rewire import maker

if typing.TYPE_CHECKING:
    from tfcl.types import Shape


@gin.configurable(denylist=["image_shape"])
def keras_file(
    image_shape: Shape,
    path: StartFile = gin.REQUIRED,
    features: str | None = None,
) -> keras.Model:
    """The model of a file up to its features.

    Code inside the file (lambda layers) is not run.

    Args:
        image_shape: `(height, width, channels)` of the input.
        path: Of a `.keras` file with a functional or sequential model. Its
            images are those of the stream, standardised as the stream says.
        features: Name of the layer whose output a task's head sees. None
            takes the model's output or, if it ends in a dense layer (a
            classifier, also with a layer of its own for the activation),
            what goes into that.

    Returns:
        A functional `keras.Model`: `(batch, height, width, channels)` to
        `(batch, features)`; a map is averaged over height and width. All its
        layers are trainable, whatever the file says. Its weights are start
        values with `TaskTraining.pretrained = True` only.

    Raises:
        UserError: If the file cannot be read, holds another kind of model,
            does not take such images, or has no such layer.
    """
    model = _loaded(path)
    wanted = tuple(model.inputs[0].shape[1:])
    if len(wanted) != 3 or any(
        w not in (None, n) for w, n in zip(wanted, image_shape)
    ):
        raise UserError(
            f"The model of '{path}' takes images of {wanted}, those of the "
            f"stream are {tuple(image_shape)}. Set the stream's image_size, "
            "or choose another model."
        )
    outputs = _features(model, path, features)
    if len(outputs.shape) == 4:
        outputs = keras.layers.GlobalAveragePooling2D(name="features")(outputs)
    if len(outputs.shape) != 2:
        raise UserError(
            f"The model of '{path}' ends in {tuple(outputs.shape)}; features "
            "are (batch, features) or a map (batch, height, width, channels). "
            "Name another layer by keras_file.features."
        )
    name = os.path.splitext(os.path.basename(path))[0]
    backbone = keras.Model(
        model.inputs[0], outputs, name=name.replace("/", "_")
    )
    _set_trainable(backbone)
    return backbone


def _set_trainable(model):
    """All layers, also of inner models: what is trained, the method says."""
    model.trainable = True
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            _set_trainable(layer)
        layer.trainable = True  # A model does not always tell its layers.


def _loaded(path):
    found = start_files.given(path)
    if not os.path.isfile(found):
        raise UserError(
            f"keras_file.path: no file '{path}'. Give a file written by "
            "model.save('name.keras')."
        )
    try:
        model = keras.models.load_model(found, compile=False, safe_mode=True)
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"keras_file.path: '{path}' cannot be read ({reason}). Save a "
            "model of Keras' own layers by model.save('name.keras')."
        ) from error
    if len(getattr(model, "inputs", None) or ()) != 1 or (
        len(model.outputs) != 1
    ):
        raise UserError(
            f"keras_file.path: '{path}' must hold a functional or sequential "
            "model with one input and one output. Received: "
            f"{type(model).__name__}"
        )
    return model


def _features(model, path, name):
    if name is None:
        return _before_classifier(model.outputs[0])
    names = [layer.name for layer in model.layers]
    if name not in names:
        raise UserError(
            f"keras_file.features: the model of '{path}' has no layer "
            f"'{name}'. Its last layers: {', '.join(names[-8:])}."
        )
    return model.get_layer(name).output


def _before_classifier(outputs):
    """What goes into the dense layer at the end, if there is one."""
    activations = (keras.layers.Activation, keras.layers.Softmax)
    layer, inputs = maker(outputs)
    while isinstance(layer, activations):
        layer, inputs = maker(inputs)
    return inputs if isinstance(layer, keras.layers.Dense) else outputs
