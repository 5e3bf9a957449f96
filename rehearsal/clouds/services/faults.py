"""Injected faults, read afresh from the tree's faults.json: {"<fault>": {"since": seconds, "<key>": value}}.

Standard library only: every service reads it, and `invoke rehearsal.fault` writes it.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from rehearsal.clouds.layout import Tree


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service says instead of its own answer. method, path: '' for any; path is a pattern, found anywhere.

    times: how often, 0 for always. status: with its reason. since: tells one injection from the next.
    """

    service: str
    status: str
    body: str = ""
    method: str = ""
    path: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    times: int = 0
    since: float = 0.0

    def fits(self, service: str, method: str, path: str) -> bool:
        """Whether it is the answer to a request."""
        return service == self.service and self.method in ("", method) and re.search(self.path, path) is not None


@dataclass(frozen=True, slots=True)
class Faults:
    """What should go wrong.

    spawn_delay_s: added to every deploy. spawn_fail, silent: patterns of server names that fail to deploy, that are
    ACTIVE but never answer. max_lease_s, extension_window_s: instead of the site's own. balance_su, budget_su: what
    project and user have left. allocation_ends: ISO 8601. starts_fail: how many leases fail at their start. locked: the
    account is disabled. hidden: service types that the catalogue lacks.
    """

    spawn_delay_s: float = 0.0
    spawn_fail: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    max_lease_s: int | None = None
    extension_window_s: int | None = None
    balance_su: float | None = None
    budget_su: float | None = None
    allocation_ends: str = ""
    starts_fail: int = 0
    starts_fail_since: float = 0.0
    locked: bool = False
    hidden: tuple[str, ...] = ()
    answers: tuple[Answer, ...] = ()

    def fails(self, name: str) -> bool:
        """Whether deploying a server of this name is to fail."""
        return _any(self.spawn_fail, name)

    def is_silent(self, name: str) -> bool:
        """Whether a server of this name is to be ACTIVE and never answer."""
        return _any(self.silent, name)


def read(tree: Tree) -> Faults:
    """The faults in force; none without the file. A broken file raises: a drill that injects nothing proves nothing."""
    merged: dict[str, Any] = {}
    for name, keys in read_all(tree).items():
        since = keys.pop("since", 0.0)
        answers = keys.pop("answers", ())
        unknown = set(keys) - {field.name for field in fields(Faults)}
        if unknown:
            raise ValueError(f"{tree.faults_file}: {name} has unknown keys {sorted(unknown)}")
        merged |= {key: tuple(value) if isinstance(value, list) else value for key, value in keys.items()}
        if "starts_fail" in keys:
            merged["starts_fail_since"] = since
        merged["answers"] = (*merged.get("answers", ()), *(_answer(told, since) for told in answers))
    return Faults(**merged)


def read_all(tree: Tree) -> dict[str, dict[str, Any]]:
    """The file itself: what each fault says."""
    try:
        told: dict[str, dict[str, Any]] = json.loads(tree.faults_file.read_text())
    except FileNotFoundError:
        return {}
    return told


def add(tree: Tree, name: str, keys: Mapping[str, Any]) -> None:
    """Let a fault be in force from now on."""
    _write(tree.faults_file, {**read_all(tree), name: {**keys, "since": time.time()}})


def remove(tree: Tree, name: str) -> None:
    """Let a fault be over; silent if it was not in force."""
    rest = {other: keys for other, keys in read_all(tree).items() if other != name}
    if rest:
        _write(tree.faults_file, rest)
    else:
        tree.faults_file.unlink(missing_ok=True)


def _write(path: Path, told: Mapping[str, Any]) -> None:
    """Whole or not at all: a service may read at any moment."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(told, indent=1))
    fresh.replace(path)


def _answer(told: Mapping[str, Any], since: float) -> Answer:
    headers = tuple(sorted(told.get("headers", {}).items()))
    return Answer(**{**told, "headers": headers, "since": since})


def _any(patterns: tuple[str, ...], name: str) -> bool:
    return any(re.search(pattern, name) for pattern in patterns)
