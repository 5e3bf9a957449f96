"""`invoke rehearsal.fault`: faults listed, switched, and told."""

from __future__ import annotations

from dataclasses import asdict

from provision import say
from provision.errors import UsageError
from provision.settings import load
from rehearsal import lifecycle
from rehearsal.faults import State, switch

LIST, ALL = "list", "all"


def fault(env: str, platform: str, name: str, *, off: bool) -> dict[str, object]:
    """`list`: all there are; a name: switched on, or off; `all`: off. The result is for `--json`."""
    settings = load(env, platform=platform)
    if settings.embedded is None:
        raise UsageError(f"{settings.env} is no rehearsal", next="invoke rehearsal.fault list --env rehearsal")
    places = lifecycle.places_of(settings)
    if name == LIST:
        states = switch.listed(places)
    elif off:
        states = switch.off(places, "" if name == ALL else name)
    else:
        states = [switch.on(places, name)]
        say.line("rehearsal", "next", f"invoke rehearsal.fault {name} --off")
    say.text(table(states) or "no fault was on")
    return {"env": settings.env, "platform": settings.platform, "faults": [asdict(state) for state in states]}


def table(states: list[State]) -> str:
    """For a person."""
    rows = (
        f"{state.name:<20} {state.site:<9} {f'on since {state.since}' if state.since else 'off':<26} {state.about}"
        for state in states
    )
    return "\n".join(row.rstrip() for row in rows)
