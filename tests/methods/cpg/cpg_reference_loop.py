"""The loops of CPG and PackNet as the published program runs them.

Plain eager loops over tfcl's layers, optimizers and pruner, on the small
network of the golden runs: an executable specification of what the methods do
in every phase. `CPGRun` and `PackNetRun` keep what the golden files hold.
"""

import numpy as np
import tensorflow as tf

from tests.methods.cpg.cpg_mini_network import MiniNetwork, masked_names
from tfcl.layers.masked.straight_through import (
    owned_gradient,
    picks_of,
    score_gradient,
    straight_through,
)
from tfcl.optimizers.adam_torch import AdamTorch
from tfcl.optimizers.magnitude_pruning import (
    GradualSparsity,
    is_event,
    prune_at_once,
    prune_gradually,
    sparsity_at,
)
from tfcl.optimizers.sgd_nesterov import SGDNesterov

_WEIGHT_DECAY = 4e-5


class _Run:
    """What both methods share: data, batches, steps, records."""

    def __init__(self, data, dtype, picks):
        self.data = data
        self.dtype = dtype
        self.hp = {
            key[3:]: data[key].item() for key in data if key.startswith("hp/")
        }
        self.records = {}
        self.states = {}
        start = self.golden("A1_finetune/start")
        self.masked = masked_names(start)
        shapes = [start[name]["w"].shape for name in (*self.masked, "cls")]
        *self.first_units, self.classes = [shape[-1] for shape in shapes]
        self.image_shape = data["t1/x_train"].shape[1:]
        self.net = self.network(self.first_units, picks)
        self.net.assign(start)

    def network(self, units, picks=True):
        return MiniNetwork(
            self.image_shape,
            self.masked,
            units,
            self.classes,
            self.dtype,
            picks,
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
        images = self.data[f"t{task}/x_{split}"].astype(self.dtype)
        return tf.constant(images), self.data[f"t{task}/y_{split}"]

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
        """Loss and the gradients of effective kernels and plain variables."""
        groups = [
            [v.value for v in group]
            for group in (self.net.kernels, self.net.plain)
        ]
        with tf.GradientTape() as tape:
            logits = self.net.logits(images, training=True)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            )
        return loss, tape.gradient(loss, groups)

    def step(self, task, images, labels):
        """Forward, backward, treatment of gradients, optimizers."""
        loss, (effective, plain) = self.gradients(images, labels)
        self.record("loss", float(loss))
        picking = self.adam is not None
        parts = zip(effective, self.net.kernels, self.net.owners)
        treated = [
            straight_through(g, w, a, task, _WEIGHT_DECAY, picking)
            for g, w, a in parts
        ]
        self.sgd.apply([*(kernel for kernel, *_ in treated), *plain])
        if picking:
            self.adam.apply([scores for _, scores in treated])

    def assign_owners(self, owners):
        for variable, value in zip(self.net.owners, owners):
            variable.assign(value)


class CPGRun(_Run):
    """Task 1, task 2 with picking again, task 3 in a wider network."""

    def __init__(self, data, dtype="float64"):
        super().__init__(data, dtype, picks=True)

    def run(self):
        hp = self.hp
        self.net.claim(1)
        self.net.use(1)
        self.begin_phase("A1_finetune", hp["lr"])
        self._finetune(1, hp["e_ft"])
        self._prune("A2_prune", 1, hp["sp1"])
        self.early = {1: self._logits(self.net, 1)}

        kernel = self.golden("B1_finetune/start")["cls"]["w"]
        self.states["B1_finetune", "start"] = self.net.state()
        self.net.begin_task(2, kernel)
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
        _, (effective, _) = self.gradients(images, labels)
        self.net.assign(state)  # The norms have moved.
        raw, treated = {}, {}
        for layer, gradient in zip(self.net.masked, effective):
            kernel, owner = layer.kernel, layer.owner
            picks = tf.cast(picks_of(layer.scores), gradient.dtype)
            # As published: of all weights, whoever owns them.
            gw, gp = gradient * picks, gradient * kernel
            raw[layer.name] = {"w": gw, "pig": gp}
            treated[layer.name] = {
                "w": owned_gradient(gw, kernel, owner, task, _WEIGHT_DECAY),
                "pig": score_gradient(gp, owner, task),
            }
            # What trains follows from the gradient of the product at once.
            own, scores = straight_through(
                gradient, kernel, owner, task, _WEIGHT_DECAY
            )
            np.testing.assert_array_equal(own, treated[layer.name]["w"])
            np.testing.assert_array_equal(scores, treated[layer.name]["pig"])
        self.states[self.phase, "graw"] = raw
        self.states[self.phase, "gmask"] = treated

    def _prune(self, phase, task, target):
        """Gradual pruning; the scores rest."""
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
        self.net.use(2)
        self.begin_phase(
            "B3_retrain", self.hp["lr_prune"], self.hp["lr_mask_re"]
        )
        self.validate(2)
        self._finetune(2, self.hp["e_re"])

    def _grow(self, pruned):
        fresh = self.golden("C1_finetune/fresh")
        units = [fresh[name]["w"].shape[-1] for name in self.masked]
        self.net = self.network(units)
        kernels = {name: fresh[name]["w"] for name in self.masked}
        self.net.grow_from(pruned, kernels)
        self.phase = "C1_finetune"
        # The file shows the owners before the free weights are claimed.
        self.net.classifier.kernel.assign(fresh["cls"]["w"])
        self.snapshot("start")
        self.net.begin_task(3, fresh["cls"]["w"])
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
        super().__init__(data, dtype, picks=False)

    def run(self):
        self.net.claim(1)
        self.net.use(1)
        self._train("A1_finetune", 1, self.hp["lr"], self.hp["e_ft"])
        self._prune("A2_prune", 1)
        self.early = {1: self._logits(1)}
        own = {name: self.net.state()[name] for name in self.net.layers}

        kernel = self.golden("B1_finetune/start")["cls"]["w"]
        self.net.begin_task(2, kernel)
        self._train("B1_finetune", 2, self.hp["lr"], self.hp["e_ft"])
        self._prune("B2_prune", 2)
        self.logits = {2: self._logits(2)}

        for arrays in own.values():  # The kernels serve from where they are.
            if "owner" in arrays:
                del arrays["owner"], arrays["w"]
        self.net.assign(own)
        self.net.use(1)
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
