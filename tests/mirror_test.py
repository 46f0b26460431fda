"""Where each module is tested: tests/X/y_test.py tests tfcl/X/y.py.

What has no test file of its own stands in `_COVERED`, and tests of more than
one module in `_WIDER`. Nothing is imported; the sources are parsed.
"""

import ast
import functools
import pathlib
import re

import pytest

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_DOTTED = re.compile(r"(tfcl|tests)(\.\w+)+")

# Modules without a test file of their own, by the one that tests them. It
# reaches the module by its imports. Paths below tests/ and tfcl/.
_COVERED = {
    "build_test": ("data/sources/set_building data/sources/set_check"),
    "commands_test": (
        "configuration/command_flags evaluate export predict train"
    ),
    "compare_test": ("reporting/comparison"),
    "configuration/mistakes_test": (
        "configuration/explaining configuration/values"
    ),
    "configuration/reading_test": (
        "configuration/binding configuration/checks "
        "configuration/gin_internals "
        "configuration/statements"
    ),
    "data/sources/tfds_source_test": ("data/sources/prepared_sets"),
    "data/scenario_test": ("methods/scenario_fit"),
    "methods/regularization/ewc_test": (
        "methods/regularization/measured_importance"
    ),
    "methods/regularization/lwf_test": ("methods/former_network"),
    "data/scenarios/permuted_stream_test": ("data/scenarios/changed_images"),
    "data/streams/class_split_test": ("data/task_assembly"),
    "data/streams/binary_stream_test": ("data/class_pools"),
    "data/streams/dataset_stream_test": ("data/sources/set_parts"),
    "data/streams/folder_stream_test": (
        "data/sources/folder_package data/sources/folder_splits "
        "data/sources/image_files"
    ),
    "data/streams/omniglot_test": ("data/sources/labelled_images"),
    "learner/further_task_test": ("add"),
    "learner/task_list_test": ("tasks"),
    "engine/best_epoch_test": ("engine/evaluator engine/runtime methods/work"),
    "engine/repeated_tasks_test": ("data/scenarios/repeated_stream"),
    "engine/resume_test": (
        "engine/experiment engine/loop engine/replicas engine/steps"
    ),
    "engine/serving/bundle_test": (
        "engine/serving/learned engine/serving/one_pass"
    ),
    "engine/serving/export_test": (
        "engine/serving/image_bytes engine/serving/served_facts"
    ),
    "engine/serving/written_again_test": ("reporting/checksums"),
    "engine/storage/faults_test": ("reporting/run_facts"),
    "engine/streaming_test": ("engine/resident"),
    "files_test": ("engine/storage/npz"),
    "keras_state_test": ("engine/process/startup"),
    "layers/task_head_test": ("types"),
    "goals_test": ("methods/cpg/accuracy_goals"),
    "learner/asking/exports_test": ("learner/asking/tasks_at_hand"),
    "learner/asking/new_images_test": ("learner/asking/read_images"),
    "learner/kept_tasks_test": (
        "data/absent data/run_folder learner/kept_stream"
    ),
    "learner/learner_test": (
        "learner/method_source learner/runs learner/task learner/told"
    ),
    "learner/readings_test": "models/model_pixels learner/task_data",
    "layers/attention/transformer_layers_test": (
        "layers/attention/class_token layers/attention/self_attention "
        "layers/attention/token_embedding"
    ),
    "layers/masked/masked_kernel_test": (
        "layers/masked/masked_conv2d layers/masked/masked_dense"
    ),
    "layers/memory/memory_dense_golden_test": (
        "layers/memory/key_projections layers/memory/memory_update"
    ),
    "layers/memory/memory_dense_test": ("layers/memory/memory_options"),
    "layers/prompts/prompt_layers_test": (
        "layers/prompts/general_prefix layers/prompts/prompt_keys "
        "layers/prompts/prompt_pool layers/prompts/task_choice "
        "layers/prompts/task_prefix"
    ),
    "layers/reprogram/channel_reprogram_test": (
        "layers/reprogram/gated_reprogram"
    ),
    "layers/transfer/additive_kernel_test": ("layers/transfer/transfer_conv2d"),
    "layers/transfer/kernels_test": (
        "layers/transfer/deconv_kernel layers/transfer/hard_kernel "
        "layers/transfer/kernel_generator layers/transfer/tucker_kernel"
    ),
    "methods/baselines/slda_test": ("methods/baselines/nearest_class_mean"),
    "methods/replay/icarl_test": ("methods/replay/exemplar_replay"),
    "methods/class_incremental/class_incremental_test": (
        "data/scenarios/class_incremental_stream "
        "methods/class_incremental/growing_heads "
        "methods/class_incremental/head_training "
        "methods/class_incremental/task_heads"
    ),
    "methods/contract_test": (
        "methods/base methods/baselines/fine_tuning "
        "methods/baselines/frozen_backbone methods/network_method"
    ),
    "methods/cpg/cpg_golden_test": ("models/surgery/growing_chain"),
    "methods/cpg/cpg_method_golden_test": (
        "methods/cpg/masked_network methods/cpg/masked_steps"
    ),
    "methods/cpg/cpg_phases_test": ("methods/cpg/ownership_notes"),
    "methods/cpg/cpg_test": (
        "methods/cpg/cpg_checks methods/cpg/served_networks"
    ),
    "methods/expansion/den_test": ("methods/expansion/growing_network"),
    "methods/lasem/lasem_test": (
        "methods/lasem/layer_choice methods/lasem/searching_method "
        "methods/machine_memory"
    ),
    "methods/lasem/transfers_test": ("methods/lasem/static_transfer"),
    "methods/masks/hat_test": (
        "layers/masked/hard_attention models/surgery/attended"
    ),
    "methods/masks/supsup_test": (
        "layers/masked/supermask layers/masked/supermask_conv2d "
        "layers/masked/supermask_dense"
    ),
    "methods/online/online_golden_test": (
        "methods/online/agem "
        "methods/online/experience_replay methods/online/memory_head "
        "methods/online/online_training"
    ),
    "methods/online/online_test": (
        "data/scenarios/online_stream methods/online/ensemble "
        "methods/online/gdumb"
    ),
    "methods/spg/spg_test": (
        "methods/spg/importance_pass models/surgery/top_dense"
    ),
    "models/backbones/applications_test": ("layers/reprogram/colour_transform"),
    "models/backbones/cpg_networks_test": (
        "models/backbones/cpg_resnet models/backbones/cpg_vgg "
        "models/backbones/spherenet"
    ),
    "models/backbones/keras_file_test": ("models/backbones/whole_model"),
    "models/backbones/imported_networks_test": (
        "models/backbones/cifar_resnet models/backbones/resnet_torchvision "
        "models/weight_files"
    ),
    "models/online/online_network_test": ("models/online/online_networks"),
    "models/surgery/rewire_test": ("models/surgery/bundled_network"),
    "gin_matrix_test": ("configuration/listing configuration/parts"),
    "replay/buffer_test": (
        "replay/balanced replay/insertion replay/retrieval replay/table"
    ),
    "reporting/figures_test": ("reporting/drawing"),
    "reporting/loggers/all_loggers_test": "reporting/loggers/run_logger",
    "reporting/report_test": ("reporting/tables reporting/training_figures"),
    "testing/contract_test": ("testing/steps testing/tiny"),
}

# Claims about more than one module, or none of tfcl/.
_WIDER = {
    "benchmarks_test",
    "build_samples_test",
    "configuration/mistakes_test",
    "data/memory_limits_test",
    "engine/clock_test",
    "engine/longer_streams_test",
    "engine/multi_worker_test",
    "contributing_test",
    "docs_commands_test",
    "docs_pages_test",
    "docs_snippets_test",
    "examples_test",
    "exports_test",
    "extras_test",
    "gin_files_test",
    "gin_matrix_test",
    "gin_networks_test",
    "hostile_input_test",
    "layering_test",
    "methods/cpg/cpg_replicas_test",
    "methods/augmented_training_test",
    "methods/backbone_matrix_test",
    "methods/early_checks_test",
    "methods/stored_names_test",
    "mirror_test",
    "models/backbones/cpg_start_values_test",
    "notebooks_test",
    "published_starts_test",
    "real_folders_test",
    "reliability_test",
    "replay/further_columns_test",
    "results_tables_test",
    "security_test",
    "wheel_test",
    "words_test",
}


def _modules():
    every = (_ROOT / "tfcl").rglob("*.py")
    return sorted(path for path in every if path.name != "__init__.py")


def _tests():
    """All but those of the builders, who have a harness of their own."""
    every = (_ROOT / "tests").rglob("*_test.py")
    builders = _ROOT / "tests" / "data_builders"
    return sorted(path for path in every if builders not in path.parents)


def _short(path):
    """Below tfcl/ or tests/, without ending."""
    top = path.relative_to(_ROOT).parts[0]
    return path.relative_to(_ROOT / top).with_suffix("").as_posix()


def _own_test(module):
    return _ROOT / "tests" / f"{_short(module)}_test.py"


def _own_module(test):
    """The module that a test file's name means, existing or not."""
    name = _short(test).removesuffix("_test").removesuffix("_golden")
    return _ROOT / "tfcl" / f"{name}.py"


@functools.cache
def _imported(path):
    """Files of this repository that a file imports or names in a text."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # Commands are run by their names, and methods bound by gin.
            names |= set(node.value.split())
    places = set()
    for name in filter(_DOTTED.fullmatch, names - {None}):
        place = _ROOT.joinpath(*name.split("."))
        places |= {place.with_suffix(".py"), place / "__init__.py"}
    return places & _all()


@functools.cache
def _all():
    """Every source of the repository by which modules may be reached."""
    return {
        path
        for top in ("tfcl", "tests")
        for path in (_ROOT / top).rglob("*.py")
    }


@functools.cache
def _used(test):
    """What a test imports, and what the test's helpers import."""
    found, new = set(), {test}
    while new:
        found |= new
        helpers = {one for one in new if _ROOT / "tests" in one.parents}
        new = {each for one in helpers for each in _imported(one)} - found
    return found - {test}


def _reaches(test, module):
    """Whether a test imports a module, what imports it, or its room's door.

    Inside the module's own folder the way may be longer.
    """
    known, new = set(), _used(test)
    while new:
        known |= new
        inside = {one for one in new if one.parent == module.parent}
        new = {each for one in inside for each in _imported(one)} - known
    return module in known or any(module in _imported(one) for one in known)


def _covered():
    """`(test, module)` paths of the table."""
    return [
        (_ROOT / "tests" / f"{test}.py", _ROOT / "tfcl" / f"{module}.py")
        for test, modules in _COVERED.items()
        for module in modules.split()
    ]


def test_every_module_has_a_test_file_or_a_line_in_the_table():
    listed = {module for _, module in _covered()}
    lost = [
        _short(module)
        for module in _modules()
        if not _own_test(module).exists() and module not in listed
    ]
    assert not lost, f"no tests/<module>_test.py, and not in _COVERED: {lost}"


def test_the_table_has_only_what_is_true():
    listed = [module for _, module in _covered()]
    assert len(set(listed)) == len(listed)
    for test, module in _covered():
        assert module.exists(), f"_COVERED: no module {_short(module)}"
        assert test.exists(), f"_COVERED: no test {_short(test)}"
        assert not _own_test(module).exists(), (
            f"{_short(module)} has its own test file: take it out of _COVERED"
        )
        assert _reaches(test, module), (
            f"{_short(test)} does not import {_short(module)}, nor anything "
            "that does"
        )


@pytest.mark.parametrize("test", _tests(), ids=_short)
def test_every_test_file_tests_the_module_of_its_name(test):
    name, module = _short(test), _own_module(test)
    if name in _WIDER:
        exact = _ROOT / "tfcl" / f"{name.removesuffix('_test')}.py"
        assert not exact.exists(), f"_WIDER: {name} has a module of its own"
    elif module.exists() and not (
        name.endswith("_golden_test") and name in _COVERED  # Of its parts.
    ):
        assert _reaches(test, module), f"{name} never imports its module"
    else:
        assert name in _COVERED, (
            f"no module {_short(module)} for {name}: name the file by the "
            "module, or say in _WIDER that it tests several"
        )


def test_no_line_says_what_is_gone():
    gone = [
        name for name in _WIDER if not (_ROOT / "tests" / f"{name}.py").exists()
    ]
    assert not gone, gone
