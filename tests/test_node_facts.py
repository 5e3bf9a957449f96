"""A host's answer, read."""

from __future__ import annotations

import json

from provision.node_facts import SCRIPT, Told, parse

ANSWER = {
    "cloud_init": "done",
    "disk": {"there": True, "mounted": False},
    "files": {"/a": "d 600"},
    "firewall": ["22/tcp"],
    "gpus": 1,
}


def test_an_answer_is_read() -> None:
    assert parse(json.dumps(ANSWER)) == Told(
        answers=True, cloud_init="done", disk=True, files={"/a": "d 600"}, firewall=("22/tcp",), gpus=1
    )


def test_a_host_without_the_volume_says_nothing_of_it() -> None:
    told = parse(json.dumps({**ANSWER, "disk": {}}))
    assert (told.disk, told.mounted) == (False, False)


def test_the_script_is_python() -> None:
    compile(SCRIPT, "node_facts", "exec")
