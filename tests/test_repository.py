"""The repository that Argo CD follows: one commit for the same inputs, a bundle that git can read, waves by need."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from provision import applications, releases, repository, values
from provision.settings import load
from tests.test_releases import app, apps, within

__all__ = ["apps"]

SETTINGS = load("rehearsal")


def test_the_same_inputs_are_the_same_commit_and_others_are_not() -> None:
    one, same, other = (repository.commit({"a": text}) for text in (b"x", b"x", b"y"))
    assert one == same
    assert len({one.name, other.name}) == 2


def test_the_commit_s_name_is_what_git_would_call_it() -> None:
    """Computed by hand for a tree with one file, so that no library is taken at its word."""

    def name(kind: str, body: bytes) -> bytes:
        return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(body)) + body, usedforsecurity=False).digest()

    tree = name("tree", b"100644 a\0" + name("blob", b"x"))
    who = repository.AUTHOR + b" 0 +0000"
    message = b"What this checkout wants of this site\n"
    text = b"tree %s\nauthor %s\ncommitter %s\n\n%s" % (tree.hex().encode(), who, who, message)
    assert repository.commit({"a": b"x"}).name == name("commit", text).hex()


def test_the_bundle_says_which_commit_it_holds() -> None:
    made = repository.commit({"a": b"x"})
    head = b64decode(made.bundle).split(b"\n\n", 1)[0]
    assert head == f"# v2 git bundle\n{made.name} refs/heads/main".encode()


def test_every_application_of_argo_cd_has_a_row_and_a_chart_with_its_values() -> None:
    owned = [release for release in releases.at("kvm-tacc", SETTINGS) if release.owner == "argocd"]
    tree = repository.files([(release, values.of(release, SETTINGS)) for release in owned], SETTINGS)
    rows = yaml.safe_load(tree["platform/values.yaml"])["applications"]
    assert [row["name"] for row in rows] == [release.name for release in owned]
    assert {f"{release.name}/values.yaml" for release in owned} <= set(tree)
    assert all("secret" not in path for path in tree)


def test_a_release_waits_for_the_wave_of_what_it_needs(apps: Path) -> None:
    app(apps, "base")
    app(apps, "middle", needs='["base"]')
    app(apps, "top", needs='["middle", "base"]')
    assert repository.wave_of(releases.at("kvm-tacc", within(apps))) == {"base": 0, "middle": 1, "top": 2}


def test_what_the_base_brings_is_not_waited_for(apps: Path) -> None:
    app(apps, "top", needs='["operator"]')
    app(apps, "operator")
    kept = [release for release in releases.at("kvm-tacc", within(apps)) if release.name == "top"]
    assert repository.wave_of(kept) == {"top": 0}


@dataclass
class Cluster:
    """Argo CD with two applications. asked: which were told to sync, and with which options."""

    states: Mapping[str, Mapping[str, Any]]
    asked: list[tuple[str, list[str]]] = field(default_factory=list)

    def get(self, _kind: str, *, namespace: str, name: str = "") -> Sequence[Mapping[str, Any]]:
        found = [
            {"metadata": {"name": each}, "spec": {"syncPolicy": {"syncOptions": ["ServerSideApply=true"]}}, **state}
            for each, state in self.states.items()
        ]
        return [item for item in found if name in {"", item["metadata"]["name"]}]

    def run(self, *words: str) -> None:
        patch = json.loads(words[-1])
        operation = patch["operation"]
        assert operation["sync"]["prune"]
        assert operation["sync"]["resources"] is patch["status"]["operationState"] is None
        self.asked.append((words[2], operation["sync"]["syncOptions"]))


@pytest.mark.parametrize(
    ("root", "own", "asked"),
    [
        ("Synced", "Synced", []),
        ("Synced", "OutOfSync", ["it"]),
        ("OutOfSync", "OutOfSync", ["platform", "it"]),
        ("Synced", "Unknown", []),
    ],
)
def test_what_argo_cd_would_heal_later_it_is_told_to_heal_now(root: str, own: str, asked: list[str]) -> None:
    states = {"platform": {"status": {"sync": {"status": root}}}, "it": {"status": {"sync": {"status": own}}}}
    site: Any = SimpleNamespace(kube=Cluster(states))
    watch = applications.Watch(site, "it", clock=lambda: 0.0)
    assert watch.look().sync == watch.look().sync == own
    assert site.kube.asked == [(name, ["ServerSideApply=true"]) for name in asked]


def test_what_is_still_not_in_sync_is_pushed_again_after_a_while() -> None:
    now = [0.0]
    site: Any = SimpleNamespace(kube=Cluster({"it": {"status": {"sync": {"status": "OutOfSync"}}}}))
    watch = applications.Watch(site, "it", clock=lambda: now[0])
    for now[0] in (0.0, applications.AGAIN_S - 1, applications.AGAIN_S):
        watch.look()
    assert len(site.kube.asked) == 2


def test_what_is_being_synced_is_left_alone() -> None:
    site: Any = SimpleNamespace(kube=Cluster({"it": {"status": {"sync": {"status": "OutOfSync"}}, "operation": {}}}))
    assert applications.Watch(site, "it").look().busy
    assert site.kube.asked == []


def application(sync: str = "Synced", health: str = "Healthy", *, heals: bool = True) -> applications.Application:
    item = {
        "metadata": {"name": "it"},
        "spec": {"syncPolicy": {"automated": {"selfHeal": heals}}},
        "status": {"sync": {"status": sync, "revision": "a" * 40}, "health": {"status": health}},
    }
    return applications.parse([item])["it"]


def test_an_application_is_well_when_it_is_the_commit_healthy_and_healed() -> None:
    assert application().fault("a" * 40) == ""
    assert application().fault("b" * 40) == "at commit aaaaaaaa, want bbbbbbbb"
    assert application("OutOfSync").fault("a" * 40) == "OutOfSync, Healthy"
    assert application(health="Degraded").fault("") == "Synced, Degraded"
    assert application(heals=False).fault("") == "Argo CD does not heal it"


def test_argo_cd_s_own_words_are_kept() -> None:
    item = {
        "metadata": {"name": "it"},
        "spec": {},
        "status": {"conditions": [{"type": "ComparisonError", "message": "no such path"}]},
    }
    assert "no such path" in applications.parse([item])["it"].fault("")
