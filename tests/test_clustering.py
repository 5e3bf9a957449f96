"""cluster.*: what is asked before, what is refused, and what is said after. Playbooks are not run here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from provision import checkout, clustering, kubespray, operations, say
from provision.cluster import AROUND, Node, Seen
from provision.commands import Options
from provision.errors import PreconditionMissing, UsageError
from provision.settings import load

KVM = Options(env="chameleon", site="kvm-tacc", platform="case", yes=True)


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done; the cluster was made by Kubespray."""
    found: list[str] = []
    settings = load("chameleon", platform="case")

    @contextmanager
    def session(*_given: object) -> Iterator[tuple[None, Mapping[str, Any]]]:
        yield None, {name: SimpleNamespace(name=name, own=settings.sites[name]) for name in settings.sites}

    monkeypatch.setattr(clustering, "session", session)
    monkeypatch.setattr(clustering, "_seen", lambda _site: Seen((), True, "", "", "kubespray"))
    monkeypatch.setattr(checkout, "obtain", lambda: "tree")
    monkeypatch.setattr(kubespray, "_inventory", lambda site, _sums: f"{site.name}/hosts.ini")
    monkeypatch.setattr(
        kubespray, "_play", lambda _site, _tree, name, hosts, *words: found.append(" ".join((name, hosts, *words)))
    )
    return found


def test_a_worker_is_removed_without_a_question_of_kubespray_s_own(done: list[str]) -> None:
    told = clustering.remove_node(KVM, "node3")
    assert done == ["remove_node kvm-tacc/hosts.ini -e node=node3 -e skip_confirmation=true"]
    assert (told["ok"], told["node"]) == (True, "node3")


@pytest.mark.parametrize("node", ["node1", "node9", "node2,node3", "all"])
def test_nothing_but_one_worker_is_removed(node: str, done: list[str]) -> None:
    with pytest.raises(PreconditionMissing) as caught:
        clustering.remove_node(KVM, node)
    assert "node2, node3" in caught.value.why
    assert done == []


def test_a_cluster_of_another_engine_is_left_alone(done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustering, "_seen", lambda _site: Seen((), True, "", "", "kubeadm"))
    with pytest.raises(PreconditionMissing, match="not a cluster of Kubespray"):
        clustering.remove_node(KVM, "node3")
    with pytest.raises(PreconditionMissing, match="not a cluster of Kubespray"):
        clustering.reset(KVM)
    assert done == []


def test_a_reset_needs_no_cluster_that_answers(done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustering, "_seen", lambda _site: None)
    clustering.reset(KVM)
    assert done == ["reset kvm-tacc/hosts.ini -e reset_confirmation=true -e skip_confirmation=true"]


def test_both_need_one_site_and_a_word(done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="which site"):
        clustering.reset(Options(env="chameleon", platform="case", yes=True))
    monkeypatch.setattr(say, "has_terminal", lambda: False)
    with pytest.raises(UsageError, match="no terminal"):
        clustering.reset(Options(env="chameleon", site="kvm-tacc", platform="case"))
    monkeypatch.setattr(say, "has_terminal", lambda: True)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(readline=lambda: "yes\n"))
    with pytest.raises(UsageError, match="not confirmed"):
        clustering.remove_node(Options(env="chameleon", site="kvm-tacc", platform="case"), "node3")
    assert done == []


def test_an_upgrade_is_judged_node_by_node() -> None:
    nodes = [Node("a", "1.35.4"), Node("b", "1.34.7"), Node("c", "1.33.1"), Node("d", "1.36.0"), Node("e", "1.35.2+x")]
    assert operations.upgrades(nodes, "1.35.4") == {
        "a": "current",
        "b": "upgrade from 1.34.7",
        "c": "refused: 1.35.4 is 2 minor versions on; kubeadm goes one at a time",
        "d": "refused: 1.35.4 is older",
        "e": "upgrade from 1.35.2+x",
    }


def test_every_playbook_that_is_named_exists() -> None:
    """And imports Kubespray's own of the checkout, by the variable that every run is given."""
    for name in kubespray.DEADLINE_S:
        text = (AROUND / f"{name}.yml").read_text()
        assert 'import_playbook: "{{ kubespray }}/playbooks/' in text
    assert kubespray.words(kubespray.LOCK, sealed=False) == ["-e", f"kubespray={kubespray.LOCK}"]
    assert "--skip-tags" in kubespray.words(kubespray.LOCK, sealed=True)


def test_host_keys_are_never_given_up_for_kubespray() -> None:
    """Its own ansible.cfg accepts any; ours is used, and leaves them to our ssh_config."""
    text = kubespray.CONFIG.read_text()
    assert "host_key_checking = True" in text
    assert "UserKnownHostsFile" not in text
    assert "ssh_args =\n" in text
