"""Where binaries come from: vendors that may be used, the throw-away main module, batches, and the refusals."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from provision import shell
from provision.errors import CommandFailed, PlatformError, PreconditionMissing, ToolMissing
from rehearsal.artifacts import binaries, golang, lock, vendor
from rehearsal.artifacts.store import Store

SHIPPED = lock.load()


class Disk(NamedTuple):
    total: int
    used: int
    free: int


def _archive(member: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        info = tarfile.TarInfo(member)
        info.size = 4
        archive.addfile(info, io.BytesIO(b"etcd"))
    return stream.getvalue()


class Vendor:
    """Stands for curl: what it was asked, and what it answers."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.probes: list[str] = []
        self.fetched: list[str] = []

    def run(self, argv: Sequence[str | Path], **_how: object) -> shell.Result:
        words = [str(word) for word in argv]
        url = words[-1]
        if "/dev/null" in words:
            self.probes.append(url)
            if not self.files:
                raise CommandFailed("curl: exit code 6", why="could not resolve host")
        else:
            self.fetched.append(url)
            if url not in self.files:
                raise CommandFailed("curl: exit code 22", why="404")
            Path(words[words.index("-o") + 1]).write_bytes(self.files[url])
        return shell.Result(tuple(words), 0, "", "", 1.5)


def _pinned(data: bytes) -> lock.Lock:
    url, member = "https://vendor/etcd.tgz", "etcd-v3/etcd"
    commands = tuple(
        command.model_copy(update={"url": url, "member": member, "sha256": hashlib.sha256(data).hexdigest()})
        for command in SHIPPED.commands["etcd"][0].commands
    )
    return SHIPPED.model_copy(
        update={"module": (SHIPPED.commands["etcd"][0].model_copy(update={"commands": commands}),)}
    )


def test_a_vendor_file_that_matches_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = _archive("etcd-v3/etcd")
    curl = Vendor({"https://vendor/etcd.tgz": data})
    monkeypatch.setattr(shell, "run", curl.run)
    pinned, store = _pinned(data), Store(tmp_path)
    rows = vendor.fetch(pinned, store, ["etcd"])
    assert [(row.name, row.source, row.seconds) for row in rows] == [("etcd", "vendor", 1.5)]
    assert store.binary(pinned, "etcd").read_bytes() == b"etcd"


def test_a_vendor_file_that_differs_stops_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "run", Vendor({"https://vendor/etcd.tgz": b"something else"}).run)
    with pytest.raises(PlatformError, match="not the published file"):
        vendor.fetch(_pinned(_archive("etcd-v3/etcd")), Store(tmp_path), ["etcd"])


def test_an_unreachable_vendor_costs_one_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    curl = Vendor({})
    monkeypatch.setattr(shell, "run", curl.run)
    assert vendor.fetch(SHIPPED, Store(tmp_path), ["kubelet", "kubeadm", "etcd"]) == []
    assert (len(curl.probes), curl.fetched) == (1, [])


def test_a_missing_vendor_file_is_built_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "run", Vendor({"https://vendor/other": b""}).run)
    assert vendor.fetch(_pinned(b"x"), Store(tmp_path), ["etcd"]) == []


def test_nobody_is_asked_for_what_no_vendor_pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    curl = Vendor({})
    monkeypatch.setattr(shell, "run", curl.run)
    assert vendor.fetch(SHIPPED, Store(tmp_path), ["helm", "sops"]) == []
    assert curl.probes == []


def test_the_main_module_repeats_replaces_and_publishes_staging() -> None:
    module = SHIPPED.commands["kubelet"][0]
    text = golang.main_module(
        "1.26.0", module, [("k8s.io/api", "", "./staging/src/k8s.io/api", ""), ("a.b/c", "v1", "d.e/f", "v2")]
    )
    assert "require k8s.io/kubernetes v1.35.4\n" in text
    assert "replace k8s.io/api => k8s.io/api v0.35.4\n" in text
    assert "replace a.b/c v1 => d.e/f v2\n" in text


def test_a_replace_by_folder_without_staging_is_left_out() -> None:
    text = golang.main_module("1.26.0", SHIPPED.commands["etcd"][0], [("go.etcd.io/etcd/api/v3", "", "../api", "")])
    assert "replace" not in text


def test_modules_of_one_batch_share_a_build_cache() -> None:
    found = golang.batches(SHIPPED, {"kubectl", "etcd", "helm"})
    assert [(batch, [module.name for module in modules]) for batch, modules in found] == [
        ("kubernetes", ["kubernetes"]),
        ("tools", ["etcd", "helm"]),
    ]


@pytest.mark.parametrize(
    ("found", "is_enough"),
    [("go1.26.8", True), ("go1.26.0", True), ("go1.19.8", False), ("go1.9", False), ("go2.0", True)],
)
def test_go_versions_compare_as_numbers(found: str, is_enough: bool) -> None:
    assert (golang.numbers(found) >= golang.numbers("1.26.0")) is is_enough


def test_without_go_nothing_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "find", lambda _tool: None)
    with pytest.raises(ToolMissing) as refused:
        golang.build(SHIPPED, Store(tmp_path), ["etcd"], tmp_path)
    assert SHIPPED.go.minimum in refused.value.next


def test_a_full_disk_is_refused_before_anything_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golang, "_require_go", lambda _lock: None)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Disk(100, 99, 23 * 2**30))
    with pytest.raises(PreconditionMissing, match="23 GiB free, 24 needed to build"):
        golang.build(SHIPPED, Store(tmp_path), ["etcd"], tmp_path)


def test_caches_of_ours_give_way_to_those_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOMODCACHE", raising=False)
    monkeypatch.setenv("GOCACHE", "/kept")
    caches = golang._caches(tmp_path, "etcd")
    assert caches["GOMODCACHE"] == str(tmp_path / "go" / "modules")
    assert "GOCACHE" not in caches


def test_served_files_have_the_paths_of_their_vendors_and_sums(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name in {name for served in SHIPPED.file for name in served.commands}:
        made = tmp_path / name
        made.write_text(name)
        store.add_binary(SHIPPED, name, made, "built", 0.0)
    for served in (served for served in SHIPPED.file if served.module):
        kept = tmp_path / "members" / f"{served.module}-{SHIPPED.modules[served.module].version}" / served.member
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(served.member)
    folder = binaries.serve_files(SHIPPED, store)
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    sums = {path: wanted for wanted, path in (line.split("  ") for line in lines)}
    assert set(sums) == {served.path for served in SHIPPED.file}
    assert all(lock.file_hash(folder / path) == wanted for path, wanted in sums.items())
    with tarfile.open(folder / next(path for path in sums if path.endswith(".tgz"))) as archive:
        assert {"bridge", "host-local", "loopback", "portmap"} <= set(archive.getnames())
