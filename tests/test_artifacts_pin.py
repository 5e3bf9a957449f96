"""Filling checksums in: what counts as an answer, and that only the asked line changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from provision import shell
from provision.errors import CommandFailed
from rehearsal.artifacts import lock, pin

A, B = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    ("sums", "found"),
    [
        (f"{A}\n", A),
        (f"{A}  tool.tgz\n", A),
        (f"{A} *tool.tgz\n{B} *other.tgz\n", A),
        (f"{A}  release/tool.tgz", A),
        (f"{B}  other.tgz", ""),
        ("<html>not found</html>", ""),
        (f"{A}  tool.tgz\n{B}  tool.tgz", ""),
        ("", ""),
    ],
)
def test_a_checksum_is_taken_only_where_it_is_sure(sums: str, found: str) -> None:
    assert pin.find(sums, "tool.tgz") == found


def test_filling_pins_what_answers_and_leaves_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock.toml"
    path.write_text(lock.LOCK.read_text())

    def run(argv: Sequence[str | Path], **_how: object) -> shell.Result:
        url = str(argv[-1])
        if "helm" not in url:
            raise CommandFailed("curl: exit code 6")
        return shell.Result((), 0, f"{A}  {url.rsplit('/', 1)[1].removesuffix('.sha256sum')}\n", "", 0.1)

    monkeypatch.setattr(shell, "run", run)
    assert [url.rsplit("/", 1)[1] for url in pin.fill(path)] == ["helm-v3.22.0-linux-amd64.tar.gz"]
    commands = lock.load(path).commands
    assert commands["helm"][1].sha256 == A
    assert commands["sops"][1].sha256 == lock.UNRESOLVED
    assert commands["kubelet"][1] == lock.load().commands["kubelet"][1]
