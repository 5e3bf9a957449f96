"""The scripts that hosts run for us, run here: files by file://, no socket, nothing started."""

from __future__ import annotations

import io
import json
import runpy
import socket
import struct
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from provision.groundwork import SCRIPTS, TOOLS


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """answer(script, asked): what it prints."""

    def run(script: str, asked: dict[str, Any]) -> Any:
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(asked)))
        runpy.run_path(str(SCRIPTS / script))
        return json.loads(capsys.readouterr().out)

    return run


def test_a_host_tells_of_its_room_limits_clock_and_missing_tools(answer: Any) -> None:
    told = answer("host_facts.py", {"tools": [*TOOLS, "no-such-tool"]})
    assert told["python"] >= [3, 8]
    assert 0 < told["free_percent"] <= 100
    assert told["free_gib"] > 0
    assert told["nofile"] > 0
    assert "no-such-tool" in told["lacks"]
    assert "tar" not in told["lacks"]


def test_every_file_is_read_whole_and_what_cannot_be_read_says_so(answer: Any, tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"x" * 3_000_000)
    (tmp_path / "SHA256SUMS").write_text("aa  there\n")
    asked = {
        "files": {"a": f"file://{tmp_path}/there", "b": f"file://{tmp_path}/gone"},
        "images": {"i": f"file://{tmp_path}/there", "j": f"file://{tmp_path}/gone"},
        "sums": f"file://{tmp_path}/SHA256SUMS",
        "auth": "dTpw",
    }
    told = answer("sources.py", asked)
    assert told["files"]["a"] == sha256(b"x" * 3_000_000).hexdigest()
    assert told["files"]["b"].startswith(f"error: file://{tmp_path}/gone: ")
    assert told["images"]["i"] == ""
    assert "gone" in told["images"]["j"]
    assert told["sums"] == "aa  there\n"
    assert "dTpw" not in json.dumps(told)


@pytest.mark.parametrize("line", ['resolvConf: "{}"', "resolvConf: {}"])
def test_the_resolvers_are_those_of_the_file_that_the_kubelet_names(
    line: str, answer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("# nameserver 9.9.9.9\nnameserver 127.0.0.53\nsearch x\nnameserver 8.8.8.8\n")
    config = tmp_path / "kubelet.yaml"
    config.write_text(f"kind: KubeletConfiguration\n{line.format(resolv)}\n")
    monkeypatch.setattr(socket, "socket", lambda *_given: Asked(reply=b""))
    told = answer("resolving.py", {"configs": ["/nowhere", str(config)], "server": "10.233.0.3", "name": "a.b"})
    assert told == {"path": str(resolv), "resolvers": ["127.0.0.53", "8.8.8.8"], "answers": []}


def test_an_answer_of_cluster_dns_is_read_as_it_comes(answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    record = b"\xc0\x0c" + struct.pack(">2HIH", 1, 1, 5, 4) + bytes([10, 233, 0, 1])
    monkeypatch.setattr(socket, "socket", lambda *_given: Asked(reply=record))
    told = answer("resolving.py", {"configs": ["/nowhere"], "server": "10.233.0.3", "name": "kubernetes.default.svc"})
    assert told["answers"] == ["10.233.0.1"]
    assert told["path"] == "/etc/resolv.conf"


class Asked:
    """A socket whose server repeats the question and adds a record; b'' stays silent."""

    def __init__(self, reply: bytes) -> None:
        self.reply = reply
        self.question = b""

    def __enter__(self) -> Asked:
        return self

    def __exit__(self, *_exc: object) -> None:
        pass

    def settimeout(self, _seconds: float) -> None:
        pass

    def sendto(self, question: bytes, place: tuple[str, int]) -> None:
        assert place == ("10.233.0.3", 53)
        self.question = question

    def recv(self, _size: int) -> bytes:
        if not self.reply:
            raise TimeoutError
        return self.question + self.reply
