"""Runs from the start values of the published program of Memory Head."""

import numpy as np
import pytest

from benchmarks import memory_head_table, published_starts
from tests.methods.online.online_methods import MLP
from tests.testing import golden
from tfcl.data.streams.point_stream import point_stream
from tfcl.models.online.online_networks import ensemble_network, memory_network


def test_start_values_are_those_of_the_published_run():
    data = golden.load("memory_head/stream_run_modes_cdi_cosine.npz")
    _, units, size = data["K0"].shape
    outputs = data["M0"].shape[-1] // (size + 1)
    network = memory_network(
        (1, 1, size), outputs, memory_units=units, key_rate=0.0
    )
    published_starts.begin(network, published_starts.SEEDS[0])
    (head,) = network.memory_heads
    np.testing.assert_allclose(head.keys, data["K0"], atol=1e-6)
    np.testing.assert_allclose(
        head.memories, data["M0"].reshape(head.memories.shape), atol=1e-7
    )


def test_layers_are_drawn_one_after_another():
    single = MLP((1, 1, 2), 4)
    published_starts.begin(single, 7)
    drawn = np.concatenate(
        [np.ravel(np.transpose(v)) for v in single.variables]
    )
    assert len(np.unique(drawn)) == len(drawn)
    assert np.abs(drawn[: 8 * 3]).max() < 1 / np.sqrt(2)
    # The first copy of an ensemble is the second network of the program.
    copies = ensemble_network((1, 1, 2), 4, MLP, models=2)
    published_starts.begin(copies, 7)
    words = published_starts.Words(7)
    words.uniform((len(drawn),), 1)
    np.testing.assert_allclose(
        np.transpose(copies.variables[0]), words.uniform((8, 2), 2), rtol=1e-6
    )


def test_the_published_command_ends_where_the_program_does(tmp_path):
    """MODES-CDI, the program's three seeds: 0.500 each, forgetting 0.571."""
    stream = point_stream("modes", "cdi", data_dir=str(tmp_path))
    runs = memory_head_table.Runs(
        *memory_head_table._METHODS["MH (published command)"],
        stream.spec(),
        published_starts.begin,
    )
    for seed in published_starts.SEEDS:
        found = runs.run(stream.tasks[0], seed)
        assert found == pytest.approx((0.5, 0.5714), abs=5e-3)
