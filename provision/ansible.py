"""The door to Ansible: a venv of its own from requirements/ansible.lock, made when needed; failures read from its log.

A failed playbook is a StepFailed that names task, host, the program's own words and the line in the log.
"""

from __future__ import annotations

import fcntl
import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from provision import shell
from provision.errors import StepFailed, ToolMissing
from provision.settings import ROOT, cache_dir

LOCK = ROOT / "requirements" / "ansible.lock"
CONFIG = ROOT / "cluster" / "ansible.cfg"
INSTALL_DEADLINE_S = 300.0
HOST_FAILED = (2, 4)  # a task failed, a host was unreachable: the log says which
TAIL_LINES = 8

_FAILED = re.compile(r"^(?:fatal|failed): \[(?P<host>[^\]]+)\].*? => (?P<result>\{.*\})$")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(?P<name>.*?)\]")


@dataclass(frozen=True, slots=True)
class Failure:
    """The first thing that went wrong in a playbook's output. line: counted from 1."""

    task: str
    host: str
    why: str
    line: int


def play(playbook: Path, inventory: Path, *, home: Path, log: Path, deadline_s: float, next: str) -> None:
    """Run a playbook over an inventory, output appended to `log`, a line every 30 s.

    home: where Ansible keeps its scratch files. Raises StepFailed, CommandFailed, DeadlineExceeded.
    """
    program = install() / "ansible-playbook"
    before = log.read_text().count("\n") if log.exists() else 0
    # Unbuffered: the log names the task that runs, also while it runs and when it is killed.
    env = {"ANSIBLE_CONFIG": str(CONFIG), "ANSIBLE_HOME": str(home), "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
    answer = shell.run(
        [program, "-i", inventory, playbook],
        deadline_s=deadline_s,
        ok=(0, *HOST_FAILED),
        env=env,
        log=log,
        heartbeat=f"{playbook.name} at {inventory.parent.name}",
    )
    if answer.code == 0:
        return
    found = first_failure(log.read_text(errors="replace").splitlines(), start=before)
    if found is None:
        found = Failure("a task", "a host", f"exit code {answer.code}, but the log has no failed task", before + 1)
    what = f"{playbook.name}: {found.task!r} failed at {found.host}"
    raise StepFailed(what, why=found.why, log=f"{log}:{found.line}", next=next)


def install() -> Path:
    """The `bin` of the venv that holds exactly requirements/ansible.lock. Raises ToolMissing without uv."""
    folder = cache_dir() / "venvs" / f"ansible-{sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    stamp = folder / ".complete"
    if stamp.exists():
        return folder / "bin"
    with _only_one(folder.with_suffix(".lock")):
        if not stamp.exists():
            uv, python = _uv(), folder / "bin" / "python"
            shell.run([uv, "venv", "-q", "--allow-existing", "--python", sys.executable, folder], deadline_s=60.0)
            shell.run(
                [uv, "pip", "sync", "-q", "--require-hashes", "--python", python, LOCK],
                deadline_s=INSTALL_DEADLINE_S,
                heartbeat="ansible-core",
            )
            stamp.touch()
    return folder / "bin"


def first_failure(lines: list[str], *, start: int = 0) -> Failure | None:
    """The first failed task at or after line `start` (counted from 0), or None."""
    task = ""
    for number, line in enumerate(lines[start:], start=start + 1):
        if begun := _TASK.match(line):
            task = begun["name"]
        elif failed := _FAILED.match(line):
            return Failure(task, failed["host"], _words(failed["result"]), number)
    return None


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
