"""The only door to subprocesses. Arguments are lists, deadlines are required, exit codes that are answers are named.

Standard library only: the rehearsal imports this inside another virtual environment.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from provision import say
from provision.errors import CommandFailed, DeadlineExceeded, ToolMissing

HEARTBEAT_S = 30.0
# A run killed with SIGKILL cannot end its commands: the kernel does it (util-linux; elsewhere they end alone).
LEASH = ("setpriv", "--pdeathsig", "KILL", "--")
_running: set[int] = set()
TAIL_LINES = 12


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended. stdout is empty where the output went to a log."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str
    seconds: float


def run(
    argv: Sequence[str | Path],
    *,
    deadline_s: float,
    ok: Sequence[int] = (0,),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    redact: Sequence[str] = (),
    log: Path | None = None,
    heartbeat: str | Callable[[], str] = "",
) -> Result:
    """Run to the end. `ok`: exit codes that are answers; any other is CommandFailed with the output's tail.

    env: added to ours. stdin: text sent in. redact: strings replaced in every message.
    log: output is appended there, not captured. heartbeat: what to say every 30 s while it runs, or who tells.
    Raises ToolMissing, CommandFailed, DeadlineExceeded.
    """
    words = tuple(str(word) for word in argv)
    started = time.monotonic()
    with _Output(log) as output:
        process = _start(words, env, cwd, stdin, output)
        _running.add(process.pid)
        beat = _Heartbeat(heartbeat) if heartbeat else None
        try:
            out, err = process.communicate(stdin, timeout=deadline_s)
        except subprocess.TimeoutExpired as expired:
            _end_group(process)
            raise DeadlineExceeded(
                f"{_shown(words, redact)}: not within {deadline_s:.0f} s", why=_tail(log, ""), log=str(log or "")
            ) from expired
        except KeyboardInterrupt:
            _end_group(process)
            raise
        finally:
            _running.discard(process.pid)
            if beat:
                beat.stop()
    result = Result(words, process.returncode, out or "", err or "", time.monotonic() - started)
    if result.code not in ok:
        why = _hide(_tail(log, result.stdout + result.stderr), redact)
        raise CommandFailed(f"{_shown(words, redact)}: exit code {result.code}", why=why, log=_place(log))
    return result


def spawn(
    argv: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> int:
    """Start a daemon in a session of its own, output appended to `log`; returns its pid at once."""
    words = tuple(str(word) for word in argv)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
            )
        except FileNotFoundError as missing:
            raise ToolMissing(f"{words[0]}: not on this machine", next="./tandem invoke doctor") from missing
    # Reaped by a thread, so that a daemon that dies while we live does not look alive as a zombie.
    threading.Thread(target=process.wait, daemon=True).start()
    return process.pid


def interrupt() -> None:
    """End every command that runs now: on Ctrl-C, which the commands, in sessions of their own, did not see."""
    for pid in list(_running):
        try:
            os.killpg(pid, signal.SIGTERM)
        except ProcessLookupError:
            continue


def find(tool: str) -> Path | None:
    """Where a program is, or None."""
    found = shutil.which(tool)
    return Path(found) if found else None


def is_alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        return False
    return state not in {"Z", "X"}


def end(pid: int, *, deadline_s: float = 10.0) -> None:
    """Ask one process to stop, then make it; silent if it is gone. Only ever called with ids we started ourselves."""
    from provision.wait import never, wait_until  # wait imports nothing of ours that needs shell

    for number, grace_s in ((signal.SIGTERM, deadline_s), (signal.SIGKILL, 5.0)):
        if not is_alive(pid):
            return
        try:
            os.kill(pid, number)
            wait_until(
                f"process {pid} gone",
                lambda: is_alive(pid),
                lambda alive: not alive,
                never,
                deadline_s=grace_s,
                every_s=0.05,
            )
        except ProcessLookupError:
            return
        except DeadlineExceeded:
            continue


class _Output:
    """Where stdout and stderr go: pipes, or one log file."""

    def __init__(self, log: Path | None) -> None:
        self.log = log
        self.file: int | None = None

    def __enter__(self) -> _Output:
        if self.log is not None:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            self.file = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return self

    def __exit__(self, *_exc: object) -> None:
        if self.file is not None:
            os.close(self.file)


class _Heartbeat:
    """Says a line every 30 s until stopped."""

    def __init__(self, what: str | Callable[[], str]) -> None:
        self.what = what
        self.over = threading.Event()
        self.started = time.monotonic()
        threading.Thread(target=self._beat, daemon=True).start()

    def _beat(self) -> None:
        while not self.over.wait(HEARTBEAT_S):
            what = self.what if isinstance(self.what, str) else self.what()
            say.line("tandem", "wait", f"{what} ({time.monotonic() - self.started:.0f} s)")

    def stop(self) -> None:
        self.over.set()


def _start(
    words: tuple[str, ...], env: Mapping[str, str] | None, cwd: Path | None, stdin: str | None, output: _Output
) -> subprocess.Popen[str]:
    whole = {**os.environ, **(env or {})}
    if shutil.which(words[0], path=whole.get("PATH")) is None:
        raise ToolMissing(f"{words[0]}: not on this machine", why="not on PATH", next="./tandem invoke doctor")
    return subprocess.Popen(
        (*LEASH, *words) if shutil.which(LEASH[0]) else words,
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE if output.file is None else output.file,
        stderr=subprocess.PIPE if output.file is None else subprocess.STDOUT,
        env=whole,
        cwd=cwd,
        text=True,
        errors="replace",
        start_new_session=True,
    )


def _end_group(process: subprocess.Popen[str]) -> None:
    """The command may have children: it got a session of its own, so its whole group can be ended."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.wait()


def _shown(words: Sequence[str], redact: Sequence[str]) -> str:
    text = _hide(" ".join(words), redact)
    return text if len(text) <= 200 else text[:197] + "..."


def _hide(text: str, redact: Sequence[str]) -> str:
    for secret in redact:
        if secret:
            text = text.replace(secret, "***")
    return text


def _tail(log: Path | None, captured: str) -> str:
    text = log.read_text(errors="replace") if log is not None and log.exists() else captured
    return "\n".join(text.strip().splitlines()[-TAIL_LINES:])


def _place(log: Path | None) -> str:
    if log is None or not log.exists():
        return ""
    with log.open("rb") as lines:
        return f"{log}:{sum(1 for _ in lines)}"
