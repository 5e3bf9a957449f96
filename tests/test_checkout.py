"""Which engine is chosen and why; what is taken for Kubespray's checkout."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest

from provision import checkout, embedded, engines, shell
from provision.engines import Choice
from provision.errors import CommandFailed, PreconditionMissing
from provision.settings import ENVIRONMENTS, ROOT, Settings, parse


@pytest.fixture(autouse=True)
def empty_submodule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clone as git leaves it, whatever this checkout has."""
    (tmp_path / "submodule").mkdir()
    monkeypatch.setattr(checkout, "SUBMODULE", tmp_path / "submodule")
    monkeypatch.delenv(checkout.SOURCE, raising=False)


def test_submodule_and_lock_name_one_repository() -> None:
    modules = ConfigParser()
    modules.read_string((ROOT / ".gitmodules").read_text().replace("\t", ""))
    told = modules['submodule "cluster/kubespray"']
    assert (told["path"], told["url"]) == ("cluster/kubespray", checkout.lock().repository)
    assert len(checkout.lock().commit) == 40


def test_the_lock_s_versions_are_those_that_the_kubeadm_engine_installs() -> None:
    found = {file.name: file.version for file in checkout.lock().files}
    engine = (ROOT / "cluster" / "playbooks" / "vars" / "engine.yml").read_text()
    assert f"cni_version: {found['cni']}\n" in engine
    assert f"etcd_image_tag: {found['etcd']}-0\n" in engine
    for name in ("rehearsal", "chameleon"):
        version = tomllib.loads((ENVIRONMENTS / f"{name}.toml").read_text())["kubernetes"]["version"]
        assert version == checkout.lock().kubernetes == found["kubelet"] == found["kubeadm"]


def test_a_clone_without_network_uses_kubeadm_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    found = engines.choose(settings("rehearsal"))
    assert found.engine == "kubeadm"
    assert found.text().startswith("kubeadm (not kubespray: cluster/kubespray is empty; no release of etcd, runc,")
    assert engines.refusals(settings("rehearsal")) == ()


def test_the_testbed_has_kubespray_or_nothing() -> None:
    assert engines.choose(settings("chameleon")) == Choice("kubespray")
    (refusal,) = engines.refusals(settings("chameleon"))
    assert "cluster/kubespray is empty" in refusal.why
    assert refusal.next.startswith("git submodule update --init cluster/kubespray")


def test_checkout_and_files_make_the_rehearsal_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    populate(checkout.SUBMODULE)
    assert engines.choose(settings("rehearsal")).why.startswith("no release of etcd")
    monkeypatch.setattr(embedded, "missing_releases", lambda _settings: {})
    assert engines.choose(settings("rehearsal")) == Choice("kubespray")
    assert engines.refusals(settings("chameleon")) == ()


@pytest.mark.parametrize("where", ["https://example.org/k.git", "bare", "tree"])
def test_another_source_may_be_a_url_a_bare_repository_or_a_checkout(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bare" / "objects").mkdir(parents=True)
    (tmp_path / "bare" / "HEAD").touch()
    populate(tmp_path / "tree")
    monkeypatch.setenv(checkout.SOURCE, where if "://" in where else str(tmp_path / where))
    assert checkout.missing() == ""


def test_a_source_that_is_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(checkout.SOURCE, str(tmp_path))
    assert checkout.missing() == f"{checkout.SOURCE}={tmp_path} is no checkout"
    with pytest.raises(PreconditionMissing, match="no checkout of Kubespray"):
        checkout.obtain()


def test_what_was_fetched_before_serves_an_empty_submodule_but_no_wrong_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path))
    populate(tmp_path / "kubespray" / checkout.lock().commit[:12])
    assert checkout.missing() == ""
    monkeypatch.setenv(checkout.SOURCE, str(tmp_path))
    assert checkout.missing() != ""


def test_the_locked_commit_unedited_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    populate(checkout.SUBMODULE)
    git(monkeypatch, commit=checkout.lock().commit)
    assert checkout.obtain() == checkout.SUBMODULE


@pytest.mark.parametrize(
    "told, why",
    [
        ({"commit": "0" * 40}, "is at 0000"),
        ({"edits": " M roles/reset/tasks/main.yml"}, "has been edited:\n M roles/reset"),
        ({"edits": "?? roles/mine/"}, "has been edited:\n?? roles/mine/"),
        ({"top": "/somewhere/else"}, "is at"),
        ({"known": False}, "git does not know it"),
    ],
)
def test_anything_else_is_refused(told: dict[str, Any], why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    populate(checkout.SUBMODULE)
    git(monkeypatch, **{"commit": checkout.lock().commit, **told})
    with pytest.raises(PreconditionMissing) as caught:
        checkout.obtain()
    assert why in caught.value.why


def test_a_url_is_fetched_from_once_and_only_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(checkout.SOURCE, "https://example.org/k.git")
    calls = git(monkeypatch, commit=checkout.lock().commit)
    found = checkout.obtain()
    fetched = [call for call in calls if "fetch" in call]
    assert [call[-4:] for call in fetched] == [["--depth", "1", "https://example.org/k.git", checkout.lock().commit]]
    assert checkout.obtain() == found
    assert len([call for call in calls if "fetch" in call]) == 1


def settings(env: str) -> Settings:
    """An environment's settings."""
    path = ENVIRONMENTS / f"{env}.toml"
    return parse(path, path.read_text(), env=env, platform="case")


def populate(folder: Path) -> None:
    """Enough to be taken for a checkout."""
    (folder / "playbooks").mkdir(parents=True)
    (folder / "playbooks" / "cluster.yml").touch()


def git(
    monkeypatch: pytest.MonkeyPatch, *, commit: str, edits: str = "", top: str = "", known: bool = True
) -> list[list[str]]:
    """A git that answers so; returns what it was asked."""
    calls: list[list[str]] = []

    def run(argv: Sequence[object], **_given: object) -> shell.Result:
        words = [str(word) for word in argv]
        calls.append(words)
        if not known:
            raise CommandFailed("git", why="fatal: not a git repository")
        if words[3] == "checkout":
            populate(Path(words[2]))
        answers = {"HEAD": commit, "--show-toplevel": top or str(Path(words[2]).resolve()), "--porcelain": edits}
        return shell.Result(tuple(words), 0, answers.get(words[-1], ""), "", 0.0)

    monkeypatch.setattr(shell, "run", run)
    return calls
