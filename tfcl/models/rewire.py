"""A model's graph once more, with other calls of the same layers."""

import keras


def rewire(model, call_function, outputs=None):
    """Runs a model's graph again; `call_function` calls each layer.

    The new model has the layers of `model`, hence its variables, and what
    `call_function` adds.

    Args:
        model: A functional or built sequential model.
        call_function: Function `(layer, *args, **kwargs)` that returns the
            layer's outputs, or what is to stand for them.
        outputs: Optional function from the last output to the new model's.

    Returns:
        A functional model.
    """
    if isinstance(model, keras.Sequential):
        # Keras lets nobody else call a sequential model's layers.
        model = keras.Model(model.inputs, model.outputs, name=model.name)
    again = keras.models.clone_model(
        model,
        clone_function=lambda layer: layer,
        call_function=call_function,
    )
    last = again.outputs[0]
    if outputs is not None:
        last = outputs(last)
    return keras.Model(again.inputs[0], last, name=model.name)
