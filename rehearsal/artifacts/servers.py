"""Registry and file server on the sealed network, inside the network namespace, on one address and nowhere else.

What runs is found by looking at processes whose command line ends with a path of ours, so a run that is killed between
starting a server and writing that down loses nothing. The registry serves the cache read-only and refuses whoever has
no password.
"""

from __future__ import annotations

import base64
import json
import secrets
import sys
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from provision import say, shell
from provision.errors import PreconditionMissing
from provision.wait import wait_until
from rehearsal.artifacts import binaries, images, lock
from rehearsal.artifacts.store import Store, write_atomic

ADDRESS = "10.30.0.5"
REGISTRY_PORT = 5000
FILES_PORT = 8080
NAMES = ("registry", "files")
READY_S = 30.0
ROOT = Path(__file__).resolve().parents[2]
CONFIG = """\
# Written by rehearsal/artifacts/servers.py at every start.
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {storage}}}
  cache: {{blobdescriptor: inmemory}}
  maintenance: {{readonly: {{enabled: true}}, uploadpurging: {{enabled: false}}}}
http: {{addr: "{address}:{port}"}}
auth:
  htpasswd: {{realm: tandem, path: {htpasswd}}}
"""

Words = list[str]


def start(platform: str, *, cache: Path, state: Path, config: Path) -> None:
    """Start what does not run and wait until both answer; what runs with other settings is started anew.

    state: /var/lib/tandem/<platform>. config: the platform's folder of keys, where the password is kept.
    Raises PreconditionMissing (no sealed network), DeadState (the password is refused, or nobody is asked for it).
    """
    login = credentials(platform, config)
    folder(state).mkdir(parents=True, exist_ok=True)
    _write_htpasswd(login, state, config)
    _write_configuration(cache, state)
    pids: list[int] = []
    for name, command in _commands(platform, cache, state).items():
        running = [pid for pid, words in _ours(state, name) if words == command[2:]]
        for pid, words in _ours(state, name):
            if words != command[2:]:
                shell.end(pid)
        if not running:
            say.line("artifacts", "start", f"{name} on {ADDRESS}")
            running = [shell.spawn(command, log=folder(state) / f"{name}.log", env={"PYTHONPATH": str(ROOT)})]
        pids += running
    wait_ready(state, login, pids)


def stop(state: Path) -> None:
    """End both; files stay."""
    for name in NAMES:
        for pid, _ in _ours(state, name):
            shell.end(pid)


def is_up(state: Path) -> bool:
    """Whether both processes run."""
    return all(list(_ours(state, name)) for name in NAMES)


def leftovers(platform: str, state: Path) -> list[str]:
    """What of ours is still on the machine, the cache apart."""
    found = [f"process {pid} ({name} of {platform})" for name in NAMES for pid, _ in _ours(state, name)]
    return found + ([str(folder(state))] if folder(state).exists() else [])


def wait_ready(state: Path, login: dict[str, str], pids: Sequence[int], *, deadline_s: float = READY_S) -> None:
    """Until the registry lets us in with the password and nobody without, and the files are there; pids: of both."""
    basic = "Basic " + base64.b64encode(f"{login['user']}:{login['password']}".encode()).decode()
    wait_until(
        "registry (without and with the password) and file server",
        lambda: (
            _answer(REGISTRY_PORT, "/v2/"),
            _answer(REGISTRY_PORT, "/v2/", basic),
            _answer(FILES_PORT, "/SHA256SUMS"),
        ),
        lambda seen: seen == (401, 200, 200),
        lambda seen: _is_lost(seen, pids),
        deadline_s=deadline_s,
        every_s=0.2,
        next=f"tail {folder(state)}/*.log",
    )


def _is_lost(seen: Sequence[int], pids: Sequence[int]) -> bool:
    """The registry lets in whom it should not or the other way round, or a server has ended. By number, not by command
    line: a process has none for the moment in which it takes on its program, and nsenter does that just then."""
    return seen[0] == 200 or seen[1] == 401 or not all(map(shell.is_alive, pids))


def folder(state: Path) -> Path:
    """Configuration and logs of both servers."""
    return state / "registry"


def configuration(cache: Path, state: Path) -> str:
    """The registry's configuration file."""
    return CONFIG.format(
        storage=images.storage(Store(cache)).root,
        address=ADDRESS,
        port=REGISTRY_PORT,
        htpasswd=folder(state) / "htpasswd",
    )


def credentials(platform: str, config: Path) -> dict[str, str]:
    """User, password and host of the registry: made once per platform, outside the checkout, 0600."""
    path = config / "registry.json"
    if not path.exists():
        config.mkdir(parents=True, exist_ok=True, mode=0o700)
        login = {
            "user": f"tandem-{platform}",
            "password": secrets.token_urlsafe(24),
            "host": f"{ADDRESS}:{REGISTRY_PORT}",
        }
        _write_private(path, json.dumps(login))
    found: dict[str, str] = json.loads(path.read_text())
    return found


def _commands(platform: str, cache: Path, state: Path) -> dict[str, Words]:
    namespace = Path("/run/netns") / f"tandem-{platform}"
    if not namespace.exists():
        raise PreconditionMissing(f"no network namespace {namespace.name}", next="./tandem invoke rehearsal.up")
    served = binaries.serve_files(lock.load(), Store(cache))
    server = [sys.executable, "-m", "rehearsal.artifacts.fileserver", str(served), ADDRESS, str(FILES_PORT)]
    inside = ["nsenter", f"--net={namespace}"]
    return {
        "registry": [*inside, "docker-registry", "serve", str(_mark(state, "registry"))],
        "files": [*inside, *server, str(_mark(state, "files"))],
    }


def _mark(state: Path, name: str) -> Path:
    """The last word of a server's command line: by it we know our own."""
    return folder(state) / f"{name}.yml"


def _write_configuration(cache: Path, state: Path) -> None:
    path, text = _mark(state, "registry"), configuration(cache, state)
    if path.exists() and path.read_text() != text:
        stop(state)
    write_atomic(path, text)


def _write_htpasswd(login: dict[str, str], state: Path, config: Path) -> None:
    target = folder(state) / "htpasswd"
    if target.exists() and target.stat().st_mtime >= (config / "registry.json").stat().st_mtime:
        return
    secret = login["password"]
    made = shell.run(["htpasswd", "-niB", login["user"]], deadline_s=10, stdin=secret, redact=(secret,))
    _write_private(target, made.stdout)


def _write_private(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    part.write_text(text)
    part.rename(path)


def _ours(state: Path, name: str) -> Iterator[tuple[int, Words]]:
    return ((pid, words) for pid, words in _processes() if words[-1] == str(_mark(state, name)))


def _processes() -> Iterator[tuple[int, Words]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "cmdline").read_text(errors="replace")
            except OSError:
                continue  # it ended while we looked
            yield int(entry.name), text.rstrip("\0").split("\0")


def _answer(port: int, path: str, authorization: str = "") -> int:
    """The status of one GET, 0 when nobody answers."""
    connection = HTTPConnection(ADDRESS, port, timeout=2)
    try:
        connection.request("GET", path, headers={"Authorization": authorization} if authorization else {})
        return connection.getresponse().status
    except (OSError, HTTPException):
        return 0
    finally:
        connection.close()
