"""`provision.destroy`: everything of ours goes, in reverse order; what holds data only when told."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence

from provision import backends, embedded, say
from provision.commands import Json, Options, chosen_sites, session, settings_of
from provision.engine import undo
from provision.errors import CommandFailed, DeadlineExceeded, PreconditionMissing, UsageError
from provision.settings import Settings
from provision.site import Site
from provision.state import Receipts
from provision.step import AnyStep, Change
from provision.steps import STEPS, charts, kubespray, secrets, tunnel
from provision.threads import interruptible

IN_SERVERS: tuple[AnyStep, ...] = (kubespray, secrets, tunnel, charts)
"""What these steps make lies on the servers and is gone with them."""


def destroy(options: Options, *, data: bool = False) -> Json:
    """Everything of ours goes, in reverse order; data only when told, after the platform's name is typed."""
    settings = settings_of(options)
    with session(settings, "provision.destroy", options.site) as (run, sites):
        chosen = chosen_sites(sites, options.site)
        _confirm_destroy(settings, options, data)
        kept: list[tuple[str, Change]] = []
        started = time.monotonic()
        if embedded.is_up(settings):
            for step in reversed(STEPS):
                kept += _undo_everywhere(step, list(chosen.values()), data)
            leftovers = [f"{site.name}: {name}" for site in chosen.values() for name in site.cloud.list_leftovers()]
            Receipts(settings.state_dir).forget()
        else:
            leftovers = []
            say.line("tandem", "note", "the clouds are not up, so nothing could be asked; --data removes what is here")
        for site in chosen.values():
            site.hosts.hang_up_all()  # shared ssh connections outlive their command, and would outlive the hosts
        if data and not options.site:
            leftovers = embedded.down(settings)
        kept_rows = [{"site": site, "what": change.what, "why": change.why} for site, change in kept]
        unexpected = [name for name in leftovers if not any(change.what.split()[-1] in name for _, change in kept)]
        _show_destroyed(kept_rows, unexpected)
        if not unexpected:
            backends.forget(settings, options.site)
        return {
            "env": settings.env,
            "platform": settings.platform,
            "run": run.utc,
            "ok": not unexpected,
            "exit_code": 1 if unexpected else 0,
            "kept": kept_rows,
            "leftovers": unexpected,
            "seconds": round(time.monotonic() - started, 1),
        }


def _undo_everywhere(step: AnyStep, sites: Sequence[Site], data: bool) -> list[tuple[str, Change]]:
    """One step at all sites, side by side; returns what was kept, and where."""
    with interruptible(len(sites)) as pool:
        futures = [pool.submit(_undo, step, site, data) for site in sites]
        return [(site.name, change) for site, future in zip(sites, futures, strict=True) for change in future.result()]


def _undo(step: AnyStep, site: Site, data: bool) -> list[Change]:
    """What does not answer must not keep its servers alive, be it a cluster or a server: its things go with them."""
    if step in IN_SERVERS and not site.cloud.count_servers():
        say.line(step.NAME, "skip", f"{site.name}: no server stands")
        return []
    try:
        return undo(step, site, data=data)
    except PreconditionMissing as gone:
        told = gone.what
    except (CommandFailed, DeadlineExceeded) as mute:
        if step not in IN_SERVERS:
            raise
        told = mute.what
    say.line(step.NAME, "skip", f"{site.name}: {told}")
    return []


def _confirm_destroy(settings: Settings, options: Options, data: bool) -> None:
    if options.yes or (not settings.spends and not data):
        return
    if not say.has_terminal():
        raise UsageError(
            "no terminal to ask on",
            why=f"this destroys {settings.platform}{' and its data' if data else ''}",
            next="the same command with --yes",
        )
    say.text(f"Type the platform's name ({settings.platform}) to destroy it{' with its data' if data else ''}:")
    if sys.stdin.readline().strip() != settings.platform:
        raise UsageError("not confirmed", next="invoke provision.status")


def _show_destroyed(kept: Sequence[Mapping[str, str]], leftovers: Sequence[str]) -> None:
    for row in kept:
        say.line("tandem", "kept", f"{row['site']}: {row['what']} ({row['why']})")
    for name in leftovers:
        say.line("tandem", "left", name)
    say.line("tandem", "done", f"kept {len(kept)}, leftovers looked for: {len(leftovers)} found")
