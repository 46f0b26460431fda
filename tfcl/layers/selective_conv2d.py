"""A convolution whose kernel serves all tasks or one."""

import keras

SHARED = "shared"
TASK = "task"
CHOSEN = "chosen"


@keras.saving.register_keras_serializable(package="tfcl")
class SelectiveConv2D(keras.layers.Conv2D):
    """2-D convolution with a shared kernel, a task's own one, or a choice.

    `y = activation(conv(x, W) + b)` with `(W, b)` the shared pair where the
    layer is shared and the task's pair where it is not. With
    `sharing="chosen"` the layer holds both pairs and the variable
    `selection` (1 = shared) says which one counts for the active task.

    Args:
        filters: Number of output channels.
        kernel_size: Integer or pair.
        sharing: "shared", "task" or "chosen".
        **kwargs: As for `keras.layers.Conv2D`. `kernel_initializer` and
            `bias_initializer` serve both pairs.

    Input shape: `(batch, height, width, channels)`.
    Output shape: as `keras.layers.Conv2D`.

    Raises:
        ValueError: If `sharing` is none of the three words.

    Reference:
        Lee, Behpour, Eaton, "Sharing Less is More: Lifelong Learning in Deep
        Networks with Selective Layer Transfer", ICML 2021, hard-parameter
        sharing with a transfer configuration.
    """

    def __init__(self, filters, kernel_size, sharing=SHARED, **kwargs):
        if sharing not in (SHARED, TASK, CHOSEN):
            raise ValueError(
                "Argument `sharing` must be 'shared', 'task' or 'chosen'. "
                f"Received: sharing={sharing!r}"
            )
        super().__init__(filters, kernel_size, **kwargs)
        self.sharing = sharing

    @classmethod
    def lift(cls, conv, sharing):
        """The selective form of a `keras.layers.Conv2D`."""
        return cls(**{**conv.get_config(), "sharing": sharing})

    def build(self, input_shape):
        channels = input_shape[self._channel_axis]
        shape = self.kernel_size + (channels // self.groups, self.filters)
        self.shared_kernel = self.shared_bias = None
        self.task_kernel = self.task_bias = None
        self.selection = None
        if self.sharing in (SHARED, CHOSEN):
            self.shared_kernel, self.shared_bias = self._pair("shared", shape)
        if self.sharing in (TASK, CHOSEN):
            self.task_kernel, self.task_bias = self._pair("task", shape)
        if self.sharing == CHOSEN:
            self.selection = self.add_weight(
                name="selection",
                shape=(),
                initializer="ones",
                trainable=False,
                autocast=False,
            )
        self.built = True

    @property
    def _channel_axis(self):
        return -1 if self.data_format == "channels_last" else 1

    def _pair(self, owner, kernel_shape):
        kernel = self.add_weight(
            name=f"{owner}_kernel",
            shape=kernel_shape,
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        bias = None
        if self.use_bias:
            bias = self.add_weight(
                name=f"{owner}_bias",
                shape=(self.filters,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        return kernel, bias

    @property
    def effective_pair(self):
        """Kernel and bias (None without) that count for the active task."""
        if self.sharing == SHARED:
            return self.shared_kernel, self.shared_bias
        if self.sharing == TASK:
            return self.task_kernel, self.task_bias
        shared = keras.ops.greater(self.selection, 0.5)
        kernel = keras.ops.where(shared, self.shared_kernel, self.task_kernel)
        bias = None
        if self.use_bias:
            bias = keras.ops.where(shared, self.shared_bias, self.task_bias)
        return kernel, bias

    def call(self, inputs):
        return self.apply_pair(inputs, *self.effective_pair)

    def apply_pair(self, inputs, kernel, bias):
        """`activation(conv(inputs, kernel) + bias)`."""
        outputs = self.convolution_op(inputs, kernel)
        if bias is not None:
            shape = [1, 1, 1, 1]
            shape[self._channel_axis] = -1
            outputs = keras.ops.add(outputs, keras.ops.reshape(bias, shape))
        if self.activation is not None:
            outputs = self.activation(outputs)
        return outputs

    @property
    def shared_variables(self):
        """Shared kernel and bias, as far as they exist."""
        pair = (self.shared_kernel, self.shared_bias)
        return [v for v in pair if v is not None]

    @property
    def task_variables(self):
        """The task's kernel and bias, as far as they exist."""
        pair = (self.task_kernel, self.task_bias)
        return [v for v in pair if v is not None]

    def owned_variables(self):
        """`(name, variable, initializer)` of each variable."""
        kernel, bias = self.kernel_initializer, self.bias_initializer
        named = [
            ("shared_kernel", self.shared_kernel, kernel),
            ("shared_bias", self.shared_bias, bias),
            ("task_kernel", self.task_kernel, kernel),
            ("task_bias", self.task_bias, bias),
            ("selection", self.selection, keras.initializers.Ones()),
        ]
        return [item for item in named if item[1] is not None]

    def adopt(self, conv):
        """Takes over the weights of the `Conv2D` it stands for."""
        for own in (self.shared_variables, self.task_variables):
            for variable, value in zip(own, conv.get_weights()):
                variable.assign(value)

    def lower(self):
        """The plain `Conv2D` of the active task, and its weights."""
        config = self.get_config()
        del config["sharing"]
        pair = [v for v in self.effective_pair if v is not None]
        weights = [keras.ops.convert_to_numpy(v) for v in pair]
        return keras.layers.Conv2D.from_config(config), weights

    def get_config(self):
        return {**super().get_config(), "sharing": self.sharing}

    # `Conv2D` saves the one kernel that it has; here every variable counts.

    def save_own_variables(self, store):
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store):
        keras.layers.Layer.load_own_variables(self, store)
