"""Gin files that were called otherwise, and what they are now.

A run is a stream and a method: most files that named both are now written
`--stream=X --method=Y`. Their names are still understood, on the command line
and in an `include`.
"""

import pathlib

# Parts: old path below gin/ -> new path.
_PARTS = {
    **{
        f"methods/{old}": f"training/{new}"
        for old, new in (
            *((f"{name}_training", name) for name in ("lasem", "spg", "cpg")),
            *((f"{name}_training", name) for name in ("clr", "faces")),
            *((f"{name}_training", name) for name in ("finegrained", "online")),
            *((name, name) for name in ("faces_pruning", "finegrained_rates")),
            *((name, name) for name in ("imagenet_pruning", "replay")),
            *((name, name) for name in ("imagenet_untrained", "tensor_norms")),
        )
    },
    **{
        f"methods/{name}_short": f"schedules/{name}_short"
        for name in ("clr", "cpg", "spg")
    },
    "methods/static_transfer": "methods/hps",
    "methods/brute_force": "methods/brute_force_hps",
    "methods/darts": "methods/darts_hps",
    "methods/clr_finetune": "methods/individual_pretrained",
    "methods/clr_joint": "methods/joint_pretrained",
    "methods/clr_linear_probe": "methods/linear_probe",
    "methods/clr_parallel": "methods/parallel_convolutions",
    "methods/clr_scratch": "methods/individual_pretrained",
    "methods/cpg_finetune": "methods/individual_finetuned",
    "methods/cpg_scratch": "methods/individual",
    "methods/faces_models": "methods/individual_faces",
    "methods/finegrained_models": "methods/individual_finegrained",
    "streams/digits_5_tasks": "streams/digits_5",
}
# Methods of LASEM's line: the first word of a file -> method. The second word
# names the stream.
_METHODS = {
    "apd": "apd",
    "brute_force_hps": "brute_force_hps",
    "channel_gating": "channel_gating",
    "darts_dfcnn": "darts_dfcnn",
    "darts_hps": "darts_hps",
    "den": "den",
    "dfcnn": "dfcnn",
    "dfcnn_direct": "dfcnn_direct",
    "dfcnn_tc2": "dfcnn_tc2",
    "ewc": "ewc",
    "frozen": "frozen_backbone",
    "hps": "hps",
    "joint": "joint",
    "lasem": "lasem",
    "lasem_dfcnn": "lasem_dfcnn",
    "lasem_tf": "lasem_tf",
    "prognn": "prognn",
    "snn": "fine_tuning",
    "stl": "individual",
    "stl_dfcnn": "individual_dfcnn",
    "tf": "tf",
}
_STREAMS = {
    "cifar100": "cifar100_10",
    "cifar100_20": "cifar100_20",
    "cifar100_40": "cifar100_40",
    "cifar100_order_1": "cifar100_10_order_1",
    "cifar100_order_2": "cifar100_10_order_2",
    "cifar10_10": "cifar10_10",
    "cifar10_5": "cifar10_5",
    "digits": "digits_5",
    "folders": "folders",
    "mnist10": "mnist10",
    "mnist5": "mnist5",
    "office_home": "office_home",
    "office_home_6": "office_home_6",
    "omniglot": "omniglot",
    "stl10": "stl10_20t",
    "stl10_15t": "stl10_15t",
}
# What such a file said beyond stream and method.
_MOMENTUM = ("CLR.norm_momentum = 0.9",)
_LINES = {
    "apd_digits": ("CONFIGURATION = '111'",),
    "clr_full_folders": _MOMENTUM,
    "clr_norms_folders": _MOMENTUM,
    "den_cifar100": ("HIDDEN_UNITS = (128,)",),
    "den_digits": ("EXPANSION = 4",),
    "dfcnn_digits": ("CONFIGURATION = '010'",),
    "dfcnn_direct_cifar100": ("gin/transfers/deconv_direct_cifar_4.gin",),
    "dfcnn_direct_digits": (
        "gin/transfers/deconv_direct_digits.gin",
        "CONFIGURATION = '111'",
    ),
    "dfcnn_tc2_cifar100": ("gin/transfers/deconv_tc2_cifar_4.gin",),
    "dfcnn_tc2_digits": (
        "gin/transfers/deconv_tc2_digits.gin",
        "CONFIGURATION = '111'",
    ),
    "hps_digits": ("CONFIGURATION = '011'",),
    "hps_stl10": ("CONFIGURATION = 'top_3'",),
    "lasem_tf_stl10": ("HIDDEN_UNITS = (128,)",),
    "tf_digits": ("CONFIGURATION = '110'",),
    "tf_stl10": ("HIDDEN_UNITS = (128,)",),
}
# CLR's references: method, and what was said beyond it.
_UNTRAINED = ("WEIGHTS = None", "TaskTraining.pretrained = False")
_PART_LINES = {"methods/clr_scratch": _UNTRAINED}
_CLR_METHODS = {
    "finetune": ("individual_pretrained",),
    "full": ("clr_full",),
    "joint": ("joint_pretrained",),
    "linear_probe": ("linear_probe",),
    "norms": ("clr_norms",),
    "parallel": ("parallel_convolutions",),
    "scratch": ("individual_pretrained", *_UNTRAINED),
}
_CLR_STREAMS = {
    "cifar100_resnet20": ("clr_cifar100",),
    "cifar100_resnet20_short": ("clr_cifar100", "gin/schedules/clr_short.gin"),
    "folders": ("clr_folders",),
    "skill53": ("skill53",),
}
_SMALL_VGG = (
    *("gin/networks/cpg_vgg_small.gin", "gin/schedules/cpg_short.gin"),
)
_AFRESH = "Individual.start = 'afresh'"
_PAIRS = {
    **{
        f"{old}_modes_cdi": ("modes_cdi", new)
        for old, new in (
            *(("agem", "agem"), ("ensemble", "ensemble"), ("gdumb", "gdumb")),
            *(("er", "experience_replay"), ("mlp", "online")),
        )
    },
    "lp_modes_cdi": (
        *("modes_cdi", "online", "gin/networks/linear.gin"),
        "LEARNING_RATE = 1e-2",
    ),
    "rehearsal_digits": ("ci_digits", "rehearsal"),
    **{f"ncl_{c}": (f"spg_{c}", "fine_tuning_heads") for c in ("c10", "c20")},
    "ncl_c10_short": (
        *("spg_c10", "fine_tuning_heads", "gin/schedules/spg_short.gin"),
    ),
    **{f"one_{c}": (f"spg_{c}", "individual") for c in ("c10", "c20")},
    **{f"supsup_{c}": (f"spg_{c}", "supsup") for c in ("c10", "c20")},
    "cpg_finetune_cifar100": ("cifar100_superclasses", "individual_finetuned"),
    "cpg_finetune_cifar100_short": (
        *("cifar100_superclasses", "individual_finetuned", *_SMALL_VGG),
    ),
    "cpg_scratch_cifar100": ("cifar100_superclasses", "individual", _AFRESH),
    "cpg_scratch_cifar100_short": (
        *("cifar100_superclasses", "individual", *_SMALL_VGG, _AFRESH),
    ),
}
# Files that kept their lines under another name.
_RENAMED = {
    "cpg_finetune_faces": "individual_finetuned_faces",
    "cpg_finetune_faces_short": "individual_finetuned_faces_short",
    "cpg_finetune_finegrained": "individual_pretrained_finegrained",
    "cpg_finetune_finegrained_short": "individual_pretrained_finegrained_short",
    "cpg_scratch_faces": "individual_faces",
    "cpg_scratch_faces_short": "individual_faces_short",
    "cpg_scratch_finegrained": "individual_finegrained",
    "cpg_scratch_finegrained_short": "individual_finegrained_short",
    "mtl_c10": "joint_c10",
    "mtl_c10_short": "joint_c10_short",
    "mtl_c20": "joint_c20",
}


def pair(name: str) -> tuple[str, ...] | None:
    """Stream, method and further files and lines of a former file.

    Args:
        name: Of the file, such as "stl_digits".

    Returns:
        Such as `("digits_5", "individual")`, None for other names.
    """
    if name in _PAIRS:
        return _PAIRS[name]
    for old, (method, *lines) in _CLR_METHODS.items():
        data = name.removeprefix(f"clr_{old}_")
        if data != name and data in _CLR_STREAMS:
            stream, *others = _CLR_STREAMS[data]
            return (stream, method, *others, *lines, *_LINES.get(name, ()))
    # The longest that fits: `lasem_tf` before `lasem`.
    for old in sorted(_METHODS, key=len, reverse=True):
        data = name.removeprefix(f"{old}_")
        if data != name and data in _STREAMS:
            return (_STREAMS[data], _METHODS[old], *_LINES.get(name, ()))
    return None


def files_and_lines(path: str) -> tuple[list[str], list[str]] | None:
    """What to read in place of a gin file that is no longer there.

    Args:
        path: As given, such as "gin/stl_digits.gin".

    Returns:
        Paths of gin files and lines of gin, None for other files.
    """
    *folders, file = pathlib.PurePath(path).parts
    name, dot, ending = file.partition(".")
    if ending != "gin" or "gin" not in folders[-2:]:
        return None
    if folders[-1] != "gin":
        new = _PARTS.get(f"{folders[-1]}/{name}")
        lines = [*_PART_LINES.get(f"{folders[-1]}/{name}", ())]
        return ([f"gin/{new}.gin"], lines) if new else None
    if name in _RENAMED:
        return [f"gin/{_RENAMED[name]}.gin"], []
    found = pair(name)
    if not found:
        return None
    stream, method, *more = found
    files = [f"gin/streams/{stream}.gin", f"gin/methods/{method}.gin"]
    files += [each for each in more if each.endswith(".gin")]
    return files, [each for each in more if not each.endswith(".gin")]


def command(path: str) -> str | None:
    """How to write a former file now, None for other files."""
    now = files_and_lines(path)
    if now is None:
        return None
    (first, *others), lines = now
    words = [f"--gin_file={first}"]
    if others:
        stream, method = (pathlib.PurePath(each).stem for each in now[0][:2])
        words = [f"--stream={stream}", f"--method={method}"]
        words += [f"--gin_file={each}" for each in now[0][2:]]
    return " ".join([*words, *(f'--gin_bindings="{each}"' for each in lines)])
