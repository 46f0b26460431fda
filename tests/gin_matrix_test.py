"""Every method on every stream: it learns, or says in one line why not."""

import itertools
import subprocess
import sys

import gin
import pytest

from tests.testing import gin_runs
from tfcl import configuration
from tfcl.configuration import listing, parts, reading
from tfcl.data.scenario import SCENARIOS
from tfcl.errors import UserError
from tfcl.learner import runs

_STREAMS = parts.names(parts.STREAMS)
_METHODS = parts.names(parts.METHODS)
# Of every scenario one stream, on which each of its methods is tried.
_TRIED_ON = {
    "task": "digits_5",
    "class": "ci_digits",
    "faces": "faces_short",
    "online": "online_digits",
}
# Methods on a network that is trained already, which digits do not bring.
_PRETRAINED = (
    *("clr", "clr_full", "clr_norms", "individual_pretrained"),
    *("joint_pretrained", "linear_probe", "parallel_convolutions"),
)
# What the errors of a pair may say beside the scenario; each names a way out.
_WAYS_OUT = (
    "Name one: --network=",
    "is required but not set",
    "`max_width` must be 1 for a backbone that takes no `width`",
    "Use a backbone with",
    "must have no weights but those of convolutions and dense layers",
    "names and test types exist for",
    "Write the digits instead",
    # gin/cpg_faces_age1.gin and its like name their own.
    "`task_pruning` must name tasks of the stream",
    "every task needs the same number of classes",
    "Use a method with one head",
    # The same, before a stream is looked at as a whole.
    "`first_classes` must be as in the stream",
    "Choose a convolutional backbone",
    "must be a vision transformer of tfcl.models.backbones.vit",
)


@pytest.fixture(autouse=True)
def no_bindings_left():
    yield
    gin.clear_config()


@pytest.fixture(scope="module")
def files_parsed_once():
    """The pairs are made of a hundred files; gin's parser is slow."""
    known, statements = {}, reading.statements

    def remembered(text, locate):
        if text not in known:
            known[text] = list(statements(text, int))
        return ((each, locate(line)) for each, line in known[text])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "statements", remembered)
        yield


def _scenarios(method):
    found = parts.scenarios_of(method)
    assert found, f"{method} does not say what it learns"
    assert {*found} <= {*_TRIED_ON, "domain"}
    return found


def _scenario(stream):
    return parts.scenario_of(stream)


def _bindings(stream):
    """What a user has to give for a stream, whatever the method."""
    return ["folder_stream.root = 'x'"] if "folders" in stream else []


@pytest.mark.parametrize("stream", _STREAMS)
def test_a_pair_is_read_or_refused_in_one_line(stream, files_parsed_once):
    for method in _METHODS:
        fits = _scenario(stream) in _scenarios(method)
        files = parts.files([], stream, method)
        try:
            configuration.load(files, _bindings(stream))
        except UserError as error:
            said = str(error)
            assert "\n" not in said
            if fits:
                assert any(way in said for way in _WAYS_OUT[:2]), said
            else:
                assert said.startswith(f"gin/methods/{method}.gin learns ")
                assert f"gin/streams/{stream}.gin is another kind" in said
                others, _, named = said.partition(" Streams for this method: ")
                named = _listed(named)
                assert {_scenario(n) for n in named} <= {*_scenarios(method)}
                others = others.partition("Methods for this stream: ")[2]
                others = _listed(others)
                assert all(_scenario(stream) in _scenarios(n) for n in others)
        else:
            assert fits, f"{stream} and {method} should be refused"


def _listed(text):
    return text.rstrip(".").partition(" and ")[0].split(", ")


@pytest.mark.parametrize(
    ("stream", "method"),
    [("digits_5", "lasem"), ("spg_c10", "cpg"), ("folders", "ewc")]
    + [("modes_cdi", "mir"), ("ci_cifar100", "slca"), ("faces", "pae")],
)
def test_the_order_of_two_files_does_not_matter(stream, method):
    found = []
    files = parts.files([], stream, method)
    for order in itertools.permutations(files):
        configuration.load(order, _bindings(stream))
        found.append(configuration.bindings())
    assert found[0] == found[1]


@pytest.mark.parametrize("method", _METHODS)
def test_every_method_learns(method, tmp_path, monkeypatch):
    stream = _TRIED_ON[_scenarios(method)[0]]
    if method in _PRETRAINED:
        stream = "clr_folders"
    traced = stream in ("digits_5", "ci_digits")
    learner = _take_two_steps(monkeypatch, tmp_path, stream, method, traced)
    # A file must not offer what its method refuses, nor hide what it can.
    made_for = learner.scenarios | {"faces"}
    assert {*_scenarios(method)} <= made_for, method


@pytest.mark.parametrize(
    ("method", "scenario"),
    [
        (method, scenario)
        for method in _METHODS
        if parts.scenarios_of(method)[0] == "task"
        for scenario in parts.scenarios_of(method)[1:]
        if scenario in parts.SCENARIOS
    ],
)
def test_every_scenario_of_a_method_is_learned(
    method, scenario, tmp_path, monkeypatch
):
    stream = "clr_folders" if method in _PRETRAINED else "digits_5"
    chosen = [f"Experiment.scenario = '{scenario}'"]
    learner = _take_two_steps(
        monkeypatch, tmp_path, stream, method, bindings=chosen
    )
    assert learner.spec.scenario == scenario and not learner.needs_task


@pytest.mark.parametrize(
    ("stream", "method", "scenario", "said"),
    [
        ("digits_5", "hat", "class", "hat.gin learns tasks that are known"),
        ("digits_5", "slca", "task", "It can be one: --scenario=class. Meth"),
        ("ci_digits", "ewc", "task", "cannot be seen in the scenario 'task'"),
        ("online_digits", "ewc", "class", "cannot be seen in the scenario"),
        ("digits_5", "ewc", "online", "ewc.gin learns tasks that are known"),
    ],
)
def test_a_scenario_that_makes_no_sense_is_one_line(
    stream, method, scenario, said
):
    with pytest.raises(UserError) as error:
        configuration.load(
            parts.files([], stream, method),
            [f"Experiment.scenario = '{scenario}'"],
        )
    assert said in str(error.value) and "\n" not in str(error.value)


def test_an_unknown_scenario_of_a_file_is_said(tmp_path):
    own = tmp_path / "own.gin"
    own.write_text('SCENARIOS = ("tasks",)\n')
    with pytest.raises(UserError, match="own.gin.* names the scenario 'tasks'"):
        configuration.load([*parts.files([], "digits_5", "ewc"), str(own)], [])


def test_the_words_of_scenarios_are_those_of_the_data():
    assert parts.SCENARIOS == SCENARIOS


@pytest.mark.parametrize("stream", _STREAMS)
def test_every_stream_is_learned(stream, tmp_path, monkeypatch):
    method = {
        "task": "individual",
        "domain": "fine_tuning",
        "class": "fine_tuning",
        "faces": "individual",
        "online": "experience_replay",
    }[_scenario(stream)]
    _take_two_steps(monkeypatch, tmp_path, stream, method)


def _take_two_steps(
    monkeypatch, folder, stream, method, traced=False, bindings=()
):
    gin_runs.stand_in(monkeypatch)
    gin_runs.load_pair(monkeypatch, folder, stream, method, bindings)
    with runs.explained():
        return gin_runs.run_pair(folder, traced)


@pytest.mark.large
@pytest.mark.parametrize("method", _METHODS)
@pytest.mark.parametrize("stream", _STREAMS)
def test_every_method_on_every_stream(stream, method, tmp_path, monkeypatch):
    try:
        _take_two_steps(monkeypatch, tmp_path, stream, method)
    except UserError as error:
        said = str(error)
        assert "\n" not in said
        if _scenario(stream) in _scenarios(method):
            assert any(way in said for way in _WAYS_OUT), said
        else:
            assert "is another kind" in said


@pytest.mark.parametrize(
    "method", ["ewc", "spg", "packnet", "hat", "joint", "rehearsal", "prognn"]
)
def test_own_images_are_learned_by(method, tmp_path, monkeypatch):
    _take_two_steps(monkeypatch, tmp_path, "folders", method)


def test_a_network_by_name_replaces_the_stream_s():
    files = parts.files([], "cifar100_10", "lasem", "lasem_cifar_6")
    for order in itertools.permutations(files):
        configuration.load(order, [])
        channels = gin.query_parameter("lasem_cnn.channels")
        assert channels == (32, 32, 64, 64, 128, 128)


def test_the_stream_s_training_is_not_mixed_with_the_method_s():
    configuration.load(parts.files([], "spg_c10", "cpg"), [])
    bound = configuration.bindings()
    # CPG's, whole; SPG's would stop at its lowest rate and not shuffle.
    assert bound["TaskTraining.optimizer"] == "@SGDNesterov"
    assert not {"TaskTraining.stop", "TaskTraining.shuffle"} & set(bound)
    assert not any(key.startswith("LossPlateau") for key in bound)
    # The batches are the stream's.
    assert bound["spg_sequence.batch_size"] == "64"


@pytest.mark.parametrize("line", ["EPOCHSS = 3", "CPG.margin = 0.1"])
def test_a_line_of_one_s_own_must_have_an_effect(line, tmp_path, monkeypatch):
    gin_runs.stand_in(monkeypatch)
    configuration.load(
        parts.files([], "digits_5", "ewc"),
        ["import tfcl.methods.cpg.cpg", line],
    )
    gin_runs.built(tmp_path).close()
    name = line.partition(" ")[0]
    with pytest.raises(UserError, match=f"#2: `{name}` has no effect"):
        configuration.check_all_used()


def test_a_network_that_no_one_asks_for_is_refused():
    files = parts.files([], "modes_cdi", "mir", "cpg_vgg")
    with pytest.raises(
        UserError, match="gin/networks/cpg_vgg.gin has no effect.*BACKBONE"
    ):
        configuration.load(files, [])


def test_names_are_checked():
    with pytest.raises(UserError, match="--stream: no stream.*'digits_5'"):
        parts.files([], "digit_5", "lasem")
    with pytest.raises(UserError, match="--method: no method.*Did you mean"):
        parts.files([], "digits_5", "lasen")
    with pytest.raises(UserError, match="Missing: --method"):
        parts.files([], "digits_5")
    assert parts.files(["gin/hat_c10.gin", "my.gin"], "spg_fe10") == [
        "gin/hat_c10.gin",
        "gin/streams/spg_fe10.gin",
        "my.gin",
    ]


def test_a_row_takes_another_stream_and_keeps_its_own_lines():
    configuration.load(parts.files(["gin/hat_c10.gin"], "spg_fe10"), [])
    bound = configuration.bindings()
    assert bound["spg_sequence.sequence"] == "'femnist_10'"
    assert bound["LossPlateauDecay.learning_rate"] == "0.05"


def test_the_listing_does_not_wait_for_tensorflow():
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "tfcl.train", "--list"],
        cwd=parts.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.startswith("Methods: --method=NAME")
    assert " tfcl.configuration" in ended.stderr
    assert "tensorflow" not in ended.stderr


def test_the_listing_has_a_sentence_for_everything():
    said = listing.listing().splitlines()
    for name in (*_METHODS, *_STREAMS, *parts.names(parts.NETWORKS)):
        (line,) = (each for each in said if each.split()[:1] == [name])
        assert len(line.split()) > 3
    assert any(line.startswith("  gin/lasem_cifar100.gin ") for line in said)


def test_the_listing_says_what_goes_together():
    lines = filter(None, listing.listing().splitlines())
    said = {line.split()[0]: line for line in lines}
    assert said["ewc"].endswith(" [task, domain, class]")
    assert said["fine_tuning"].endswith(" [task, domain, class]")
    assert said["ci_digits"].endswith(" [class]")
    assert said["[class]"].endswith("not known at test")
