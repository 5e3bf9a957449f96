"""Kubespray's runs: in which order, with what, and what is looked at before and after. No playbook is started."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provision import aftercare, ansible, checkout, cluster, groundwork, kubespray, shell
from provision.errors import CommandFailed, PreconditionMissing, StepFailed
from provision.settings import load

SETTINGS = load("chameleon", platform="case")
FILES = {file.path: file.sha256 for file in checkout.lock().files}
GOOD: dict[str, dict[str, Any]] = {
    "host_facts.py": {"python": [3, 12], "free_gib": 30, "free_percent": 70, "nofile": 1048576, "lacks": []},
    "sources.py": {"sums": "", "files": FILES, "images": dict.fromkeys(checkout.lock().images, "")},
    "resolving.py": {"path": "/etc/resolv.conf", "resolvers": ["8.8.8.8"], "answers": ["10.233.0.1"]},
}
SCRIPTS = {path.read_text(): path.name for path in groundwork.SCRIPTS.glob("*.py")}


class Told:
    """Hosts that answer what they are told to. told: script -> answer, or node -> script -> answer."""

    config = Path("ssh_config")

    def __init__(self, **nodes: Mapping[str, Any]) -> None:
        self.nodes = nodes
        self.asked: list[tuple[str, str]] = []

    def run(self, node: str, argv: Sequence[str], **given: Any) -> shell.Result:
        script = SCRIPTS[argv[2]]
        self.asked.append((node, script))
        assert "auth" not in " ".join(argv[3:])
        answer = self.nodes.get(node, {}).get(script, GOOD[script])
        if isinstance(answer, Exception):
            raise answer
        return shell.Result(tuple(argv), 0, json.dumps({"clock": time.time(), **answer}), "", 0.0)


@pytest.fixture
def plays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, tuple[str, ...]]]:
    """The playbooks that were started, with the words of the command line."""
    found: list[tuple[str, tuple[str, ...]]] = []

    def play(playbook: Path, _hosts: Path, *, words: Sequence[str], **given: Any) -> None:
        assert given["kit"].env["ANSIBLE_CACHE_PLUGIN_CONNECTION"].endswith("facts-kvm-tacc")
        found.append((playbook.name, tuple(words)))

    monkeypatch.setattr(ansible, "play", play)
    monkeypatch.setattr(checkout, "obtain", lambda: tmp_path / "tree")
    monkeypatch.setattr(cluster, "inventory_dir", lambda _settings, site: tmp_path / site)
    return found


def test_a_cluster_is_looked_at_made_and_looked_at(plays: list[tuple[str, tuple[str, ...]]], tmp_path: Path) -> None:
    hosts = Told()
    kubespray.run(site(hosts), "cluster")
    assert plays == [("cluster.yml", ("-e", f"kubespray={tmp_path}/tree"))]
    assert sorted(set(hosts.asked)) == sorted(
        [
            *((f"node{n}", name) for n in (1, 2, 3) for name in ("host_facts.py", "resolving.py")),
            ("node1", "sources.py"),
        ]
    )
    assert (tmp_path / "kvm-tacc" / cluster.CHECKSUMS).read_text() == "{}\n"


def test_a_scale_prepares_all_runs_over_the_new_and_gives_all_back(plays: list[tuple[str, tuple[str, ...]]]) -> None:
    kubespray.run(site(Told()), "scale", ("node2", "node3"))
    assert [(name, words[2:]) for name, words in plays] == [
        ("facts.yml", ()),
        ("scale.yml", ("--limit", "node2,node3")),
        ("after.yml", ()),
    ]


def test_nothing_is_started_where_it_would_fail_and_every_reason_is_told(
    plays: list[tuple[str, tuple[str, ...]]],
) -> None:
    sources = {**GOOD["sources.py"], "files": {**FILES, next(iter(FILES)): "error: https://dl.k8s.io: 404"}}
    full = {**GOOD["host_facts.py"], "free_percent": 9}
    with pytest.raises(PreconditionMissing) as caught:
        kubespray.run(site(Told(node1={"sources.py": sources}, node3={"host_facts.py": full})), "cluster")
    assert plays == []
    first, second = caught.value.why.splitlines()
    assert first == "node3: 9 % of its disk free: under 15 % a kubelet deletes images"
    assert second.endswith("kubelet: https://dl.k8s.io: 404")


def test_a_host_that_does_not_answer_ends_it_too(plays: list[tuple[str, tuple[str, ...]]]) -> None:
    dead = Told(node2={"host_facts.py": CommandFailed("ssh", why="Connection refused")})
    with pytest.raises(PreconditionMissing, match="node2 did not answer"):
        kubespray.run(site(dead), "cluster")
    assert plays == []


def test_green_with_a_resolver_loop_is_a_failure(
    plays: list[tuple[str, tuple[str, ...]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aftercare, "DEADLINE_S", 0.0)
    loop = {**GOOD["resolving.py"], "resolvers": ["10.233.0.3"]}
    with pytest.raises(StepFailed, match="ended green, but names do not resolve") as caught:
        kubespray.run(site(Told(node2={"resolving.py": loop})), "cluster")
    assert caught.value.why.startswith("node2: /etc/resolv.conf names cluster DNS")
    assert [name for name, _ in plays] == ["cluster.yml"]


def test_two_sites_never_share_facts_nor_a_checkout_its_byte_code(tmp_path: Path) -> None:
    kit = kubespray.kit(tmp_path, tmp_path / "facts")
    assert kit.env["PYTHONDONTWRITEBYTECODE"] == "1"
    assert kit.env["ANSIBLE_LIBRARY"].split(":")[0] == str(cluster.FOLDER / "playbooks" / "library")
    assert kit.lock.name == "kubespray.lock"


def site(hosts: Told) -> Any:
    """kvm-tacc of the testbed."""
    return SimpleNamespace(
        name="kvm-tacc",
        settings=SETTINGS,
        own=SETTINGS.sites["kvm-tacc"],
        hosts=hosts,
        log=lambda step: Path(f"{step}.log"),
    )
