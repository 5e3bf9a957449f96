"""The servers' files and what counts as ours."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision import shell
from provision.errors import PlatformError, PreconditionMissing
from rehearsal.artifacts import bundle, servers


def test_the_password_is_made_once_and_private(tmp_path: Path) -> None:
    first, second = (
        servers.credentials("rehearsal", tmp_path / "keys"),
        servers.credentials("rehearsal", tmp_path / "keys"),
    )
    assert first == second
    assert first["host"] == "10.30.0.5:5000"
    assert len(first["password"]) >= 24
    assert (tmp_path / "keys" / "registry.json").stat().st_mode & 0o777 == 0o600


def test_the_registry_is_read_only_listens_on_one_address_and_asks_for_a_password(tmp_path: Path) -> None:
    text = servers.configuration(tmp_path / "cache", tmp_path / "state")
    assert 'http: {addr: "10.30.0.5:5000"}' in text
    assert "readonly: {enabled: true}" in text
    assert f"htpasswd: {{realm: tandem, path: {tmp_path}/state/registry/htpasswd}}" in text
    assert f"rootdirectory: {tmp_path}/cache/registry" in text


def test_only_processes_with_our_mark_are_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = str(tmp_path / "registry" / "registry.yml")

    def processes() -> Iterator[tuple[int, list[str]]]:
        yield from [
            (1, ["init"]),
            (2, ["docker-registry", "serve", mark]),
            (3, ["less", "/other/registry.yml"]),
            (4, [""]),
        ]

    monkeypatch.setattr(servers, "_processes", processes)
    assert [pid for pid, _ in servers._ours(tmp_path, "registry")] == [2]
    assert not servers.is_up(tmp_path)
    assert servers.leftovers("rehearsal", tmp_path) == ["process 2 (registry of rehearsal)"]


def test_a_server_is_lost_when_its_process_ends_and_not_while_it_has_no_command_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(servers, "_processes", lambda: iter([(7, [""]), (8, [""])]))
    monkeypatch.setattr(shell, "is_alive", {7: True, 8: True, 9: False}.__getitem__)
    assert not servers._is_lost((0, 0, 0), [7, 8])
    assert servers._is_lost((0, 0, 0), [7, 9])
    assert servers._is_lost((200, 200, 200), [7, 8]), "nobody is asked for the password"
    assert servers._is_lost((401, 401, 200), [7, 8]), "the password is refused"


def test_without_the_sealed_network_nothing_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_write_htpasswd", lambda *_: None)
    with pytest.raises(PreconditionMissing, match="no network namespace"):
        servers.start("no-such-platform", cache=tmp_path / "cache", state=tmp_path / "state", config=tmp_path / "keys")


def _cache(root: Path) -> Path:
    (root / "bin" / "etcd-1-abc").mkdir(parents=True)
    (root / "bin" / "etcd-1-abc" / "etcd").write_text("binary")
    (root / "layers").mkdir()
    (root / "layers" / "a.json").write_text(json.dumps({}))
    return root


def test_a_bundle_arrives_as_it_left(tmp_path: Path) -> None:
    out = bundle.pack(_cache(tmp_path / "here"), tmp_path / "all.tgz")
    (tmp_path / "there" / "bin").mkdir(parents=True)
    assert bundle.unpack(tmp_path / "there", out) == 2
    assert (tmp_path / "there" / "bin" / "etcd-1-abc" / "etcd").read_text() == "binary"
    assert (tmp_path / "all.tgz.sha256").read_text().endswith("  all.tgz\n")


def test_an_empty_cache_is_not_packed(tmp_path: Path) -> None:
    with pytest.raises(PreconditionMissing, match="nothing to pack"):
        bundle.pack(tmp_path / "empty", tmp_path / "all.tgz")


def test_a_changed_bundle_is_refused(tmp_path: Path) -> None:
    out = bundle.pack(_cache(tmp_path / "here"), tmp_path / "all.tgz")
    with tarfile.open(out) as archive:
        archive.extractall(tmp_path / "open", filter="tar")
    (tmp_path / "open" / "bin" / "etcd-1-abc" / "etcd").write_text("other")
    with tarfile.open(tmp_path / "bad.tgz", "w:gz") as archive:
        archive.add(tmp_path / "open", ".")
    with pytest.raises(PlatformError, match="1 files are not what was packed"):
        bundle.unpack(tmp_path / "there", tmp_path / "bad.tgz")
    assert not (tmp_path / "there" / "bin").exists()
