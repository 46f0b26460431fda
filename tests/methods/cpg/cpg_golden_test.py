"""Whole runs of CPG and PackNet against the published program.

In float64; `cpg_method_golden_test.py` holds the methods to the same files in
float32.
"""

import numpy as np
import pytest

from tests.methods.cpg.cpg_reference_loop import CPGRun, PackNetRun
from tests.testing import golden

# Of losses and logits: rates are float32 in Keras' optimizers. Of states: they
# are stored in float32.
_CLOSE, _STATES_CLOSE = 1e-7, 1e-6
_CPG = (
    "A1_finetune",
    "A2_prune",
    "B1_finetune",
    "B2_prune",
    "B3_retrain",
    "C1_finetune",
)


@pytest.fixture(scope="module", name="cpg")
def _cpg():
    return CPGRun(golden.load("cpg/cpg_mini_run.npz")).run()


@pytest.fixture(scope="module", name="packnet")
def _packnet():
    return PackNetRun(golden.load("cpg/packnet_mini_run.npz")).run()


def _check_states(run, phase):
    """Every array that the file holds of a phase."""
    compared = set()
    for when in ("start", "ep1", "end", "graw", "gmask", "pruned"):
        if (phase, when) not in run.states:
            continue
        state = run.states[phase, when]
        for layer, arrays in run.golden(f"{phase}/{when}").items():
            for name, wanted in arrays.items():
                if (when, layer) == ("start", "cls"):
                    continue  # Given, not computed.
                found = np.array(state[layer][name])
                where = f"{phase}/{when}/{layer}/{name}"
                if name == "owner":
                    np.testing.assert_array_equal(found, wanted, where)
                else:
                    tolerance = _STATES_CLOSE
                    np.testing.assert_allclose(
                        found, wanted, tolerance, tolerance, err_msg=where
                    )
                compared.add((when, layer))
    # Masked layers and the classifier at the end, at least.
    assert compared >= {("end", layer) for layer in (*run.masked, "cls")}


def _check_records(run, phase):
    for name, values in run.records[phase].items():
        wanted = run.data.get(f"{phase}/{name}")
        if wanted is None:
            continue
        exact = name in ("ratio", "n_free", "val_acc")
        np.testing.assert_allclose(
            values,
            wanted,
            rtol=1e-12 if exact else _CLOSE,
            err_msg=f"{phase}/{name}",
        )


@pytest.mark.parametrize("phase", _CPG)
def test_cpg_has_the_published_losses_and_states(cpg, phase):
    _check_records(cpg, phase)
    _check_states(cpg, phase)


def test_cpg_leaves_nothing_of_the_file_out(cpg):
    seen = {f"{phase}/{when}" for phase, when in cpg.states}
    inputs = {"A1_finetune/start", "C1_finetune/fresh"}
    stored = {
        "/".join(key.split("/")[:2]) for key in cpg.data if key.count("/") == 3
    }
    assert stored - inputs <= seen


def test_old_tasks_of_cpg_serve_the_published_logits(cpg):
    tolerance = _CLOSE
    for task in (1, 2):
        # Bit-identical after pruning, picking again, and growth.
        np.testing.assert_array_equal(cpg.logits[task], cpg.early[task])
    for task in (1, 2, 3):
        for suffix in ("", "_early"):
            wanted = cpg.data.get(f"infer/logits_t{task}{suffix}")
            if wanted is not None:
                np.testing.assert_allclose(
                    cpg.early[task], wanted, tolerance, tolerance
                )


@pytest.mark.parametrize(
    "phase", ["A1_finetune", "A2_prune", "B1_finetune", "B2_prune"]
)
def test_packnet_has_the_published_losses_and_states(packnet, phase):
    _check_records(packnet, phase)
    _check_states(packnet, phase)


def test_tasks_of_packnet_serve_the_published_logits(packnet):
    tolerance = _CLOSE
    np.testing.assert_array_equal(packnet.logits[1], packnet.early[1])
    for task in (1, 2):
        np.testing.assert_allclose(
            packnet.logits[task],
            packnet.data[f"infer/logits_t{task}"],
            tolerance,
            tolerance,
        )
