"""Building from Go modules: a throw-away main module per pinned module, one command at a time, caches of our own.

The module's own go.mod decides every version below it; the h1: hash of the lock is compared with what was downloaded,
and go checks all others against the checksum database. Where GOMODCACHE or GOCACHE is set in the environment, that
folder is used and kept; otherwise ours under the tandem cache, dropped at the end.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from provision import say, shell
from provision.errors import PlatformError, ToolMissing
from rehearsal.artifacts import disk
from rehearsal.artifacts.lock import FILES, Command, Lock, Module
from rehearsal.artifacts.store import Row, Store, write_atomic

PATCHED = "patched"
MODULES_S = 900
BUILD_S = 2400
NEXT_GO = "install Go {minimum} or newer from its vendor (Debian 12 has an older one), then the same command again"


def build(lock: Lock, store: Store, names: Iterable[str], log_dir: Path) -> list[Row]:
    """Build commands by name. Raises ToolMissing (no go, or too old), PreconditionMissing (disk), CommandFailed."""
    wanted = set(names)
    if not wanted:
        return []
    _require_go(lock)
    disk.require(store.root, disk.BUILD_GIB, "to build binaries")
    rows: list[Row] = []
    peak = 0.0
    for batch, modules in batches(lock, wanted):
        caches = _caches(store.root, batch)
        for module in modules:
            rows += _build_module(lock, store, module, wanted, caches, log_dir)
        peak = max(peak, _measure_gb(store.root))
        _drop(store.root / "go" / f"build-{batch}")
    _drop(store.root / "go")
    say.line(
        "artifacts", "built", f"{len(rows)} binaries, {sum(row.seconds for row in rows):.0f} s, disk peak {peak:.1f} GB"
    )
    return rows


def batches(lock: Lock, wanted: set[str]) -> Iterator[tuple[str, list[Module]]]:
    """Modules that have something to build, grouped by the build cache they share, in the lock's order."""
    needed = [module for module in lock.module if any(command.name in wanted for command in module.commands)]
    for batch, modules in groupby(needed, key=lambda module: module.batch or module.name):
        yield batch, list(modules)


def _build_module(
    lock: Lock, store: Store, module: Module, wanted: set[str], env: dict[str, str], log_dir: Path
) -> list[Row]:
    folder = store.scratch(f"go-{module.name}")
    log = log_dir / f"build-{module.name}.log"
    say.line("artifacts", "build", f"{module.path} {module.version}: modules")
    fetched = _download(module, folder, env)
    if module.patch:
        _patch(module, fetched.folder, folder / PATCHED)
    (folder / "go.mod").write_text(main_module(lock.go.minimum, module, _replaces(fetched, folder, env)))
    rows = []
    for command in module.commands:
        if command.name not in wanted:
            continue
        made = folder / command.name
        result = shell.run(
            _go_build(module, command, made),
            deadline_s=BUILD_S,
            env=_flags(module, env),
            cwd=folder,
            log=log,
            heartbeat=f"building {command.name} {module.version}",
        )
        rows.append(store.add_binary(lock, command.name, made, "built", result.seconds))
        say.line("artifacts", "built", f"{command.name} {module.version} {rows[-1].mb:.0f} MB {result.seconds:.0f} s")
    return rows


def members(lock: Lock, store: Store, name: str, paths: Iterable[str]) -> dict[str, Path]:
    """Files of a Go module, by their path in it; kept in the cache, so a module is fetched once."""
    module = lock.modules[name]
    kept = store.root / "members" / f"{name}-{module.version}"
    found = {path: kept / path for path in paths}
    if all(file.exists() for file in found.values()):
        return found
    _require_go(lock)
    env = _caches(store.root, "members")
    fetched = _download(module, store.scratch(f"members-{name}"), env)
    for path, file in found.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, (fetched.folder / path).read_text())
    _drop(store.root / "go")
    return found


@dataclass(frozen=True, slots=True)
class _Fetched:
    """A module as go downloaded it: its go.mod, and its folder (read-only)."""

    go_mod: Path
    folder: Path


def _download(module: Module, folder: Path, env: dict[str, str]) -> _Fetched:
    """Fetch the module and compare its hash with the lock."""
    fetched = shell.run(
        ["go", "mod", "download", "-json", f"{module.path}@{module.version}"],
        deadline_s=MODULES_S,
        env=env,
        cwd=folder,
        heartbeat=f"fetching {module.path}",
    )
    info = json.loads(fetched.stdout)
    if info["Sum"] != module.sum:
        raise PlatformError(
            f"{module.path}@{module.version}: not the pinned module",
            why=f"{info['Sum']}, the lock says {module.sum}",
            next="check GOPROXY and the lock, then run again",
        )
    return _Fetched(Path(info["GoMod"]), Path(info["Dir"]))


def _patch(module: Module, source: Path, target: Path) -> None:
    """A copy of the module with the files that its publication forgot."""
    shutil.copytree(source, target)
    for path, name in module.patch.items():
        (target / path).parent.chmod(0o755)
        shutil.copyfile(FILES / name, target / path)


def _replaces(fetched: _Fetched, folder: Path, env: dict[str, str]) -> list[tuple[str, str, str, str]]:
    """What the module's own go.mod replaces: path, version, new path, new version."""
    parsed = json.loads(
        shell.run(["go", "mod", "edit", "-json", fetched.go_mod], deadline_s=60, env=env, cwd=folder).stdout
    )
    return [
        (entry["Old"]["Path"], entry["Old"].get("Version", ""), entry["New"]["Path"], entry["New"].get("Version", ""))
        for entry in parsed.get("Replace") or []
    ]


def main_module(go: str, module: Module, replaces: list[tuple[str, str, str, str]]) -> str:
    """The text of a go.mod that requires `module` and repeats its replaces, which go ignores in a dependency.

    A replace by a folder (`./staging/...`) means "the same repository"; those modules are published at `staging`, or
    required at a real version already.
    """
    lines = []
    for path, version, new_path, new_version in replaces:
        if not new_path.startswith("."):
            lines.append(f"replace {path} {version} => {new_path} {new_version}".replace("  ", " "))
        elif module.staging:
            lines.append(f"replace {path} => {path} {module.staging}")
    if module.patch:
        lines.append(f"replace {module.path} => ./{PATCHED}")
    return "\n".join(
        [
            f"module tandem.invalid/{module.name}",
            "",
            f"go {go}",
            "",
            f"require {module.path} {module.version}",
            "",
            *lines,
            "",
        ]
    )


def _go_build(module: Module, command: Command, made: Path) -> list[str]:
    flags = " ".join(("-s -w", *module.ldflags))
    return [
        "nice",
        "go",
        "build",
        "-mod=mod",
        "-trimpath",
        "-buildvcs=false",
        *(["-tags", ",".join(module.tags)] if module.tags else []),
        "-ldflags",
        flags,
        "-o",
        str(made),
        command.package,
    ]


def _flags(module: Module, env: dict[str, str]) -> dict[str, str]:
    return {**env, "CGO_ENABLED": "1" if module.cgo else "0"}


def _caches(root: Path, batch: str) -> dict[str, str]:
    own = {"GOMODCACHE": root / "go" / "modules", "GOCACHE": root / "go" / f"build-{batch}"}
    caches = {name: str(path) for name, path in own.items() if name not in os.environ}
    return {**caches, "GOFLAGS": "", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOOS": "linux", "GOARCH": "amd64"}


def _require_go(lock: Lock) -> None:
    hint = NEXT_GO.format(minimum=lock.go.minimum)
    if shell.find("go") is None:
        raise ToolMissing(
            "go: not on this machine", why="the vendors' files cannot be had, so binaries are built", next=hint
        )
    found = shell.run(["go", "env", "GOVERSION"], deadline_s=30, env={"GOTOOLCHAIN": "local"}).stdout.strip()
    if numbers(found) < numbers(lock.go.minimum):
        raise ToolMissing(f"go: {found} is too old", why=f"the modules ask for {lock.go.minimum}", next=hint)


def numbers(version: str) -> tuple[int, ...]:
    """`go1.26.8` -> (1, 26, 8)."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _measure_gb(root: Path) -> float:
    folder = root / "go"
    if not folder.exists():
        return 0.0
    return int(shell.run(["du", "-sk", folder], deadline_s=300).stdout.split()[0]) / 1e6


def _drop(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
