"""Small backbones of every make that methods are tried on."""

import functools

import keras

layers = keras.layers


@keras.saving.register_keras_serializable(package="tfcl_tests")
class Scaled(layers.Layer):
    """A factor per channel, and a full matrix over channels: own weights."""

    def build(self, input_shape):
        channels = input_shape[-1]
        self.factor = self.add_weight(
            name="factor", shape=(channels,), initializer="ones"
        )
        self.mixing = self.add_weight(name="mixing", shape=(channels, channels))

    def call(self, inputs):
        return inputs * self.factor + keras.ops.matmul(inputs, self.mixing)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="tfcl_tests")
class Block(keras.Model):
    """An inner model that is no graph."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv = layers.Conv2D(4, 3)

    def build(self, input_shape):
        self.conv.build(input_shape)
        self.built = True

    def call(self, inputs):
        return self.conv(inputs)

    def compute_output_shape(self, input_shape):
        return self.conv.compute_output_shape(input_shape)


@keras.saving.register_keras_serializable(package="tfcl_tests")
class Average(layers.Layer):
    """Adds a running mean of its inputs.

    Args:
        always: Whether inference moves it, too.
    """

    def __init__(self, always=False, **kwargs):
        super().__init__(**kwargs)
        self.always = always

    def build(self, input_shape):
        self.mean = self.add_weight(
            name="mean", shape=(input_shape[-1],), trainable=False
        )

    def call(self, inputs, training=False):
        mean = keras.ops.mean(inputs, axis=(0, 1, 2))
        if training or self.always:
            self.mean.assign(0.9 * self.mean + 0.1 * mean)
        return inputs + self.mean

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "always": self.always}


def _chain(*inner, image_shape):
    return keras.Sequential(
        [keras.Input(image_shape), *inner, layers.GlobalAveragePooling2D()]
    )


def _conv(filters=6, **kwargs):
    return layers.Conv2D(filters, 3, **{"padding": "same", **kwargs})


def _plain(image_shape):
    return _chain(
        _conv(activation="relu"),
        _conv(8, activation="relu"),
        image_shape=image_shape,
    )


def _norms(image_shape):
    return _chain(
        _conv(use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        _conv(8),
        layers.BatchNormalization(),
        layers.ReLU(),
        image_shape=image_shape,
    )


def _residual(image_shape):
    inputs = keras.Input(image_shape)
    hidden = _conv(activation="relu")(inputs)
    inner = layers.BatchNormalization()(_conv()(hidden))
    hidden = layers.ReLU()(layers.Add()([hidden, inner]))
    outputs = layers.GlobalAveragePooling2D()(_conv(8)(hidden))
    return keras.Model(inputs, outputs)


def _depthwise(image_shape):
    return _chain(
        _conv(),
        layers.DepthwiseConv2D(3),
        layers.ReLU(),
        layers.SeparableConv2D(8, 3),
        layers.ReLU(),
        _conv(8),
        image_shape=image_shape,
    )


def _nested(image_shape):
    inputs = keras.Input(image_shape)
    hidden = _conv(activation="relu")(inputs)
    inner = keras.Sequential(
        [
            keras.Input(hidden.shape[1:]),
            _conv(),
            layers.BatchNormalization(),
            layers.ReLU(),
        ]
    )
    outputs = layers.GlobalAveragePooling2D()(_conv(8)(inner(hidden)))
    return keras.Model(inputs, outputs)


def _twice(image_shape):
    inputs = keras.Input(image_shape)
    hidden = _conv(activation="relu")(inputs)
    shared = _conv(activation="relu")
    hidden = shared(shared(hidden))
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(hidden))


def _attention(image_shape):
    inputs = keras.Input(image_shape)
    hidden = _conv(8, strides=2, activation="relu")(inputs)
    tokens = layers.Reshape((-1, 8))(hidden)
    tokens += layers.MultiHeadAttention(2, 4)(tokens, tokens)
    tokens = layers.LayerNormalization()(tokens)
    return keras.Model(inputs, layers.GlobalAveragePooling1D()(tokens))


def _own_weights(image_shape):
    return _chain(
        _conv(), Scaled(), layers.ReLU(), _conv(8), image_shape=image_shape
    )


def _spectral(image_shape):
    return _chain(
        _conv(),
        layers.SpectralNormalization(_conv(8)),
        image_shape=image_shape,
    )


def _statistics(image_shape):
    return _chain(_conv(), Average(), _conv(8), image_shape=image_shape)


def _dropout(image_shape):
    return _chain(
        _conv(activation="relu"),
        layers.SpatialDropout2D(0.3),
        _conv(8, activation="relu"),
        layers.Dropout(0.3),
        image_shape=image_shape,
    )


def _groups(image_shape):
    return _chain(
        _conv(8),
        layers.GroupNormalization(4),
        layers.ReLU(),
        _conv(8),
        layers.GroupNormalization(4),
        layers.ReLU(),
        image_shape=image_shape,
    )


def _next_names(image_shape):
    """Names that Keras gives to the next layers made without one: what a
    loaded model may have."""
    inputs = keras.Input(image_shape)
    hidden = layers.BatchNormalization()(_conv()(inputs))
    hidden = layers.BatchNormalization()(_conv(8)(hidden))
    for count in range(8):
        name = {kind: f"{kind}_{at + count}" for kind, at in _counts().items()}
        gate = layers.Activation("sigmoid", name=name["activation"])(hidden)
        positive = layers.ReLU(name=name["re_lu"])(hidden)
        positive = layers.Multiply(name=name["multiply"])([positive, gate])
        hidden = layers.Average(name=name["average"])([hidden, positive])
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(hidden))


@functools.cache
def _counts():
    """Of Keras, the same whenever a method's backbone is built."""
    kinds = ("re_lu", "activation", "multiply", "average")
    return {kind: keras.backend.get_uid(kind) for kind in kinds}


def _our_names(image_shape):
    """Names that tfcl gives to layers of its own."""
    return _chain(
        _conv(name="conv"),
        layers.BatchNormalization(name="features"),
        layers.ReLU(name="head"),
        _conv(8, name="head_0"),
        layers.BatchNormalization(name="hidden"),
        layers.ReLU(name="banked_head_0"),
        *(
            layers.Activation("linear", name=f"{name}_{ending}")
            for name in ("conv", "head_0")
            for ending in ("units", "attention", "branches", "divided")
            + ("mixed", "gate", "clr", "folded", "banked", "activation")
        ),
        image_shape=image_shape,
    )


def _twins(image_shape):
    """Two inner models whose layers have the same names."""
    hidden = inputs = keras.Input(image_shape)
    for number in (1, 2):
        inner = [
            keras.Input(hidden.shape[1:]),
            _conv(8, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
        ]
        hidden = keras.Sequential(inner, name=f"block_{number}")(hidden)
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(hidden))


def _vgg(image_shape):
    return keras.Sequential(
        [
            keras.Input(image_shape),
            _conv(activation="relu"),
            layers.MaxPooling2D(),
            _conv(8, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10, activation="relu"),
        ]
    )


def _subclassed(image_shape):
    return _chain(_conv(4), Block(), image_shape=image_shape)


def _application(name, image_shape, **kwargs):
    make = getattr(keras.applications, name)
    return make(
        include_top=False,
        weights=None,
        input_shape=image_shape,
        pooling="avg",
        **kwargs,
    )


BACKBONES = {
    "plain": _plain,
    "norms": _norms,
    "residual": _residual,
    "depthwise": _depthwise,
    "nested": _nested,
    "twice": _twice,
    "attention": _attention,
    "own_weights": _own_weights,
    "spectral": _spectral,
    "statistics": _statistics,
    "dropout": _dropout,
    "groups": _groups,
    "vgg": _vgg,
    "next_names": _next_names,
    "our_names": _our_names,
    "twins": _twins,
    "subclassed": _subclassed,
    "mobilenet": functools.partial(_application, "MobileNet", alpha=0.25),
    "mobilenet_v3": functools.partial(_application, "MobileNetV3Small"),
}
"""`{name: function of image_shape}`; applications need 32 pixels."""

LARGE = ("mobilenet", "mobilenet_v3")


def side_of(name):
    """Height and width of the images of a backbone."""
    return 32 if name in LARGE else 8
