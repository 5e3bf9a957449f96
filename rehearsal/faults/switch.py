"""Faults on and off. Which are on lies beside the clouds' state, with what it takes to undo each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from provision import say
from provision.errors import PlatformError, PreconditionMissing, UsageError
from provision.state import utc_now, write_atomic
from rehearsal.clouds.layout import Places
from rehearsal.faults.catalogue import FAULTS, Fault
from rehearsal.faults.ground import Ground


@dataclass(frozen=True, slots=True)
class State:
    """One fault as a person asks for it. since: UTC, '' while it is off."""

    name: str
    site: str
    about: str
    since: str


def listed(places: Places) -> list[State]:
    """Every fault, and which are on."""
    return [State(one.name, one.site, one.about, _since(places, one.name)) for one in FAULTS.values()]


def on(places: Places, name: str) -> State:
    """Let it happen. Raises UsageError for a name that is none, PreconditionMissing when it is on or no cloud is up."""
    fault = _named(name)
    if _since(places, name):
        raise PreconditionMissing(f"fault {name} is on already", next=f"invoke rehearsal.fault {name} --off")
    ground = Ground(places, fault.site)
    if not ground.tree.root.exists():
        raise PreconditionMissing(f"{fault.site}: there is no cloud to break", next="invoke rehearsal.up")
    memory = fault.effect.on(ground, name)
    since = utc_now()
    if not fault.once:
        write_atomic(_file(places, name), json.dumps({"since": since, "memory": memory}))
    return State(name, fault.site, fault.about, since)


def off(places: Places, name: str = "") -> list[State]:
    """Take it back; '': every one that is on. Silent about one that is off.

    One that cannot be taken back stays on, keeps no other from being taken back, and is raised at the end.
    """
    chosen = [_named(name)] if name else list(FAULTS.values())
    mended: list[State] = []
    failed: list[PlatformError] = []
    for fault in (fault for fault in chosen if _since(places, fault.name)):
        told = json.loads(_file(places, fault.name).read_text())
        try:
            fault.effect.off(Ground(places, fault.site), fault.name, told["memory"])
        except PlatformError as stuck:
            failed.append(stuck)
            continue
        _file(places, fault.name).unlink()
        mended.append(State(fault.name, fault.site, fault.about, ""))
    for error in failed[1:]:
        say.failure(error)
    if failed:
        raise failed[0]
    return mended


def _named(name: str) -> Fault:
    if name not in FAULTS:
        raise UsageError(
            f"no fault {name!r}", why=f"there are: {', '.join(FAULTS)}", next="invoke rehearsal.fault list"
        )
    return FAULTS[name]


def _file(places: Places, name: str) -> Path:
    return places.state / "faults" / f"{name}.json"


def _since(places: Places, name: str) -> str:
    file = _file(places, name)
    return str(json.loads(file.read_text())["since"]) if file.exists() else ""
