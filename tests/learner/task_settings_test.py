"""What may differ from task to task, and what belongs to the run."""

import pytest

from tfcl import configuration
from tfcl.learner.task_settings import is_of_tasks, of_tasks
from tfcl.methods import CLR, CPG, PackNet  # noqa: F401  (gin knows them)
from tfcl.optimizers.adam_torch import AdamTorch  # noqa: F401

_STREAM = "@folder_stream"


@pytest.fixture(autouse=True)
def _apart():
    with configuration.apart():
        yield


@pytest.mark.parametrize(
    "key",
    [
        "TaskTraining.epochs",
        "TaskTraining.optimizer",
        "CLR.epochs",
        "PackNet.retraining_epochs",
        "CPG.picking_schedule",
        "finetune/StepDecay.learning_rate",
        "AdamTorch.beta_1",
        "RandomFlip.both",
        "RandomAreaCrop.least",
        "folder_stream.root",
        "folder_stream.batch_size",
    ],
)
def test_training_and_data_are_of_a_task(key):
    assert is_of_tasks(key, _STREAM)


@pytest.mark.parametrize(
    "key",
    [
        "Experiment.method",
        "Experiment.seed",
        "Experiment.stream",
        "TaskTraining.backbone",
        "TaskTraining.hidden_units",
        "TaskTraining.pretrained",
        "CLR.mode",
        "PackNet.epochs_of_nothing",
        "lasem_cnn.channels",
        "other_stream.batch_size",
        "Unheard.of",
    ],
)
def test_network_method_and_seed_are_of_the_run(key):
    assert not is_of_tasks(key, _STREAM)


def test_those_of_tasks_are_taken_out():
    found = of_tasks(
        {
            "Experiment.stream": _STREAM,
            "Experiment.seed": "3",
            "TaskTraining.epochs": "5",
        }
    )
    assert found == {"TaskTraining.epochs": "5"}
