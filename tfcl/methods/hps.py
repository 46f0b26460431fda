"""Hard-parameter sharing with a fixed transfer configuration."""

import keras

import gin
from tfcl.layers.selective_conv2d import SHARED, TASK, SelectiveConv2D
from tfcl.methods.network_method import NetworkMethod
from tfcl.methods.transfer_configurations import transfer_configuration
from tfcl.models.lift import lift
from tfcl.models.prefix_tree import configuration_name
from tfcl.models.variables import leaf_layers


@gin.configurable
class HPS(NetworkMethod):
    """Each convolution is shared by all tasks, or every task has its own.

    Shared kernels go on training with every task and are not protected; all
    other layers, the head included, belong to the task.

    Args:
        training: `TaskTraining`.
        configuration: Digits from input to output, 1 = shared ("0011"), a
            name ("top_2"), or a test type of the LASEM programs; see
            `transfer_configuration`.

    Reference:
        Lee, Behpour, Eaton, ICML 2021, hard-parameter sharing baselines.
    """

    def __init__(
        self, training=gin.REQUIRED, configuration: str | int = gin.REQUIRED
    ):
        super().__init__(training)
        self.configuration = configuration
        self.sharing = ()

    def make_trunk(self, spec):
        backbone = self.training.backbone(spec)
        names = [
            layer.name
            for layer in leaf_layers(backbone)
            if isinstance(layer, keras.layers.Conv2D)
        ]
        self.sharing = transfer_configuration(self.configuration, len(names))
        shared = dict(zip(names, self.sharing))

        def selective(conv):
            sharing = SHARED if shared[conv.name] else TASK
            return SelectiveConv2D.lift(conv, sharing)

        return lift(backbone, {keras.layers.Conv2D: selective})

    def divide(self, network):
        shared = {
            id(variable)
            for layer in leaf_layers(network.trunk)
            if isinstance(layer, SelectiveConv2D)
            for variable in layer.shared_variables
        }
        everything = network.trunk_variables + network.head_variables
        self.shared = [v for v in everything if id(v.variable) in shared]
        self.slot = [v for v in everything if id(v.variable) not in shared]

    def bank_notes(self):
        return {"configuration": configuration_name(self.sharing)}
