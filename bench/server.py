"""One server process: started on a free port of loopback, awaited, weighed, and ended again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import load
from bench.peers import Peer
from bench.venvs import Unavailable
from provision.errors import DeadlineExceeded, DeadState
from provision.wait import wait_until

READY_S = 180.0
STOP_S = 15.0
TAIL = 600  # characters of a log that tell why
USER_TICKS = 11  # field of /proc/PID/stat after the name, the kernel's ticks follow it


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers. ready_s: from its start to its first answer."""

    peer: Peer
    port: int
    process: subprocess.Popen[bytes]
    ready_s: float

    def rss_mib(self) -> int:
        """Resident memory now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) // 1024

    def cpu_s(self) -> float:
        """Processor time so far, of all its threads, of a core."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return sum(map(int, fields[USER_TICKS : USER_TICKS + 2])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(peer: Peer, models: Path, log: Path) -> Iterator[Running]:
    """Raises Unavailable with the log's tail when it does not come up."""
    port = _free_port()
    words = peer.argv(port, models)
    began = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            words,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **peer.environment(port, models)},
            start_new_session=True,
        )
    try:
        _await(peer, port, process, log)
        yield Running(peer, port, process, time.perf_counter() - began)
    finally:
        _end(process)


def _await(peer: Peer, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    def state() -> str:
        if process.poll() is not None:
            return "exited"
        return "answers" if _answers(port, peer.health) else "starting"

    try:
        wait_until(f"{peer.name} answers", state, "answers".__eq__, "exited".__eq__, deadline_s=READY_S, every_s=0.05)
    except (DeadState, DeadlineExceeded) as error:
        raise Unavailable(f"{peer.name} did not start", why=log.read_text(errors="replace")[-TAIL:]) from error


def _answers(port: int, path: str) -> bool:
    try:
        return load.ask(port, path, None)[0] == 200
    except (OSError, load.ServerFailed):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((load.HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _end(process: subprocess.Popen[bytes]) -> None:
    """The server and what it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(STOP_S)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
