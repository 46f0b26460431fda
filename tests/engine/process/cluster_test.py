"""TF_CONFIG: good ones work, however written; all others end in one line."""

import json
import os

import pytest

from tfcl.engine.process.cluster import read_cluster
from tfcl.engine.runtime import Runtime, is_chief
from tfcl.errors import UserError

_TWO = {"worker": ["a:1", "b:2"]}
_FIRST = {"type": "worker", "index": 0}


def _set(monkeypatch, config):
    text = config if isinstance(config, str) else json.dumps(config)
    monkeypatch.setenv("TF_CONFIG", text)


def test_workers_come_in_order_with_the_chief_first(monkeypatch):
    cluster = {"worker": ["a:1", "[::1]:65535"], "chief": ["c:3"]}
    task = {"type": "worker", "index": 1}
    _set(monkeypatch, {"cluster": cluster, "task": task})
    found = read_cluster()
    assert found.names == ["chief 0", "worker 0", "worker 1"]
    assert [address for *_, address in found.tasks] == [
        ("c", 3),
        ("a", 1),
        ("::1", 65535),
    ]
    assert found.mine == 2 and not found.is_alone


def test_an_index_may_be_a_text_and_tensorflow_gets_a_number(monkeypatch):
    task = {"type": "worker", "index": "1"}
    _set(monkeypatch, {"cluster": _TWO, "task": task, "environment": "cloud"})
    assert read_cluster().mine == 1
    assert json.loads(os.environ["TF_CONFIG"]) == {
        "cluster": _TWO,
        "task": {"type": "worker", "index": 1},
        "environment": "cloud",
    }


def test_a_cluster_of_one_simply_works(monkeypatch):
    _set(monkeypatch, {"cluster": {"worker": ["localhost:1"]}, "task": _FIRST})
    strategy = Runtime().strategy("multi_worker")
    assert strategy.num_replicas_in_sync == 1
    assert is_chief(strategy)


@pytest.mark.parametrize(
    "config, told",
    [
        ("", "needs the environment variable TF_CONFIG"),
        ("{", "is no JSON"),
        ("[]", r"is no object: \[\]"),
        ("{}", "names no worker"),
        ({"cluster": {}, "task": _FIRST}, "names no worker"),
        ({"cluster": {"worker": []}, "task": _FIRST}, "names no worker"),
        ({"cluster": ["a:1"], "task": _FIRST}, "names no worker"),
        ({"cluster": {"worker": "a:1"}, "task": _FIRST}, "must have a list"),
        ({"cluster": {"worker": ["a:99999"]}, "task": _FIRST}, "'a:99999'"),
        ({"cluster": {"worker": ["a:0"]}, "task": _FIRST}, "'a:0'"),
        ({"cluster": {"worker": ["a"]}, "task": _FIRST}, "no host:port"),
        ({"cluster": {"worker": [7]}, "task": _FIRST}, "no host:port"),
        ({"cluster": {"worker": ["a:1"] * 2}, "task": _FIRST}, "a:1 twice"),
        ({"cluster": {**_TWO, "ps": ["c:3"]}, "task": _FIRST}, "has ps; only"),
        ({"cluster": {"chief": ["c:3", "d:4"]}, "task": _FIRST}, "chiefs"),
        ({"cluster": _TWO}, "which worker this is"),
        ({"cluster": _TWO, "task": []}, "which worker this is"),
        ({"cluster": _TWO, "task": {"type": "worker"}}, "which worker"),
        ({"cluster": _TWO, "task": {**_FIRST, "index": -1}}, "which worker"),
        ({"cluster": _TWO, "task": {**_FIRST, "index": 2}}, "worker' 2, but"),
        ({"cluster": _TWO, "task": {**_FIRST, "type": "chief"}}, "but the cl"),
        ({"cluster": _TWO, "task": {"type": 3, "index": 0}}, "which worker"),
    ],
)
def test_any_other_tf_config_ends_in_one_line(monkeypatch, config, told):
    _set(monkeypatch, config)
    with pytest.raises(UserError, match=told) as error:
        Runtime().strategy("multi_worker")
    assert "\n" not in str(error.value)
    assert '"task": {"type": "worker", "index": 0}' in str(error.value)
