"""Files that are gone: what their names stand for now."""

import re

import gin
import pytest

from tfcl import configuration
from tfcl.configuration import former_names, parts

# One of every kind that the documentation of version 0.1 printed.
_FORMER = {
    "stl_cifar100": "--stream=cifar100_10 --method=individual",
    "snn_stl10": "--stream=stl10_20t --method=fine_tuning",
    "hps_cifar100_20": "--stream=cifar100_20 --method=hps",
    "hps_stl10": "--stream=stl10_20t --method=hps "
    "--gin_bindings=\"CONFIGURATION = 'top_3'\"",
    "lasem_tf_digits": "--stream=digits_5 --method=lasem_tf",
    "lasem_cifar100_order_1": "--stream=cifar100_10_order_1 --method=lasem",
    "lasem_mnist5": "--stream=mnist5 --method=lasem",
    "dfcnn_tc2_cifar100": "--stream=cifar100_10 --method=dfcnn_tc2 "
    "--gin_file=gin/transfers/deconv_tc2_cifar_4.gin",
    "stl_dfcnn_digits": "--stream=digits_5 --method=individual_dfcnn",
    "stl_folders": "--stream=folders --method=individual",
    "frozen_cifar100": "--stream=cifar100_10 --method=frozen_backbone",
    "clr_linear_probe_skill53": "--stream=skill53 --method=linear_probe",
    "clr_joint_folders": "--stream=clr_folders --method=joint_pretrained",
    "clr_scratch_cifar100_resnet20_short": "--stream=clr_cifar100 "
    "--method=individual_pretrained --gin_file=gin/schedules/clr_short.gin "
    '--gin_bindings="WEIGHTS = None" '
    '--gin_bindings="TaskTraining.pretrained = False"',
    "cpg_finetune_cifar100": "--stream=cifar100_superclasses "
    "--method=individual_finetuned",
    "cpg_scratch_faces": "--gin_file=gin/individual_faces.gin",
    "ncl_c20": "--stream=spg_c20 --method=fine_tuning_heads",
    "mtl_c10_short": "--gin_file=gin/joint_c10_short.gin",
    "er_modes_cdi": "--stream=modes_cdi --method=experience_replay",
    "lp_modes_cdi": "--stream=modes_cdi --method=online "
    '--gin_file=gin/networks/linear.gin --gin_bindings="LEARNING_RATE = 1e-2"',
    "rehearsal_digits": "--stream=ci_digits --method=rehearsal",
    "methods/spg_training": "--gin_file=gin/training/spg.gin",
    "methods/clr_finetune": "--gin_file=gin/methods/individual_pretrained.gin",
    "streams/digits_5_tasks": "--gin_file=gin/streams/digits_5.gin",
}


@pytest.fixture(autouse=True)
def no_bindings_left():
    yield
    gin.clear_config()


@pytest.mark.parametrize("name", _FORMER)
def test_a_former_name_is_a_command_now(name):
    assert former_names.command(f"gin/{name}.gin") == _FORMER[name]
    assert not (parts.FOLDER / f"{name}.gin").exists()


@pytest.mark.parametrize("name", [n for n in _FORMER if "/" not in n])
def test_name_and_command_are_the_same_run(name, tmp_path):
    given = ["folder_stream.root = 'x'"] if "folders" in name else []
    given += ["WEIGHTS = 'x'"] if "skill53" in name else []
    given += ["WEIGHTS = None"] if "clr_scratch" in name else []
    own = tmp_path / "own.gin"
    own.write_text(f'include "gin/{name}.gin"\n')
    command = _FORMER[name]
    stream, method = (
        re.search(f"--{flag}=(\\w+)", command) for flag in ("stream", "method")
    )
    named = [stream[1], method[1]] if stream else []
    files = parts.files(re.findall(r"--gin_file=(\S+)", command), *named)
    lines = re.findall(r'--gin_bindings="([^"]+)"', command)
    found = []
    for files_, lines_ in (
        ([f"gin/{name}.gin"], given),
        ([str(own)], given),
        (files, [*lines, *given]),
    ):
        configuration.load(files_, lines_)
        found.append(configuration.bindings())
    assert found[0] == found[1] == found[2]


def test_what_is_still_there_is_read_itself():
    configuration.load(["gin/den_office_home.gin"], [])
    assert gin.query_parameter("EXPANSION/gin.macro.value") == 32


@pytest.mark.parametrize(
    "path", ["gin/stl_nowhere.gin", "stl_digits.gin", "gin/my.txt", "gin/"]
)
def test_other_names_stand_for_nothing(path):
    assert former_names.command(path) is None


def test_every_former_file_stands_for_files_that_exist():
    every = [*former_names._PAIRS, *former_names._RENAMED]
    every += [*former_names._PARTS, *former_names._LINES]
    every += [f"{m}_digits" for m in former_names._METHODS]
    every += [f"lasem_{s}" for s in former_names._STREAMS]
    every += [
        f"clr_{m}_{s}"
        for m in former_names._CLR_METHODS
        for s in former_names._CLR_STREAMS
    ]
    for name in every:
        files, _ = former_names.files_and_lines(f"gin/{name}.gin")
        for file in files:
            assert (parts.ROOT / file).is_file(), (name, file)


def test_parts_that_said_more_keep_their_lines():
    assert former_names.files_and_lines("gin/methods/cpg_scratch.gin") == (
        ["gin/methods/individual.gin"],
        [],
    )
    files, lines = former_names.files_and_lines("gin/methods/clr_scratch.gin")
    assert files == ["gin/methods/individual_pretrained.gin"]
    assert lines == ["WEIGHTS = None", "TaskTraining.pretrained = False"]
