"""Methods that find out for every task which layers it shares."""

import abc

from tfcl.layers.transfer.selective_conv2d import CHOSEN
from tfcl.methods.lasem.layer_choice import LayerChoice
from tfcl.methods.lasem.static_transfer import divide_by_layers
from tfcl.methods.lasem.transfers import HardTransfer
from tfcl.methods.network_method import NetworkMethod, added
from tfcl.models.surgery.prefix_tree import chosen_layers
from tfcl.models.surgery.selective import selective_backbone


class SearchingMethod(NetworkMethod):
    """A transfer configuration of its own for every task.

    While a task trains, every convolution has a kernel by the transfer
    mechanism and a task's own kernel; a subclass gathers evidence in its
    steps or phases and says in `best` what is to be shared. At the end of the
    task the choice becomes final (see `LayerChoice`). A task seen again is
    not searched: it goes on training with what was chosen for it.

    Args:
        training: `TaskTraining`.
        transfer: Mechanism of the shared layers, of
            `tfcl.methods.lasem.transfers`; None takes `HardTransfer`.

    Attributes:
        layers: The `SelectiveConv2D`s, input to output.
        choice: `LayerChoice`.
    """

    def __init__(self, training, transfer=None):
        super().__init__(training)
        self.transfer = transfer or HardTransfer()
        self.layers = []
        self.choice = None

    @property
    @abc.abstractmethod
    def best(self):
        """What the evidence favours now: a boolean per layer, True = shared."""

    @property
    def name(self):
        return f"{type(self).__name__}-{self.transfer.name}"

    def make_backbone(self, spec):
        backbone = self.training.backbone(spec)
        return selective_backbone(backbone, self.transfer, lambda depth: CHOSEN)

    def divide(self, network):
        self.layers = chosen_layers(network.backbone)
        divide_by_layers(self, network, self.layers)

    def setup(self, spec, seed):
        super().setup(spec, seed)
        self.choice = LayerChoice(self.layers, self.shared)
        self.state += self.choice.state

    def begin_slot(self, task):
        """Draws the task's own variables, always alike; new optimizers."""
        super().begin_task(task)

    def begin_task(self, task):
        self.begin_slot(task)
        self._begin_sharing(task)

    def resume_task(self, task, values):
        super().resume_task(task, values)
        self._begin_sharing(task)

    def _begin_sharing(self, task):
        self.choice.begin_task(
            lambda owned: self.redraw(owned, "shared", task.index)
        )
        self.transfer.begin_task(self.layers, self.choice.defined.numpy() > 0)

    def phases(self, task):
        if self.seen_again:
            phase = self.training.phase()
            phase.steps = (self.chosen_step,)
            yield phase
        else:
            yield from self.search(task)

    def search(self, task):
        """Generator: the phases of a task that is new."""
        del task
        yield self.training.phase()

    def chosen_step(self, batch):
        """A plain step of the active configuration."""
        return self.step_of(self._trained, batch)

    def penalty(self):
        mechanism = [
            None if penalty is None else layer.selection * penalty
            for layer, penalty in zip(
                self.layers, self.transfer.penalties(self.layers)
            )
        ]
        return added([self.backbone_penalty(), *mechanism])

    def begin_evaluation(self):
        if not self.seen_again:
            self.choice.select(self.best)

    def end_task(self, task):
        self.choice.settle(
            self.choice.sharing if self.seen_again else self.best
        )

    def bank_values(self):
        return self.choice.without_unused(super().bank_values())

    def bank_notes(self):
        return {"configuration": self.choice.name}

    def read_variables(self):
        return self.choice.read_variables()
