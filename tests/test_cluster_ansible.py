from __future__ import annotations

import json
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision import ansible, shell
from provision.ansible import Failure
from provision.cluster import FOLDER
from provision.errors import StepFailed
from provision.settings import ROOT

PLAYBOOKS = FOLDER / "playbooks"
LOCK = ansible.OURS.lock
OUTPUT = """\
PLAY [Prepare the hosts] *****************************************************

TASK [Write the configuration] ***********************************************
ok: [node1]

TASK [Fetch the binaries] ****************************************************
failed: [node2] (item=kubelet) => {"changed": false, "item": "kubelet", "msg": "Request failed: HTTP Error 404"}
fatal: [node1]: FAILED! => {"changed": false, "msg": "All items completed"}

PLAY RECAP *******************************************************************
"""


def test_the_first_failure_is_found_with_its_task_host_and_line() -> None:
    found = ansible.first_failure(OUTPUT.splitlines())
    assert found == Failure("Fetch the binaries", "node2", "Request failed: HTTP Error 404", 7)


def test_what_the_program_said_comes_after_ansible_s_message_without_colours() -> None:
    said = json.dumps({"msg": "non-zero return code", "stderr": "one\n\x1b[0;1mtwo\x1b[0m", "stdout": "no"})
    line = f"fatal: [node3 -> node1]: FAILED! => {said}"
    found = ansible.first_failure(["TASK [Run kubeadm join] ***", line])
    assert found == Failure("Run kubeadm join", "node3 -> node1", "non-zero return code\none\ntwo", 2)


def test_a_hidden_failure_says_that_it_is_hidden() -> None:
    line = 'fatal: [node1]: FAILED! => {"censored": "the output has been hidden", "changed": false}'
    found = ansible.first_failure([line])
    assert found is not None
    assert found.why == "the output has been hidden"


def test_a_failure_that_is_ignored_is_none() -> None:
    lines = [
        "TASK [Get currently-deployed etcd version] ***",
        'fatal: [node1]: FAILED! => {"msg": "No such file"}',
        "...ignoring",
        "TASK [Download file] ***",
        'fatal: [node2]: FAILED! => {"msg": "404"}',
    ]
    assert ansible.first_failure(lines[:3]) is None
    assert ansible.first_failure(lines) == Failure("Download file", "node2", "404", 5)


def test_progress_is_the_phase_the_count_and_the_task_that_runs() -> None:
    assert ansible.progress([]) == "starting"
    assert ansible.progress(OUTPUT.splitlines()) == "Prepare the hosts, task 2: Fetch the binaries"
    assert ansible.progress([*OUTPUT.splitlines(), *OUTPUT.splitlines()[:4]], start=10).startswith(
        "Prepare the hosts, task 1"
    )


def test_an_unreachable_host_is_a_failure_and_a_retry_is_none() -> None:
    lines = [
        "TASK [Gather] ***",
        "FAILED - RETRYING: [node1]: Read the cluster's pin (9 retries left).",
        'fatal: [node2]: UNREACHABLE! => {"msg": "Connection refused", "unreachable": true}',
    ]
    assert ansible.first_failure(lines) == Failure("Gather", "node2", "Connection refused", 3)


def test_earlier_runs_in_the_same_log_are_passed_over() -> None:
    lines = OUTPUT.splitlines()
    assert ansible.first_failure(lines, start=len(lines)) is None
    again = ansible.first_failure([*lines, *lines], start=len(lines))
    assert again is not None
    assert again.line == len(lines) + 7


def test_a_failed_playbook_names_task_host_and_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "kubespray.log"
    log.write_text("an earlier run\n")
    monkeypatch.setattr(ansible, "install", lambda _lock: tmp_path)
    monkeypatch.setattr(shell, "run", fake_run(code=2, output=OUTPUT, log=log))
    with pytest.raises(StepFailed) as caught:
        play(log)
    assert caught.value.what == "kubeadm.yml: 'Fetch the binaries' failed at node2"
    assert caught.value.log == f"{log}:8"
    assert caught.value.next == "invoke provision.kubespray"


def test_a_playbook_that_failed_silently_is_still_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "kubespray.log"
    monkeypatch.setattr(ansible, "install", lambda _lock: tmp_path)
    monkeypatch.setattr(shell, "run", fake_run(code=4, output="", log=log))
    with pytest.raises(StepFailed, match="failed at a host"):
        play(log)


def test_the_venv_is_named_after_the_lock_and_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path))
    monkeypatch.setattr(ansible, "_uv", lambda: Path("uv"))

    def run(argv: list[Any], **_given: Any) -> None:
        calls.append([str(word) for word in argv])
        folder(tmp_path).mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(shell, "run", run)
    assert ansible.install(LOCK) == ansible.install(LOCK) == folder(tmp_path) / "bin"
    assert [call[1:3] for call in calls] == [["venv", "-q"], ["pip", "sync"]]
    assert "--require-hashes" in calls[1]


@pytest.mark.parametrize("name", ["ansible", "kubespray"])
def test_the_lock_pins_ansible_core_by_hash_and_names_no_address(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.lock").read_text()
    assert "ansible-core==2.18." in text
    assert "://" not in text
    assert [line for line in text.splitlines() if "==" in line and not line.endswith("\\")] == []


def test_the_checkout_to_come_is_pinned_by_commit() -> None:
    found = tomllib.loads((FOLDER / "kubespray.lock").read_text())
    assert (found["version"], len(found["commit"])) == ("v2.31.0", 40)


PLAYS = [*sorted(PLAYBOOKS.rglob("*.yml")), *sorted((FOLDER / "around").glob("*.yml"))]


@pytest.mark.parametrize("path", PLAYS, ids=lambda path: path.name)
def test_what_handles_a_secret_is_never_logged(path: Path) -> None:
    """Every task that touches a token or the registry's password says no_log."""
    tasks = [task for task in walk(yaml.safe_load(path.read_text())) if "name" in task]
    secret = [
        task
        for task in tasks
        if any(
            word in yaml.safe_dump(own(task))
            for word in (
                "token create",
                "hosts.toml.j2",
                "join.yaml.j2",
                "docker/config.json",
                "with_credentials",
                "auths",
            )
        )
    ]
    assert [task["name"] for task in secret if task.get("no_log") is not True] == []


def play(log: Path) -> None:
    """Run the playbook that fails."""
    ansible.play(
        PLAYBOOKS / "kubeadm.yml",
        log.parent / "site" / "hosts.ini",
        home=log.parent,
        log=log,
        deadline_s=1.0,
        next="invoke provision.kubespray",
    )


def fake_run(*, code: int, output: str, log: Path) -> Any:
    """A shell.run that appends to the log and ends with a code."""

    def run(argv: Any, **_given: Any) -> shell.Result:
        log.write_text((log.read_text() if log.exists() else "") + output)
        return shell.Result(tuple(map(str, argv)), code, "", "", 0.0)

    return run


def folder(cache: Path) -> Path:
    """The venv's folder of today's lock."""
    digest = sha256(LOCK.read_bytes()).hexdigest()[:12]
    return cache / "venvs" / f"ansible-{digest}"


def walk(found: Any) -> list[dict[str, Any]]:
    """All mappings of a playbook, however deep."""
    if isinstance(found, list):
        return [task for item in found for task in walk(item)]
    if not isinstance(found, dict):
        return []
    return [found, *(task for value in found.values() for task in walk(value))]


def own(task: dict[str, Any]) -> dict[str, Any]:
    """A task without the tasks inside it."""
    return {key: value for key, value in task.items() if key not in {"block", "tasks"}}
