"""The loops of CPG and PackNet as the published program runs them.

Plain eager loops over tfcl's layers, optimizers and pruner, on the small
network of the golden runs: an executable specification of what the methods do
in every phase. `CPGRun` and `PackNetRun` keep what the golden files hold.
"""

import keras
import numpy as np
import tensorflow as tf

from tfcl.layers.masked_conv2d import MaskedConv2D
from tfcl.layers.masked_dense import MaskedDense
from tfcl.layers.masked_kernel import FIXED, NONE, SCORES
from tfcl.layers.unbiased_batch_norm import UnbiasedBatchNorm
from tfcl.models.growing_chain import NEW, regrown, unit_view
from tfcl.optimizers.adam_torch import AdamTorch
from tfcl.optimizers.magnitude_pruning import (
    GradualSparsity,
    is_event,
    prune_at_once,
    prune_gradually,
    sparsity_at,
)
from tfcl.optimizers.owned_weights import (
    claimed,
    owned_gradient,
    score_gradient,
    without_foreign,
)
from tfcl.optimizers.sgd_nesterov import SGDNesterov

_WEIGHT_DECAY = 4e-5
MASKED = ("conv1", "conv2", "conv3", "fc1", "fc2")
_NAMES = {
    "w": "kernel",
    "b": "bias",
    "gamma": "gamma",
    "beta": "beta",
    "mean": "moving_mean",
    "var": "moving_variance",
    "owner": "owner",
    "pig": "scores",
}


class MiniNetwork:
    """Three convolutions, two dense layers, one classifier.

    Args:
        units: Channels of the convolutions and units of the dense layers.
        classes: Outputs of the classifier.
        dtype: Of all layers.
    """

    def __init__(self, image_shape, units, classes, dtype, picking=SCORES):
        self.units = tuple(units)
        self.below = (image_shape[-1], *units[:-1])
        options = {"dtype": dtype, "picking": picking}
        hidden = inputs = keras.Input(image_shape, dtype=dtype)
        for k, filters in enumerate(units[:3], start=1):
            hidden = MaskedConv2D(
                filters,
                3,
                padding="same",
                use_bias=False,
                name=f"conv{k}",
                **options,
            )(hidden)
            norm = UnbiasedBatchNorm(name=f"bn{k}", dtype=dtype)
            hidden = keras.layers.ReLU(dtype=dtype)(norm(hidden))
            hidden = keras.layers.MaxPooling2D(2, dtype=dtype)(hidden)
        hidden = keras.layers.Flatten(dtype=dtype)(hidden)
        for k, width in enumerate(units[3:], start=1):
            hidden = MaskedDense(
                width, activation="relu", name=f"fc{k}", **options
            )(hidden)
        self.trunk = keras.Model(inputs, hidden)
        self.classifier = keras.layers.Dense(classes, name="cls", dtype=dtype)
        self.classifier.build(hidden.shape)
        self.layers = {
            layer.name: layer
            for layer in (*self.trunk.layers, self.classifier)
            if layer.weights
        }
        self.masked = [self.layers[name] for name in MASKED]
        self.kernels = [layer.kernel for layer in self.masked]
        self.owners = [layer.owner for layer in self.masked]
        self.scores = [la.scores for la in self.masked if la.scores is not None]

    @property
    def plain(self):
        """What SGD trains besides the kernels."""
        taken = {id(v) for v in (*self.kernels, *self.scores)}
        return [
            variable
            for layer in self.layers.values()
            for variable in layer.trainable_variables
            if id(variable) not in taken
        ]

    def logits(self, images, training=False):
        return self.classifier(self.trunk(images, training=training))

    def begin_task(self, task, kernel, picking):
        """Claims what is free, picks everything, takes a new classifier."""
        self.claim(task)
        self.pick_all()
        self.use(task, picking)
        self.classifier.kernel.assign(kernel)
        self.classifier.bias.assign(np.zeros(kernel.shape[-1]))

    def claim(self, task):
        for owner in self.owners:
            owner.assign(claimed(owner, task))

    def pick_all(self):
        for layer in self.masked:
            if layer.scores is not None:
                start = np.full(layer.scores.shape, layer.initial_score)
                layer.scores.assign(start)

    def use(self, task, picking):
        for layer in self.masked:
            layer.task.assign(task)
            layer.picking = picking

    def zero_free(self, task):
        for kernel, owner in zip(self.kernels, self.owners):
            kernel.assign(without_foreign(kernel, owner, task))

    def state(self):
        """`{layer: {golden name: array}}`."""
        return {
            name: {
                short: getattr(layer, attribute).numpy()
                for short, attribute in _NAMES.items()
                if getattr(layer, attribute, None) is not None
            }
            for name, layer in self.layers.items()
        }

    def assign(self, state):
        for name, arrays in state.items():
            for short, value in arrays.items():
                getattr(self.layers[name], _NAMES[short]).assign(value)

    def grow_from(self, old, fresh):
        """Old units lead, what is new has its fresh values.

        Args:
            old: The `MiniNetwork` before it grew.
            fresh: `{layer name: kernel}`.
        """
        for name, below, units, old_below, old_units in zip(
            MASKED, self.below, self.units, old.below, old.units
        ):
            layer, before = self.layers[name], old.layers[name]
            sources = [_sources(old_below, below), _sources(old_units, units)]

            def grown(old_value, value, old_below=old_below, sources=sources):
                view = unit_view(old_value, old_below)
                return regrown(view, *sources, value)

            layer.kernel.assign(grown(before.kernel.numpy(), fresh[name]))
            zeros = np.zeros(layer.owner.shape, np.uint8)
            layer.owner.assign(grown(before.owner.numpy(), zeros))
        for name, layer in old.layers.items():
            if name in MASKED or name.startswith("bn"):
                for variable in layer.weights:
                    if len(variable.shape) == 1:  # Biases and norms.
                        _lead(self.layers[name], variable)

    def narrow(self, task, state, units):
        """The network of a task that was learned before the growth.

        Args:
            task: Its number.
            state: Its own values: scores, biases, norms, classifier.
            units: Units of the layers when it was learned.
        """
        shape = self.trunk.input_shape[1:]
        kernel = state["cls"]["w"]
        dtype = self.classifier.dtype
        small = MiniNetwork(shape, units, kernel.shape[-1], dtype)
        for name, inputs, outputs in zip(MASKED, small.below, small.units):
            layer = self.layers[name]
            layer.task.assign(task)
            scores = np.zeros(layer.scores.shape)
            own = state[name].get("pig")
            window = tuple(slice(n) for n in own.shape)
            scores[window] = own
            layer.scores.assign(scores)
            small.layers[name].kernel.assign(
                layer.served_kernel(inputs, outputs)
            )
        masks = ("w", "owner", "pig")
        small.assign(
            {
                name: {
                    short: value
                    for short, value in arrays.items()
                    if name == "cls" or short not in masks
                }
                for name, arrays in state.items()
            }
        )
        return small


def _sources(old, new):
    return [*range(old), *[NEW] * (new - old)]


def _lead(layer, variable):
    found = next(v for v in layer.weights if v.name == variable.name)
    value = found.numpy()
    value[: variable.shape[0]] = variable.numpy()
    found.assign(value)


class _Run:
    """What both methods share: data, batches, steps, records."""

    def __init__(self, data, dtype, picking):
        self.data = data
        self.dtype = dtype
        self.hp = {
            key[3:]: data[key].item() for key in data if key.startswith("hp/")
        }
        self.records = {}
        self.states = {}
        start = self.golden("A1_finetune/start")
        shapes = [start[name]["w"].shape for name in (*MASKED, "cls")]
        *self.first_units, self.classes = [shape[-1] for shape in shapes]
        self.image_shape = data["t1/x_train"].shape[1:]
        self.net = self.network(self.first_units, picking)
        self.net.assign(start)

    def network(self, units, picking=SCORES):
        return MiniNetwork(
            self.image_shape, units, self.classes, self.dtype, picking
        )

    def golden(self, prefix):
        """`{layer: {name: array}}` of the file; the classifier is `cls`."""
        found = {}
        for key, value in self.data.items():
            if key.startswith(f"{prefix}/"):
                layer, name = key[len(prefix) + 1 :].split("/")
                layer = "cls" if layer.startswith("cls") else layer
                found.setdefault(layer, {})[name] = value
        return found

    def images(self, task, split):
        pictures = self.data[f"t{task}/x_{split}"].astype(self.dtype)
        return tf.constant(pictures), self.data[f"t{task}/y_{split}"]

    def begin_phase(self, phase, rate, score_rate=None):
        """New optimizers; no state crosses phases."""
        self.phase = phase
        self.records[phase] = {
            name: [] for name in ("loss", "val_acc", "ratio", "n_free")
        }
        self.sgd = SGDNesterov(rate)
        self.sgd.build([*self.net.kernels, *self.net.plain])
        self.adam = None
        if score_rate is not None:
            self.adam = AdamTorch(score_rate)
            self.adam.build(self.net.scores)

    def record(self, name, value):
        self.records[self.phase][name].append(value)

    def snapshot(self, when):
        self.states[self.phase, when] = self.net.state()

    def validate(self, task):
        images, labels = self.images(task, "val")
        found = np.argmax(self.net.logits(images), axis=-1)
        self.record("val_acc", float(np.mean(found == labels)))

    def batches(self, task):
        """In the stored order, the last one short."""
        images, labels = self.images(task, "train")
        size = self.hp["bs"]
        for first in range(0, len(labels), size):
            yield images[first : first + size], labels[first : first + size]

    def gradients(self, images, labels):
        """Loss and the raw gradients of kernels, plain variables, scores."""
        scores = self.net.scores if self.adam is not None else []
        groups = [
            [v.value for v in group]
            for group in (self.net.kernels, self.net.plain, scores)
        ]
        with tf.GradientTape() as tape:
            logits = self.net.logits(images, training=True)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            )
        return loss, tape.gradient(loss, groups)

    def step(self, task, images, labels):
        """Forward, backward, treatment of gradients, optimizers."""
        loss, (kernels, plain, scores) = self.gradients(images, labels)
        self.record("loss", float(loss))
        owners = self.net.owners
        kernels = [
            owned_gradient(g, w, a, task, _WEIGHT_DECAY)
            for g, w, a in zip(kernels, self.net.kernels, owners)
        ]
        self.sgd.apply([*kernels, *plain])
        if self.adam is not None:
            self.adam.apply(
                [score_gradient(g, a, task) for g, a in zip(scores, owners)]
            )

    def assign_owners(self, owners):
        for variable, value in zip(self.net.owners, owners):
            variable.assign(value)


class CPGRun(_Run):
    """Task 1, task 2 with picking again, task 3 in a wider network."""

    def __init__(self, data, dtype="float64"):
        super().__init__(data, dtype, SCORES)

    def run(self):
        hp = self.hp
        self.net.claim(1)
        self.net.use(1, NONE)
        self.begin_phase("A1_finetune", hp["lr"])
        self._finetune(1, hp["e_ft"])
        self._prune("A2_prune", 1, hp["sp1"])
        self.early = {1: self._logits(self.net, 1)}

        kernel = self.golden("B1_finetune/start")["cls"]["w"]
        self.states["B1_finetune", "start"] = self.net.state()
        self.net.begin_task(2, kernel, SCORES)
        self.begin_phase("B1_finetune", hp["lr"], hp["lr_mask"])
        self._note_first_gradients(2)
        self._finetune(2, hp["e_ft"])
        self._prune("B2_prune", 2, hp["sp2"])
        self.early[2] = self._logits(self.net, 2)

        pruned = self.net
        self._pick_again()
        self._grow(pruned)
        self.logits = {
            1: self._old_logits(1, "A2_prune"),
            2: self._old_logits(2, "B2_prune"),
        }
        return self

    def _finetune(self, task, epochs):
        for _ in range(epochs):
            for images, labels in self.batches(task):
                self.step(task, images, labels)
            self._end_epoch(task)
        self.snapshot("end")

    def _end_epoch(self, task):
        """What is free is zeroed by the evaluation, not before."""
        self.net.zero_free(task)
        self.validate(task)

    def _note_first_gradients(self, task):
        images, labels = next(self.batches(task))
        state = self.net.state()
        _, (kernels, _, scores) = self.gradients(images, labels)
        self.net.assign(state)  # The norms have moved.
        parts = zip(MASKED, self.net.kernels, self.net.owners, kernels, scores)
        raw, treated = {}, {}
        for name, kernel, owner, gw, gp in parts:
            raw[name] = {"w": gw, "pig": gp}
            treated[name] = {
                "w": owned_gradient(gw, kernel, owner, task, _WEIGHT_DECAY),
                "pig": score_gradient(gp, owner, task),
            }
        self.states[self.phase, "graw"] = raw
        self.states[self.phase, "gmask"] = treated

    def _prune(self, phase, task, target):
        """Gradual pruning; the scores rest."""
        self.net.use(task, FIXED)
        self.begin_phase(phase, self.hp["lr_prune"])
        self.validate(task)
        batches = list(self.batches(task))
        ramp = GradualSparsity(0.0, target, 0, len(batches), self.hp["freq"])
        schedule, last = ramp.vector(), 0
        for epoch in range(self.hp["e_pr"]):
            for number, (images, labels) in enumerate(batches):
                self.step(task, images, labels)
                at = epoch * len(batches) + number
                last = at if is_event(at, schedule) else last
                self.assign_owners(
                    prune_gradually(
                        self.net.kernels, self.net.owners, task, at, schedule
                    )
                )
                self.record("ratio", float(sparsity_at(last, schedule)))
                free = [int(np.sum(a.numpy() == 0)) for a in self.net.owners]
                self.record("n_free", sum(free))
            if epoch == 0:
                self.snapshot("ep1")
            self._end_epoch(task)
        self.snapshot("end")

    def _pick_again(self):
        """Another network, from the pruned one; owners stay."""
        self.net = self.network(self.first_units)
        self.net.assign(self.states["B2_prune", "end"])
        self.net.pick_all()
        self.net.use(2, SCORES)
        self.begin_phase(
            "B3_retrain", self.hp["lr_prune"], self.hp["lr_mask_re"]
        )
        self.validate(2)
        self._finetune(2, self.hp["e_re"])

    def _grow(self, pruned):
        fresh = self.golden("C1_finetune/fresh")
        units = [fresh[name]["w"].shape[-1] for name in MASKED]
        self.net = self.network(units)
        kernels = {name: fresh[name]["w"] for name in MASKED}
        self.net.grow_from(pruned, kernels)
        self.phase = "C1_finetune"
        # The file shows the owners before the free weights are claimed.
        self.net.classifier.kernel.assign(fresh["cls"]["w"])
        self.snapshot("start")
        self.net.begin_task(3, fresh["cls"]["w"], SCORES)
        self.begin_phase("C1_finetune", self.hp["lr"], self.hp["lr_mask"])
        self._finetune(3, self.hp["e_ft"])
        self.early[3] = self._logits(self.net, 3)

    def _logits(self, net, task):
        return net.logits(self.images(task, "val")[0]).numpy()

    def _old_logits(self, task, phase):
        """Of an old task, from the kernels of the final network."""
        state = self.states[phase, "end"]
        small = self.net.narrow(task, state, self.first_units)
        return self._logits(small, task)


class PackNetRun(_Run):
    """Two tasks without picking; pruned at once, then retrained."""

    def __init__(self, data, dtype="float64"):
        super().__init__(data, dtype, NONE)

    def run(self):
        self.net.claim(1)
        self.net.use(1, NONE)
        self._train("A1_finetune", 1, self.hp["lr"], self.hp["e_ft"])
        self._prune("A2_prune", 1)
        self.early = {1: self._logits(1)}
        own = {name: self.net.state()[name] for name in self.net.layers}

        kernel = self.golden("B1_finetune/start")["cls"]["w"]
        self.net.begin_task(2, kernel, NONE)
        self._train("B1_finetune", 2, self.hp["lr"], self.hp["e_ft"])
        self._prune("B2_prune", 2)
        self.logits = {2: self._logits(2)}

        for arrays in own.values():  # The kernels serve from where they are.
            if "owner" in arrays:
                del arrays["owner"], arrays["w"]
        self.net.assign(own)
        self.net.use(1, NONE)
        self.logits[1] = self._logits(1)
        return self

    def _train(self, phase, task, rate, epochs):
        self.begin_phase(phase, rate)
        for _ in range(epochs):
            for images, labels in self.batches(task):
                self.step(task, images, labels)
                self.net.zero_free(task)
        self.snapshot("end")

    def _prune(self, phase, task):
        self.assign_owners(
            prune_at_once(
                self.net.kernels, self.net.owners, task, self.hp["perc"]
            )
        )
        self.net.zero_free(task)
        self.phase = phase
        self.snapshot("pruned")
        self._train(phase, task, self.hp["lr_prune"], self.hp["e_pr"])

    def _logits(self, task):
        return self.net.logits(self.images(task, "val")[0]).numpy()
