"""The rules of the house that no single module can keep, read off its files.

Nothing is imported; the sources and BUILD are parsed.
"""

import ast
import collections
import functools
import pathlib
import re
import sys

_ROOT = pathlib.Path(__file__).resolve().parents[1]

# From left to right. A layer may import what stands to its left; those in one
# place know nothing of each other.
_ORDER = (
    ("base", "data_builders"),
    ("data", "layers", "metrics", "optimizers", "replay", "tapes"),
    ("models", "reporting"),
    ("methods",),
    ("engine",),
    ("configuration", "testing"),
    ("learner",),
    ("commands",),
    ("train", "add", "tasks", "evaluate", "predict", "export", "goals")
    + ("search", "compare", "build"),
    ("console",),
)
_PLACE = {layer: k for k, layers in enumerate(_ORDER) for layer in layers}
_PROGRAMS = _ORDER[-2]
_BASE = ("__init__", "arguments", "errors", "files", "keras_state")
_BASE += ("randomness", "types")
# Files that are in another layer than their place says.
_ELSEWHERE = {
    "tfcl/__main__.py": "console",
    "tfcl/data/build.py": "build",  # The former place of a program.
    "tfcl/data_builders/__init__.py": "data_builders",
}
_BUILDERS = "tfcl.data_builders"  # In a checkout a folder beside tfcl/.
# Rooms that serve their whole floor. All others are of one family, and the
# families of a floor know nothing of each other.
_ROOMS_FOR_ALL = {
    "data": ("sources",),
    "layers": ("fast",),
    "models": ("surgery",),
}
# What the engine may know of the methods.
_CONTRACT = (
    "tfcl.methods.base",
    "tfcl.methods.protocols",
    "tfcl.methods.work",
)
_PROTOCOLS = "tfcl.methods.protocols"
_FLOORS_OF_FAMILIES = ("data", "layers", "methods", "models")
# What a run is made of: arguments that a report has no use for.
_OWNERS_OF_STATE = ("run", "experiment", "method", "stream", "journal", "bank")
_MAX_FILES = 15  # In a folder, without __init__ and __main__.
_MAX_FILE, _MAX_FUNCTION = 400, 50  # Lines; a docstring is no function.
# Packages that are installed under another name than they are imported by.
_INSTALLED_AS = {
    "absl": "absl-py",
    "gin": "gin-config",
    "google": "protobuf",
    "mlflow": "mlflow-skinny",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "tensorflow_datasets": "tensorflow-datasets",
}
_BANNED = ("utils", "util", "helpers", "common", "misc")


def test_every_import_points_to_the_left():
    wrong = [
        f"{_shown(path)} ({layer}) imports {module} ({other})"
        for path, layer in _sources()
        for module, other in _own_imports(path)
        if other != layer and _PLACE[other] >= _PLACE[layer]
    ]
    assert not wrong, wrong


def test_families_of_a_floor_do_not_know_each_other():
    wrong = [
        f"{_shown(path)} ({room}) imports {module} ({other})"
        for path, layer in _sources()
        if layer in _FLOORS_OF_FAMILIES
        for module, floor in _own_imports(path)
        if floor == layer
        for room, other in [(_room(_shown(path)), _room(module, "."))]
        if room != other and other and other not in _rooms_for_all(layer)
    ]
    assert not wrong, wrong


def test_folders_are_not_crowded():
    counts = collections.Counter(
        path.parent
        for path, layer in _sources()
        if not path.name.startswith("__")
        and layer != "data_builders"
        # The commands stand where users type them.
        and layer not in _PROGRAMS
    )
    crowded = {_shown(f): n for f, n in counts.items() if n > _MAX_FILES}
    assert not crowded, crowded


def test_every_source_file_belongs_to_a_known_layer():
    lost = [_shown(path) for path, layer in _sources() if layer not in _PLACE]
    assert not lost, lost


def test_imports_are_absolute():
    wrong = [
        f"{_shown(path)}:{node.lineno}"
        for path, _ in _sources()
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not wrong, wrong


def test_programs_load_tensorflow_as_tfcl_needs_it():
    # `tfcl.commands` begins with the start-up; whatever stands before it may
    # load TensorFlow, with its remarks and with Keras as the user has it.
    for name in _PROGRAMS:
        loading = [
            module
            for module in _imported_at_once(_ROOT / f"tfcl/{name}.py")
            if module.partition(".")[0] in ("tfcl", "keras", "tensorflow")
            or module.startswith("tensorflow_datasets")
        ]
        assert loading[0] == "tfcl", (name, loading)
        assert "commands" in _names_from(_ROOT / f"tfcl/{name}.py", "tfcl")


def test_only_engine_and_commands_touch_tf_distribute():
    wrong = [
        f"{_shown(path)}:{node.lineno}"
        for path, layer in _sources()
        if layer not in ("engine", "testing", "commands", *_PROGRAMS)
        for node in ast.walk(_tree(path))
        if _is_distribute(node)
    ]
    assert not wrong, wrong


def test_engine_imports_of_the_methods_only_the_contract():
    wrong = [
        f"{_shown(path)} imports {module}"
        for path, layer in _sources()
        if layer == "engine"
        for module, other in _own_imports(path)
        if other == "methods" and module not in _CONTRACT
    ]
    assert not wrong, wrong


def test_reporting_reads_results_and_arrays_alone():
    allowed = ("reporting", "metrics", "base")
    wrong = [
        f"{_shown(path)} imports {module}"
        for path, layer in _sources()
        if layer == "reporting"
        for module, other in _own_imports(path)
        if other not in allowed
    ]
    # Nor do they come as arguments.
    wrong += [
        f"{_shown(path)}:{node.lineno} {node.arg}"
        for path, layer in _sources()
        if layer == "reporting"
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.arg) and node.arg in _OWNERS_OF_STATE
    ]
    assert not wrong, wrong


def test_engine_never_asks_which_method_it_runs():
    """It may ask for a protocol, which any method can have."""
    wrong, asked = [], set()
    for path, layer in _sources():
        if layer != "engine":
            continue
        protocols = _names_from(path, _PROTOCOLS)
        for node in ast.walk(_tree(path)):
            if _called(node) in ("isinstance", "issubclass", "type") and (
                ast.unparse(node.args[0]).endswith("method")
            ):
                kinds = [ast.unparse(kind) for kind in node.args[1:]]
                asked.update(kinds)
                if not kinds or not set(kinds) <= protocols:
                    wrong.append(f"{_shown(path)}:{node.lineno}")
    assert not wrong, wrong
    assert asked  # It does ask: the test sees how.


def test_protocols_are_all_that_the_module_of_protocols_asks_for():
    path = _ROOT / "tfcl" / "methods" / "protocols.py"
    protocols = {
        node.name
        for node in _tree(path).body
        if isinstance(node, ast.ClassDef)
        and "typing.Protocol" in map(ast.unparse, node.bases)
    }
    asked = {
        ast.unparse(node.args[1])
        for node in ast.walk(_tree(path))
        if _called(node) == "isinstance"
    }
    assert asked and asked <= protocols, asked - protocols


def test_layers_do_not_know_gin():
    wrong = [
        _shown(path)
        for path, layer in _sources()
        if layer == "layers" and "gin" in _packages(path)
    ]
    assert not wrong, wrong


def test_ranges_in_annotations_hold_for_python_callers_too():
    wrong = [
        f"{_shown(path)}:{node.lineno}"
        for path, node, _ in _ranged()
        if "checked" not in map(ast.unparse, node.decorator_list)
    ]
    assert not wrong, wrong


def test_ranges_in_annotations_are_known_when_a_call_is_checked():
    # What is imported for type checkers alone makes an annotation say nothing.
    wrong = [
        f"{_shown(path)}:{node.lineno}: {', '.join(unknown)}"
        for path, node, names in _ranged()
        if (unknown := sorted(names & _for_type_checkers(path)))
    ]
    assert not wrong, wrong


def test_one_module_knows_what_gin_does_not_export():
    wrong = [
        f"{_shown(path)}: {name}"
        for path, _ in _sources()
        if _shown(path) != "tfcl/configuration/gin_internals.py"
        for name in {*_modules(path), *_dotted_names(path)}
        if re.match(r"gin\.(_|config\b|config_parser\b)", name)
    ]
    assert not wrong, wrong


def test_no_keras_class_is_made_configurable():
    # Keras layers and models so decorated fail when they are constructed.
    wrong = [
        f"{_shown(path)}: {node.name}"
        for path, layer in _sources()
        if layer in ("layers", "models")
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ClassDef)
        and any("gin." in ast.unparse(each) for each in node.decorator_list)
    ]
    assert not wrong, wrong


def test_files_are_short():
    lengths = {
        _shown(path): len(path.read_text(encoding="utf-8").splitlines())
        for path, _ in _sources()
    }
    long = {path: n for path, n in lengths.items() if n > _MAX_FILE}
    assert not long, long


def test_functions_are_short():
    long = {
        f"{_shown(path)}:{node.lineno} {node.name}": _length(node)
        for path, _ in _sources()
        for node in ast.walk(_tree(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and _length(node) > _MAX_FUNCTION
    }
    assert not long, long


def test_file_names_say_what_is_inside():
    every = [*_sources(), *((path, "") for path in _files("tests"))]
    wrong = [_shown(path) for path, _ in every if path.stem in _BANNED]
    assert not wrong, wrong


def test_sources_know_nothing_of_the_folders_around_the_repository():
    outside = "../" + "shared"
    wrong = [
        _shown(path)
        for path, _ in _sources()
        if outside in path.read_text(encoding="utf-8")
    ]
    assert not wrong, wrong


# BUILD


def test_build_states_the_real_imports_between_layers():
    rules = _rules()
    for layer in _PLACE:
        files = [path for path, mine in _sources() if mine == layer]
        real = {o for path in files for _, o in _own_imports(path)} - {layer}
        if layer == "console":  # Runs them by their names.
            real |= set(_PROGRAMS)
        stated = {d[1:] for d in rules[layer]["deps"] if d.startswith(":")}
        assert stated == real, (layer, stated, real)


def test_build_targets_hold_the_files_of_their_layer():
    rules = _rules()
    for layer in _PLACE:
        mine = {_shown(path) for path, other in _sources() if other == layer}
        assert set(rules[layer]["srcs"]) == mine, layer


def test_build_names_every_package_that_a_layer_imports():
    rules = _rules()
    missing = [
        f"{layer}: {package} in {_shown(path)}"
        for path, layer in _sources()
        for package in _packages(path)
        if f"@pypi//{_INSTALLED_AS.get(package, package)}"
        not in rules[layer]["deps"]
    ]
    assert not missing, missing


def test_every_module_is_in_one_target():
    sources = [file for rule in _rules().values() for file in rule["srcs"]]
    counts = collections.Counter(f for f in sources if not f.startswith(":"))
    every = {_shown(path) for path, _ in _sources()}
    every |= {_shown(path) for path in _files("tests")}
    assert set(counts) == every, set(counts) ^ every
    assert set(counts.values()) == {1}, counts.most_common(3)


def test_every_test_target_runs_its_modules():
    for name, rule in _rules().items():
        if rule["kind"] != "py_test":
            continue
        # Without pytest as its program, a target would pass and test nothing.
        assert rule["main"] == "pytest_main.py", name
        assert ":pytest_main" in rule["srcs"], name
        folder = rule["args"][0]
        outside = [
            file
            for file in rule["srcs"]
            if file.endswith("_test.py") and not file.startswith(f"{folder}/")
        ]
        assert not outside, outside


# Reading sources


@functools.cache
def _sources():
    """(path, layer) of every file under tfcl/ and data_builders/."""
    found = [(path, "data_builders") for path in _files("data_builders")]
    for path in _files("tfcl"):
        first, *rest = path.relative_to(_ROOT / "tfcl").with_suffix("").parts
        if not rest and first in _BASE:
            first = "base"
        first = _ELSEWHERE.get(_shown(path), first)
        found.append((path, first))
    assert found
    return found


@functools.cache
def _ranges():
    """Names of types with a range, wherever they are defined."""
    return {"Annotated"} | {
        target.id
        for path, _ in _sources()
        for node in _tree(path).body
        if isinstance(node, ast.Assign)
        and ast.unparse(node.value).startswith("Annotated[")
        for target in node.targets
    }


def _ranged():
    """(path, function or class, names) of every annotation with a range."""
    for path, _ in _sources():
        for node in ast.walk(_tree(path)):
            fields = []
            if isinstance(node, ast.FunctionDef):
                fields = [*node.args.args, *node.args.kwonlyargs]
            elif isinstance(node, ast.ClassDef):
                fields = [e for e in node.body if isinstance(e, ast.AnnAssign)]
            for each in filter(None, (e.annotation for e in fields)):
                names = {
                    name.id
                    for name in ast.walk(each)
                    if isinstance(name, ast.Name)
                }
                if names & _ranges():
                    yield path, node, names


def _for_type_checkers(path):
    """Names that a file imports under `if typing.TYPE_CHECKING`."""
    return {
        alias.asname or alias.name
        for node in _tree(path).body
        if isinstance(node, ast.If)
        and "TYPE_CHECKING" in ast.unparse(node.test)
        for each in node.body
        for alias in each.names
    }


def _room(place, separator="/"):
    """The room of a file or module on its floor, "" for the floor itself."""
    parts = place.removesuffix(".py").split(separator)
    if _ROOT.joinpath(*parts).is_dir():
        parts.append("__init__")
    return parts[2] if len(parts) > 3 else ""


def _rooms_for_all(layer):
    return _ROOMS_FOR_ALL.get(layer, ())


def _files(folder):
    return sorted((_ROOT / folder).rglob("*.py"))


@functools.cache
def _tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def _shown(path):
    return path.relative_to(_ROOT).as_posix()


@functools.cache
def _modules(path):
    """Dotted names of what a file imports, `from a import b` as a.b too.

    A builder's module is also imported by its name in a text.
    """
    found = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value.startswith(f"{_BUILDERS}."):
                found.add(node.value)
    return found


def _dotted_names(path):
    """Every `a.b.c` that a file speaks of."""
    attributes = (
        n for n in ast.walk(_tree(path)) if isinstance(n, ast.Attribute)
    )
    return {ast.unparse(node) for node in attributes}


@functools.cache
def _own_imports(path):
    """(module, its layer) of the modules of this repository it imports."""
    layers = {file: layer for file, layer in _sources()}
    found = set()
    for name in _modules(path):
        if name.partition(".")[0] != "tfcl":
            continue
        file = _file_of(name)
        if file is None:  # A name inside a module.
            name = name.rpartition(".")[0]
            file = _file_of(name)
        assert file is not None, f"{_shown(path)} imports {name}: no such file"
        found.add((name, layers[file]))
    return found


def _file_of(module):
    if module.startswith(f"{_BUILDERS}."):
        module = module.removeprefix("tfcl.")
    place = _ROOT.joinpath(*module.split("."))
    for file in (place.with_suffix(".py"), place / "__init__.py"):
        if file.exists():
            return file
    return None


def _imported_at_once(path):
    """Modules that a file imports when it is loaded, in order."""
    found = []
    for node in _tree(path).body:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module)
    return found


def _names_from(path, module):
    """Names that a file imports from a module."""
    return {
        alias.asname or alias.name
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ImportFrom) and node.module == module
        for alias in node.names
    }


def _packages(path):
    """Top names of the packages of others that a file imports."""
    tops = {name.partition(".")[0] for name in _modules(path)}
    return tops - {"tfcl"} - sys.stdlib_module_names


def _is_distribute(node):
    if isinstance(node, ast.Attribute):
        return ast.unparse(node) in ("tf.distribute", "tensorflow.distribute")
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        names = [f"{node.module}.{alias.name}" for alias in node.names]
    else:
        return False
    return any(name.startswith("tensorflow.distribute") for name in names)


def _called(node):
    return ast.unparse(node.func) if isinstance(node, ast.Call) else None


def _length(node):
    lines = node.end_lineno - node.lineno + 1
    if ast.get_docstring(node) is not None:
        lines -= node.body[0].end_lineno - node.body[0].lineno + 1
    return lines


# Reading BUILD


@functools.cache
def _rules():
    """`{target name: {"kind", "srcs", "deps", ...}}` of the Python rules."""
    rules = {}
    for statement in ast.parse((_ROOT / "BUILD").read_text()).body:
        kind = _called(getattr(statement, "value", None))
        if kind not in ("py_library", "py_binary", "py_test"):
            continue
        rule = {"kind": kind, "srcs": [], "deps": []}
        for keyword in statement.value.keywords:
            rule[keyword.arg] = _value(keyword.value)
        assert rule["name"] not in rules, rule["name"]
        rules[rule["name"]] = rule
    return rules


def _value(node):
    """The value of a Starlark expression as BUILD uses them."""
    if isinstance(node, ast.List):
        return [_value(element) for element in node.elts]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _value(node.left) + _value(node.right)
    if _called(node) == "requirement":
        return f"@pypi//{_value(node.args[0])}"
    if _called(node) == "glob":
        keywords = {k.arg: _value(k.value) for k in node.keywords}
        excluded = _globbed(keywords.get("exclude", []))
        return sorted(_globbed(_value(node.args[0])) - excluded)
    return ast.literal_eval(node)


def _globbed(patterns):
    return {
        _shown(path)
        for pattern in patterns
        for path in _ROOT.glob(pattern)
        if path.is_file()
    }
