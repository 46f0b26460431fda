"""What every layer must pass, written once."""

import json
import pathlib
import tempfile

import keras
import numpy as np
import tensorflow as tf


def run_layer_test(
    layer_class,
    init_kwargs,
    input_shape,
    expected_output_shape,
    expected_output_dtype="float32",
    expected_mixed_dtype="bfloat16",
    idle_variables=(),
    saved=True,
):
    """Holds a layer to what Keras and tfcl ask of layers.

    Args:
        layer_class: Class of the layer.
        init_kwargs: Its arguments.
        input_shape: With the batch size, of one float32 input.
        expected_output_shape: With the batch size.
        expected_output_dtype: Under the policy float32.
        expected_mixed_dtype: Under the policy mixed_bfloat16; "float32" for
            layers that end in logits.
        idle_variables: Names of trainable variables that the layer's start
            values leave without influence; their gradient may be zero.
        saved: False for layers that live only inside a program and need no
            configuration.
    """
    keras.utils.set_random_seed(1)
    inputs = np.random.default_rng(0).normal(size=input_shape)
    inputs = inputs.astype(np.float32)

    def make(**kwargs):
        return layer_class(**{**init_kwargs, **kwargs})

    layer = _has_the_stated_output(
        make, inputs, expected_output_shape, expected_output_dtype
    )
    _lists_its_variables(layer)
    _sends_gradients(layer, inputs, idle_variables)
    _takes_any_batch_size(layer, inputs)
    _works_in_mixed_precision(make, inputs, layer, expected_mixed_dtype)
    if saved:
        _survives_its_configuration(layer)
        _survives_a_file(layer, inputs)


def _has_the_stated_output(make, inputs, shape, dtype):
    layer = make()
    layer.build(inputs.shape)
    variables = len(layer.variables)
    outputs = layer(inputs)
    assert len(layer.variables) == variables, "call made variables"
    assert tuple(outputs.shape) == tuple(shape)
    assert keras.backend.standardize_dtype(outputs.dtype) == dtype
    assert _fits(layer.compute_output_shape(inputs.shape), shape)
    symbolic = layer(keras.Input(batch_shape=inputs.shape))
    assert _fits(symbolic.shape, shape)
    assert symbolic.dtype == dtype
    return layer


def _fits(stated, shape):
    """Whether a stated shape, None for any size, agrees with a real one."""
    return len(stated) == len(shape) and all(
        s in (None, n) for s, n in zip(stated, shape)
    )


def _lists_its_variables(layer):
    if not hasattr(layer, "owned_variables"):
        return
    listed = layer.owned_variables()
    names = [name for name, _, _ in listed]
    assert len(set(names)) == len(names), names
    mine = sorted(id(v) for v in layer.weights)
    assert sorted(id(v) for _, v, _ in listed) == mine
    for name, variable, initializer in listed:
        assert callable(initializer), name
        value = initializer(tuple(variable.shape), dtype=variable.dtype)
        assert tuple(value.shape) == tuple(variable.shape), name
        found = keras.backend.standardize_dtype(value.dtype)
        assert found == variable.dtype, name


def _sends_gradients(layer, inputs, idle_variables):
    trainable = layer.trainable_variables
    with tf.GradientTape() as tape:
        outputs = layer(inputs)
        # A plain sum would not see what softmax and its like do.
        weights = np.random.default_rng(1).normal(size=outputs.shape)
        loss = tf.reduce_sum(outputs * tf.cast(weights, outputs.dtype))
    gradients = tape.gradient(loss, [v.value for v in trainable])
    for variable, gradient in zip(trainable, gradients):
        assert gradient is not None, f"no gradient for {variable.path}"
        gradient = gradient.numpy()
        assert np.isfinite(gradient).all(), variable.path
        assert gradient.any() or variable.name in idle_variables, variable.path


def _takes_any_batch_size(layer, inputs):
    traces = []

    @tf.function(
        input_signature=[tf.TensorSpec((None, *inputs.shape[1:]), tf.float32)]
    )
    def traced(batch):
        traces.append(batch.shape)
        return layer(batch)

    for size in (1, len(inputs)):
        batch = inputs[:size]
        np.testing.assert_allclose(
            traced(batch), layer(batch), rtol=1e-6, atol=1e-6
        )
    assert len(traces) == 1


def _works_in_mixed_precision(make, inputs, layer, dtype):
    mixed = make(dtype="mixed_bfloat16")
    mixed.build(inputs.shape)
    kept = ("float32", "int32", "int64", "uint8")
    assert all(v.dtype in kept for v in mixed.variables)
    mixed.set_weights(layer.get_weights())
    outputs = mixed(inputs)
    assert keras.backend.standardize_dtype(outputs.dtype) == dtype
    outputs, exact = np.float32(outputs), np.float32(layer(inputs))
    # bfloat16 keeps 8 bits of each factor; sums of many of them stay within
    # a few such steps of the largest output.
    real = np.abs(exact) < 1e8  # masked logits are far below
    largest = np.abs(exact[real]).max()
    np.testing.assert_allclose(outputs[real], exact[real], atol=largest * 2**-5)


def _survives_its_configuration(layer):
    config = layer.get_config()
    again = type(layer).from_config(config)
    assert again.get_config() == config
    json.dumps(keras.saving.serialize_keras_object(layer))


def _survives_a_file(layer, inputs):
    generator = np.random.default_rng(2)
    for variable in layer.trainable_variables:
        variable.assign(generator.normal(size=variable.shape))
    tensor = keras.Input(inputs.shape[1:])
    model = keras.Model(tensor, layer(tensor))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "layer.keras"
        model.save(path)
        again = keras.models.load_model(path)
    for found, wanted in zip(again.get_weights(), model.get_weights()):
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(again(inputs), model(inputs))
