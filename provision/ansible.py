"""The door to Ansible: a venv of its own from a lock, made when needed; progress and failures read from its log.

A failed playbook is a StepFailed that names task, host, the program's own words and the line in the log.
"""

from __future__ import annotations

import fcntl
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from provision import shell
from provision.errors import StepFailed, ToolMissing
from provision.settings import ROOT, cache_dir

INSTALL_DEADLINE_S = 300.0
HOST_FAILED = (2, 4)  # a task failed, a host was unreachable: the log says which
TAIL_LINES = 8

_FAILED = re.compile(r"^(?:fatal|failed): \[(?P<host>[^\]]+)\].*? => (?P<result>\{.*\})$")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(?P<name>.*?)\]")
_PLAY = re.compile(r"^PLAY \[(?P<name>.*?)\]")
_IGNORED = "...ignoring"


@dataclass(frozen=True, slots=True)
class Kit:
    """An Ansible of one kind. lock: what its venv holds. env: what the playbooks need to be told besides."""

    lock: Path
    config: Path
    env: Mapping[str, str] = field(default_factory=dict)


OURS = Kit(ROOT / "requirements" / "ansible.lock", ROOT / "cluster" / "ansible.cfg")


@dataclass(frozen=True, slots=True)
class Failure:
    """The first thing that went wrong in a playbook's output. line: counted from 1."""

    task: str
    host: str
    why: str
    line: int


def play(
    playbook: Path,
    inventory: Path,
    *,
    home: Path,
    log: Path,
    deadline_s: float,
    next: str,
    kit: Kit = OURS,
    words: Sequence[str] = (),
) -> None:
    """Run a playbook over an inventory, output appended to `log`, a line every 30 s with the phase and task count.

    home: where Ansible keeps its scratch files. words: more of the command line. Raises StepFailed, CommandFailed,
    DeadlineExceeded.
    """
    program = install(kit.lock) / "ansible-playbook"
    before = log.read_text(errors="replace").count("\n") if log.exists() else 0
    # Unbuffered: the log names the task that runs, also while it runs and when it is killed.
    env = {"ANSIBLE_CONFIG": str(kit.config), "ANSIBLE_HOME": str(home), "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
    answer = shell.run(
        [program, "-i", inventory, *words, playbook],
        deadline_s=deadline_s,
        ok=(0, *HOST_FAILED),
        env={**env, **kit.env},
        log=log,
        heartbeat=lambda: f"{playbook.name} at {inventory.parent.name}: {progress(_lines(log), start=before)}",
    )
    if answer.code == 0:
        return
    found = first_failure(_lines(log), start=before)
    if found is None:
        found = Failure("a task", "a host", f"exit code {answer.code}, but the log has no failed task", before + 1)
    what = f"{playbook.name}: {found.task!r} failed at {found.host}"
    raise StepFailed(what, why=found.why, log=f"{log}:{found.line}", next=next)


def install(lock: Path) -> Path:
    """The `bin` of the venv that holds exactly what a lock names. Raises ToolMissing without uv."""
    folder = cache_dir() / "venvs" / f"{lock.stem}-{sha256(lock.read_bytes()).hexdigest()[:12]}"
    stamp = folder / ".complete"
    if stamp.exists():
        return folder / "bin"
    with _only_one(folder.with_suffix(".lock")):
        if not stamp.exists():
            uv, python = _uv(), folder / "bin" / "python"
            shell.run([uv, "venv", "-q", "--allow-existing", "--python", sys.executable, folder], deadline_s=60.0)
            shell.run(
                [uv, "pip", "sync", "-q", "--require-hashes", "--python", python, lock],
                deadline_s=INSTALL_DEADLINE_S,
                heartbeat=f"ansible for {lock.name}",
            )
            stamp.touch()
    return folder / "bin"


def progress(lines: list[str], *, start: int = 0) -> str:
    """How far a playbook is: `Install etcd, task 214: Gen_certs | ...`. start: the run's first line, from 0."""
    play, task, count = "", "", 0
    for line in lines[start:]:
        if begun := _PLAY.match(line):
            play = begun["name"]
        elif begun := _TASK.match(line):
            task, count = begun["name"], count + 1
    return f"{play}, task {count}: {task}" if count else "starting"


def first_failure(lines: list[str], *, start: int = 0) -> Failure | None:
    """The first failed task at or after line `start` (counted from 0), or None. One that is ignored is none."""
    task, found = "", list[Failure]()
    for number, line in enumerate(lines[start:], start=start + 1):
        if begun := _TASK.match(line):
            if found:
                break
            task = begun["name"]
        elif failed := _FAILED.match(line):
            found.append(Failure(task, failed["host"], _words(failed["result"]), number))
        elif line == _IGNORED and found:
            found.pop()
    return found[0] if found else None


def _lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines() if log.exists() else []


def _words(result: str) -> str:
    """What the failed program said itself; Ansible's own message where it said nothing."""
    try:
        found: Mapping[str, Any] = json.loads(result)
    except json.JSONDecodeError:
        return result[-500:]
    said = str(found.get("stderr") or found.get("stdout") or found.get("module_stderr") or "")
    tail = [line for line in _COLOUR.sub("", said).splitlines() if line.strip()][-TAIL_LINES:]
    return "\n".join([str(found.get("msg") or found.get("censored") or "no message"), *tail])


def _uv() -> Path:
    beside = Path(sys.executable).parent / "uv"
    uv = beside if beside.exists() else shell.find("uv")
    if uv is None:
        raise ToolMissing(
            "uv: not on this machine", why=f"looked beside {sys.executable} and on PATH", next="./tandem invoke doctor"
        )
    return uv


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Both sites ask at the same moment, and other platforms share the cache."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
