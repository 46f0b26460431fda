"""The CPG and PackNet methods against whole runs of the published program.

`cpg_golden_test.py` holds the parts in plain loops to the same files; here the
methods run as in an experiment: traced steps, growth, bank, old networks.
"""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests.methods.cpg.cpg_mini_network import masked_names
from tests.methods.cpg.cpg_test import cpg
from tests.methods.cpg.packnet_test import packnet
from tests.testing import golden, running
from tfcl.data.task import StreamSpec
from tfcl.methods.work import Phase
from tfcl.models.backbones.cpg_vgg import cpg_vgg
from tfcl.optimizers.magnitude_pruning import GradualSparsity
from tfcl.testing import runner_for

_CLOSE = 1e-4  # The methods run in float32.
_VARIABLES = {
    "w": "kernel",
    "b": "bias",
    "mean": "moving_mean",
    "var": "moving_variance",
    "pig": "scores",
}


class _Task:
    """Just what a method asks of a task."""

    def __init__(self, data, number):
        self.index, self.name = number - 1, f"t{number}"
        self.train = running.plain_split(
            data[f"t{number}/x_train"], data[f"t{number}/y_train"]
        )
        self.num_classes = data["A1_finetune/start/cls1/w"].shape[-1]


class Rerun:
    """A golden run by a method, phase for phase.

    Args:
        data: The golden file.
        method: Function from a `backbone` to the method.
    """

    def __init__(self, data, make_method):
        self.data = data
        self.hp = {k[3:]: data[k].item() for k in data if k.startswith("hp/")}
        start = golden.under(data, "A1_finetune/start")
        names = masked_names({key.split("/")[0] for key in start})
        units = {name: start[f"{name}/w"].shape[-1] for name in names}
        layers = []
        for name in names:
            layers += [units[name], "M"] if name.startswith("conv") else []
        self.tasks = {n: _Task(data, n) for n in (1, 2, 3) if self._has(n)}
        backbone = functools.partial(
            cpg_vgg,
            layers=tuple(layers),
            hidden_units=tuple(
                units[name] for name in names if name.startswith("fc")
            ),
        )
        self.method = make_method(backbone)
        shape = data["t1/x_train"].shape[1:]
        classes = tuple(map(str, range(self.tasks[1].num_classes)))
        names = tuple(task.name for task in self.tasks.values())
        spec = StreamSpec(
            "golden", shape, names, (classes,) * len(names), self.hp["bs"]
        )
        self.method.setup(spec, seed=0)
        self.method.recall = lambda index: self.bank[index + 1]
        self.runner = runner_for(self.method, shape, np.float32)
        self.bank, self.early, self.losses = {}, {}, {}

    def _has(self, number):
        return f"t{number}/x_train" in self.data

    def begin(self, number, when=None):
        """Begins a task and takes over the file's start values."""
        self.method.begin_task(self.tasks[number])
        if when is not None:
            self.assign(when)

    def variables(self):
        """`{golden layer/name: variable}` of the network in training."""
        found = {}
        backbone = self.method._network.backbone
        for layer in backbone.layers:
            for prefix, short in (
                ("conv_", "conv"),
                ("norm_", "bn"),
                ("dense_", "fc"),
            ):
                if layer.name.startswith(prefix):
                    number = int(layer.name[len(prefix) :]) + 1
                    for variable in layer.weights:
                        found[f"{short}{number}", variable.name] = variable
        head = self.method.head
        found["cls", "kernel"] = head.kernels[0]
        found["cls", "bias"] = head.biases[0]
        return found

    def entries(self, where):
        """`((layer, variable name), array)` of a state of the file."""
        for key, value in self.data.items():
            if key.startswith(f"{where}/"):
                layer, name = key[len(where) + 1 :].split("/")
                layer = "cls" if layer.startswith("cls") else layer
                yield (layer, _VARIABLES.get(name, name)), value

    def assign(self, where):
        """Takes a state over, but for the weights of earlier tasks."""
        variables = self.variables()
        for name, value in self.entries(where):
            if name[1] == "owner":  # Claimed already.
                continue
            if name[1] == "kernel" and (name[0], "owner") in variables:
                owner = variables[name[0], "owner"].numpy()
                mine = owner == self.method.masked[0].task.numpy()
                value = np.where(mine, value, variables[name].numpy())
            variables[name].assign(value)

    def check(self, where):
        """Holds the network to a state of the file."""
        variables, count = self.variables(), 0
        for name, wanted in self.entries(where):
            found = variables[name].numpy()
            if name[1] == "owner":
                np.testing.assert_array_equal(found, wanted, f"{where} {name}")
            else:
                np.testing.assert_allclose(
                    found, wanted, _CLOSE, _CLOSE, err_msg=f"{where} {name}"
                )
            count += 1
        assert count > len(self.method.masked), where

    def train(self, name, number, step, epochs, rates, after_step=None):
        """A phase in the stored order; free weights are zeroed after epochs."""
        method, split = self.method, self.tasks[number].train
        for optimizer, rate in rates.items():
            method.optimizers[optimizer].learning_rate.assign(rate)
        phase = Phase(name, epochs, rates, steps=(step,))
        size = self.hp["bs"]
        order = np.arange(len(split), dtype=np.int32)
        losses = []
        for epoch in range(epochs):
            for number in range(-(-len(split) // size)):
                sums, *_ = self.runner.train(
                    phase, split, order, number, number + 1, size, [0, 0], False
                )
                losses.append(sums["loss"])
            if epoch == 0 and f"{name}/ep1" in self.prefixes():
                self.check(f"{name}/ep1")
            method.zero_free()
        np.testing.assert_allclose(
            losses, self.data[f"{name}/loss"], _CLOSE, err_msg=name
        )

    def prefixes(self):
        return {"/".join(key.split("/")[:2]) for key in self.data}

    def keep(self, number):
        """Banks a task; its logits now."""
        self.method.end_task(self.tasks[number])
        self.bank[number] = self.method.bank_values()
        self.early[number] = self.logits(number)

    def logits(self, number):
        self.method.activate(self.bank[number], number - 1)
        images = self.data[f"t{number}/x_val"].astype(np.float32)
        return self.method.predict(tf.constant(images)).numpy()

    def check_logits(self, number):
        """Bit-equal to those right after the task, and the file's."""
        logits = self.logits(number)
        np.testing.assert_array_equal(logits, self.early[number])
        wanted = self.data[f"infer/logits_t{number}"]
        np.testing.assert_allclose(logits, wanted, _CLOSE, _CLOSE)


def _cpg(backbone):
    method = cpg(max_width=4.0)
    method.training.make_backbone = backbone
    return method


@pytest.fixture(scope="module", name="cpg_run")
def _cpg_run():
    run = Rerun(golden.load("cpg/cpg_mini_run.npz"), _cpg)
    hp, method = run.hp, run.method
    run.begin(1, "A1_finetune/start")
    run.train(
        "A1_finetune", 1, method.steps.first, hp["e_ft"], {"main": hp["lr"]}
    )
    run.check("A1_finetune/end")
    _prune(run, "A2_prune", 1, hp["sp1"])
    run.keep(1)
    run.begin(2, "B1_finetune/start")
    rates = {"main": hp["lr"], "picks": hp["lr_mask"]}
    run.train("B1_finetune", 2, method.steps.pick, hp["e_ft"], rates)
    run.check("B1_finetune/end")
    _prune(run, "B2_prune", 2, hp["sp2"])
    method._keep()
    run.keep(2)
    method.pick_everything()
    method.reset_optimizers()
    rates = {"main": hp["lr_prune"], "picks": hp["lr_mask_re"]}
    run.train("B3_retrain", 2, method.steps.pick, hp["e_re"], rates)
    run.check("B3_retrain/end")
    method._return()
    run.check("B2_prune/end")
    # The third task begins in the old width, and again in the wider one.
    run.begin(3)
    method.grow(hp["grow"], run.tasks[3])
    return run


def _prune(run, name, number, target):
    method, hp = run.method, run.hp
    method.reset_optimizers()
    steps = -(-len(run.tasks[number].train) // hp["bs"])
    method.steps.begin_ramp(GradualSparsity(0.0, target, 0, steps, hp["freq"]))
    step = method.steps.first_prune if number == 1 else method.steps.prune
    run.train(name, number, step, hp["e_pr"], {"main": hp["lr_prune"]})
    run.check(f"{name}/end")


def test_growth_keeps_what_earlier_tasks_own(cpg_run):
    """The grown network before it is trained, but for what is drawn."""
    variables, checked = cpg_run.variables(), 0
    for name, wanted in cpg_run.entries("C1_finetune/start"):
        found = variables[name].numpy()
        if name[1] == "owner":
            claimed = np.where(wanted == 0, 3, wanted)
            np.testing.assert_array_equal(found, claimed)
            checked += 1
        elif name[1] == "kernel" and name[0] != "cls":
            old = cpg_run.data[f"B2_prune/end/{name[0]}/w"].shape
            block = tuple(slice(count) for count in old)
            np.testing.assert_allclose(
                found[block], wanted[block], _CLOSE, _CLOSE
            )
            fresh = np.array(found)
            fresh[block] = 0.0
            assert np.any(fresh) or old == found.shape
            checked += 1
        elif name[0] != "cls":
            np.testing.assert_allclose(found, wanted, _CLOSE, _CLOSE)
            checked += 1
    # An owner and a kernel of each masked layer; norms and biases besides.
    assert checked > 2 * len(cpg_run.method.masked)


def test_cpg_runs_as_published(cpg_run):
    run = cpg_run
    run.assign("C1_finetune/start")
    rates = {"main": run.hp["lr"], "picks": run.hp["lr_mask"]}
    step = run.method.steps.pick
    run.train("C1_finetune", 3, step, run.hp["e_ft"], rates)
    run.check("C1_finetune/end")
    run.check_logits(1)
    run.check_logits(2)
    run.keep(3)
    run.check_logits(3)


def _packnet(backbone):
    method = packnet()
    method.training.make_backbone = backbone
    return method


def test_packnet_runs_as_published():
    run = Rerun(golden.load("cpg/packnet_mini_run.npz"), _packnet)
    method, hp = run.method, run.hp
    for number, name in ((1, "A"), (2, "B")):
        run.begin(number, f"{name}1_finetune/start")
        step = method.steps.first
        rates = {"main": hp["lr"]}
        run.train(f"{name}1_finetune", number, step, hp["e_ft"], rates)
        run.check(f"{name}1_finetune/end")
        method.prune(hp["perc"])
        if f"{name}2_prune/pruned" in run.prefixes():
            run.check(f"{name}2_prune/pruned")
        rates = {"main": hp["lr_prune"]}
        method.reset_optimizers()
        run.train(f"{name}2_prune", number, step, hp["e_pr"], rates)
        run.check(f"{name}2_prune/end")
        run.keep(number)
    run.check_logits(1)
    run.check_logits(2)
