"""Names of before the rooms are still understood."""

import importlib
import pathlib
import shutil

import pytest

from tests.testing.toy_run import no_figures
from tfcl import configuration
from tfcl.configuration.moved import _NEW_NAMES, current
from tfcl.engine.experiment import Experiment
from tfcl.engine.loop import learn_stream
from tfcl.learner import runs

_FIXTURES = pathlib.Path(__file__).parents[1] / "fixtures"


@pytest.mark.parametrize("module", sorted(set(_NEW_NAMES.values())))
def test_every_new_name_is_a_module(module):
    assert importlib.util.find_spec(module) is not None


def test_names_of_modules_and_of_what_is_in_them_are_translated():
    assert current("tfcl.methods.cpg") == "tfcl.methods.cpg.cpg"
    assert current("tfcl.methods.cpg.CPG") == "tfcl.methods.cpg.cpg.CPG"
    assert current("tfcl.methods.cpg.cpg") == "tfcl.methods.cpg.cpg"
    for old in ("tfcl.methods", "tfcl.methods.online"):
        found = current(f"{old}.replay_buffer.ReplayBuffer")
        assert found == "tfcl.replay.buffer.ReplayBuffer"
    for new in ("tfcl.methods.base", "tfcl.methods.cpg.published_checkpoint"):
        assert current(new) == new
    assert current("LASEM") == "LASEM"
    assert current("my.module.LASEM") == "my.module.LASEM"


def test_a_gin_file_with_old_names_is_read(tmp_path):
    old = tmp_path / "old.gin"
    old.write_text(
        "import tfcl.methods.lasem\n"
        "import tfcl.optimizers.schedules\n"
        "tfcl.methods.lasem.LASEM.prior = 'count'\n"
        "Constant.learning_rate = 1e-3\n"
        "import tfcl.data.folder_stream\n"
        "folder_stream.on_bad_picture = 'skip'\n"
        "X = @scope/tfcl.methods.lasem.LASEM\n"
    )
    configuration.load([str(old)], [])
    found = configuration.bindings()
    assert found["LASEM.prior"] == "'count'"
    assert found["folder_stream.on_bad_image"] == "'skip'"


def test_a_run_begun_by_version_0_1_goes_on_to_its_matrix(tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(_FIXTURES / "run_of_0_1", folder)
    learned = (folder / "tasks/000_zero_one/values.npz").read_bytes()
    runs.load_run(folder)
    run = configuration.build("Experiment.method")
    assert type(run).__module__ == "tfcl.methods.lasem.lasem"
    runs.load_run(folder)
    run = Experiment(folder, data_dir=tmp_path / "data")
    try:
        assert run.journal.position.task == 3
        recorded = [list(visit.row) for visit in run.journal.visits]
        texts = {"config.gin": configuration.asked()}
        run.start(texts)
        with no_figures():
            matrix = learn_stream(run)
    finally:
        run.close()
    lines = (_FIXTURES / "run_of_0_1.csv").read_text().splitlines()
    wanted = [
        [float(cell) for cell in line.split(",")[1:] if cell]
        for line in lines[1:]
    ]
    for k, row in enumerate(recorded):
        assert row == pytest.approx(wanted[k], abs=1e-6)
    # What is learned after the stop hangs on the processor's arithmetic.
    for k, row in enumerate(wanted):
        assert matrix[k, : len(row)] == pytest.approx(row, abs=0.1)
    assert (folder / "tasks/000_zero_one/values.npz").read_bytes() == learned
