"""Release files that only Kubespray asks for: where they are looked for, checked, and served."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from provision import checkout
from provision.errors import PlatformError
from rehearsal import artifacts
from rehearsal.artifacts import lock, releases, vendor
from rehearsal.artifacts.store import Store

LOCK = lock.load()


def test_only_what_the_lock_does_not_make_is_a_release_file() -> None:
    assert [file.name for file in releases.wanted(LOCK)] == ["etcd", "runc", "containerd", "nerdctl", "crictl"]


def test_what_both_engines_install_is_the_same_version_everywhere() -> None:
    """The artifact lock's own pins of a vendor's file are Kubespray's."""
    pins = {command.url.removeprefix("https://"): command.sha256 for _, command in LOCK.commands.values()}
    shared = [file for file in checkout.lock().files if file.path in pins]
    assert [file.name for file in shared] == ["kubelet", "kubectl", "kubeadm", "etcd", "cni"]
    assert [file.name for file in shared if pins[file.path] != file.sha256] == []
    images = {image.ref for image in LOCK.image}
    assert set(checkout.lock().images) <= images


def test_a_file_put_by_hand_is_no_longer_missing(tmp_path: Path) -> None:
    assert list(releases.missing(LOCK, tmp_path)) == ["etcd", "runc", "containerd", "nerdctl", "crictl"]
    put(tmp_path, "crictl", b"any")
    assert "crictl" not in releases.missing(LOCK, tmp_path)
    assert artifacts.missing_releases(tmp_path)["nerdctl"].endswith("nerdctl-2.2.2-linux-amd64.tar.gz")


def test_what_is_there_is_served_beside_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = served(tmp_path)
    digest = sha256(b"crictl's").hexdigest()
    pin(monkeypatch, "crictl", digest)
    put(tmp_path, "crictl", b"crictl's")
    releases.serve(LOCK, Store(tmp_path), folder)
    releases.serve(LOCK, Store(tmp_path), folder)
    path = file("crictl").path
    assert (folder / path).read_bytes() == b"crictl's"
    assert (folder / "SHA256SUMS").read_text() == f"aa  dl.k8s.io/kubelet\n{digest}  {path}\n"


def test_a_file_with_another_sum_is_never_served(tmp_path: Path) -> None:
    folder = served(tmp_path)
    put(tmp_path, "runc", b"something else")
    with pytest.raises(PlatformError, match="not the published file"):
        releases.serve(LOCK, Store(tmp_path), folder)
    assert (folder / "SHA256SUMS").read_text() == "aa  dl.k8s.io/kubelet\n"


def test_nobody_is_asked_for_them_without_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def is_reachable(url: str) -> bool:
        asked.append(url)
        return False

    monkeypatch.setattr(vendor, "is_reachable", is_reachable)
    monkeypatch.setattr(checkout, "missing", lambda: "cluster/kubespray is empty")
    releases.fetch(LOCK, Store(tmp_path))
    assert asked == []
    assert releases.state(LOCK, tmp_path) == ""
    monkeypatch.setattr(checkout, "missing", lambda: "")
    releases.fetch(LOCK, Store(tmp_path))
    assert asked == [f"https://{file('etcd').path}"]


def test_a_checkout_or_a_file_that_has_come_makes_the_artifacts_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkout, "missing", lambda: "")
    before = releases.state(LOCK, tmp_path)
    put(tmp_path, "crictl", b"any")
    assert len({"", before, releases.state(LOCK, tmp_path)}) == 3


def file(name: str) -> checkout.File:
    """A file of the lock."""
    return next(file for file in checkout.lock().files if file.name == name)


def put(cache: Path, name: str, content: bytes) -> None:
    """Put a release file where a person would."""
    path = releases.place(cache, file(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def pin(monkeypatch: pytest.MonkeyPatch, name: str, digest: str) -> None:
    """Let the lock name another sum."""
    told = checkout.lock()
    files = tuple(replace(file, sha256=digest) if file.name == name else file for file in told.files)
    monkeypatch.setattr(checkout, "lock", lambda: replace(told, files=files))


def served(cache: Path) -> Path:
    """A folder of served files with one in it."""
    folder = cache / "files" / "key"
    folder.mkdir(parents=True)
    (folder / "SHA256SUMS").write_text("aa  dl.k8s.io/kubelet\n")
    return folder
