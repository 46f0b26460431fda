"""Module names from before the rooms, in saved `config.gin`s and old gin files.

Version 0.1 had one folder per layer of the house. A run that it began goes on,
and a gin file written for it is read, because every `import` and every full
name of a configurable passes through `current`.
"""

# (old package, new package): modules that kept their last name.
_MOVED = {
    ("tfcl.data", "tfcl"): ("build"),
    ("tfcl.engine", "tfcl"): ("files"),
    ("tfcl.data", "tfcl.data.sources"): (
        "catalog folder_package folder_splits labelled_images prepared_sets "
        "record_files set_building set_check set_parts tfds_source"
    ),
    ("tfcl.data", "tfcl.data.streams"): (
        "binary_stream class_split dataset_stream feature_stream "
        "folder_stream increments lasem_cifar100 office_home omniglot "
        "point_stream spg_sequences stl10"
    ),
    ("tfcl.data", "tfcl.data.scenarios"): (
        "class_incremental_stream online_stream repeated_stream"
    ),
    ("tfcl.data.streams", "tfcl.data.scenarios"): (
        "class_incremental_stream online_stream repeated_stream"
    ),
    ("tfcl.engine", "tfcl.engine.serving"): ("bundle export learned"),
    ("tfcl.engine", "tfcl.engine.storage"): (
        "bank checkpoints journal lock npz start_files"
    ),
    ("tfcl.layers", "tfcl.layers.attention"): (
        "self_attention token_embedding"
    ),
    ("tfcl.layers", "tfcl.layers.faces"): ("angular_softmax verification_head"),
    ("tfcl.layers", "tfcl.layers.fast"): (
        "dropped_max_pooling2d half_word_dropout packed_draws "
        "sliced_cropping2d small_map_conv2d"
    ),
    ("tfcl.layers", "tfcl.layers.masked"): (
        "channel_gate hard_attention masked_conv2d masked_dense "
        "masked_kernel supermask supermask_conv2d supermask_dense unit_gate"
    ),
    ("tfcl.layers", "tfcl.layers.memory"): (
        "key_projections memory_dense memory_initializers memory_options "
        "memory_update seen_classes task_memories"
    ),
    ("tfcl.layers", "tfcl.layers.reprogram"): (
        "banked_layers channel_reprogram colour_transform gated_reprogram "
        "parallel_conv2d"
    ),
    ("tfcl.layers", "tfcl.layers.transfer"): (
        "additive_kernel branch_conv2d deconv_kernel divided_conv2d "
        "hard_kernel kernel_generator lateral_conv2d mixed_conv2d "
        "selective_conv2d transfer_conv2d tucker_kernel"
    ),
    ("tfcl.methods", "tfcl.methods.baselines"): (
        "fine_tuning frozen_backbone individual joint rehearsal"
    ),
    ("tfcl.methods", "tfcl.methods.class_incremental"): (
        "class_incremental class_statistics classifier_alignment "
        "head_training task_heads virtual_batch"
    ),
    ("tfcl.methods", "tfcl.methods.clr"): ("clr parallel_convolutions"),
    ("tfcl.methods", "tfcl.methods.cpg"): (
        "accuracy_goals cpg cpg_phases face_training masked_network "
        "masked_steps packnet served_networks"
    ),
    ("tfcl.methods", "tfcl.methods.expansion"): ("den growing_network prognn"),
    ("tfcl.methods", "tfcl.methods.lasem"): (
        "brute_force darts lasem layer_choice searching_method "
        "static_transfer transfer_configurations transfers"
    ),
    ("tfcl.methods", "tfcl.methods.masks"): ("channel_gating hat supsup"),
    ("tfcl.methods", "tfcl.methods.online"): (
        "agem ensemble experience_replay gdumb memory_head online "
        "online_training"
    ),
    ("tfcl.methods", "tfcl.methods.regularization"): ("ewc"),
    ("tfcl.methods", "tfcl.methods.spg"): ("importance_pass spg"),
    ("tfcl.models", "tfcl.models.backbones"): (
        "applications cifar_resnet cpg_resnet cpg_vgg keras_file lasem_cnn "
        "resnet_torchvision spg_alexnet spherenet torchvision_names vit"
    ),
    ("tfcl.models", "tfcl.models.online"): (
        "online_network online_networks pixels"
    ),
    ("tfcl.models", "tfcl.models.surgery"): (
        "attended bundled_network channel_gates fold growing_chain "
        "leading_block lift prefix_tree reprogram rewire top_dense"
    ),
    ("tfcl.engine", "tfcl.reporting"): (
        "comparison drawing figures histograms report results summaries "
        "tables tracked"
    ),
}
_RENAMED = {
    "tfcl.configuration_checks": "tfcl.configuration.checks",
    "tfcl.configuration_ranges": "tfcl.configuration.ranges",
    "tfcl.engine.best_weights": "tfcl.engine.storage.best_weights",
    "tfcl.engine.trainer": "tfcl.engine.training.trainer",
    "tfcl.data.picture_files": "tfcl.data.sources.image_files",
    "tfcl.data.pictures": "tfcl.data.lazy_images",
    "tfcl.engine.stream_pictures": "tfcl.reporting.stream_figures",
    "tfcl.engine.training_pictures": "tfcl.reporting.training_figures",
    "tfcl.methods.balanced_buffer": "tfcl.replay.balanced",
    "tfcl.methods.online.balanced_buffer": "tfcl.replay.balanced",
    "tfcl.methods.online.replay_buffer": "tfcl.replay.buffer",
    "tfcl.methods.replay_buffer": "tfcl.replay.buffer",
}
# Parameters that were called otherwise.
_PARAMETERS = {"on_bad_picture": "on_bad_image"}
_NEW_NAMES = {
    f"{old}.{module}": f"{new}.{module}"
    for (old, new), modules in _MOVED.items()
    for module in modules.split()
} | _RENAMED


def current(name: str) -> str:
    """The present name of a module, or of something in it.

    Args:
        name: Such as `tfcl.methods.cpg` or `tfcl.methods.cpg.CPG`. Other names
            are returned as they are.
    """
    if name in _NEW_NAMES:
        return _NEW_NAMES[name]
    module, dot, last = name.rpartition(".")
    # A room has the name of a module that it took in: `tfcl.methods.cpg.cpg`
    # is new, `tfcl.methods.cpg.CPG` was the class at that time. What has come
    # into the room since then is a module, too.
    if module in _NEW_NAMES and name not in _NEW_NAMES.values():
        is_room = _NEW_NAMES[module].startswith(f"{module}.")
        if is_room and last.islower():
            return name
        return f"{_NEW_NAMES[module]}{dot}{last}"
    return name


def current_parameter(name: str) -> str:
    """The present name of a parameter."""
    return _PARAMETERS.get(name, name)
