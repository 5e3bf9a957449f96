"""`invoke provision.secrets --rotate NAME`: an entry of the vault gets a new value, and the platform follows.

The new value is written into the vault first; all else is the `secrets` step's plan. So what a killed run left undone
is found by the next one: the same command goes on with the value that is already there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from provision import appsecrets, embedded, following, say
from provision.commands import Json, Options, confirm, finish, session, settings_of
from provision.engine import Result, preview
from provision.errors import UsageError
from provision.settings import Settings
from provision.site import Site
from provision.step import Change
from provision.steps import NAMES, secrets
from provision.vault import PREVIOUS, SecretSpec
from provision.walk import walk


def rotate(options: Options, name: str) -> Json:
    """Show what it takes, make the new value, and bring both sites to it, one after the other."""
    settings = settings_of(options)
    if options.site:
        raise UsageError("--rotate is for both sites", why="a secret has one value", next="the same without --site")
    entry = rotatable(settings, name)
    with session(settings, f"provision.secrets --rotate {name}") as (run, sites):
        embedded.up(settings)
        # PostgreSQL and the object store keep copies of what others read: their site comes first.
        order = [sites[settings.link.server], sites[settings.link.client]]
        due = {site.name: preview(secrets, site) for site in order}
        goes_on = any(concerns(change, name) for changes in due.values() for change in changes)
        _show(name, due if goes_on else {site.name: (*due[site.name], *takes(site, name)) for site in order})
        if settings.spends and not options.yes:
            confirm(f"Give {name} a new value?")
        started = time.monotonic()
        if not goes_on:
            order[0].vault.renew(entry)
        results = _follow(order)
        if any(key.startswith(PREVIOUS) for key in entry.keys) and not any(result.error for result in results):
            order[0].vault.forget(entry)  # all have the new one
            results += _follow(order)
        return {**finish(settings, run, results, time.monotonic() - started), "rotated": name}


def rotatable(settings: Settings, name: str) -> SecretSpec:
    """The vault entry of a secret. Raises UsageError for one that is not ours to make."""
    wanted = [secret for site in settings.sites for secret in appsecrets.wanted(settings, site)]
    specs = {secret.name: appsecrets.entry_of(secret, settings) for secret in wanted}
    ours = ", ".join(sorted(key for key, spec in specs.items() if spec.kind == "passwords"))
    if name not in specs:
        raise UsageError(f"no secret {name!r}", why=f"there are: {ours}", next="invoke --help provision.secrets")
    if specs[name].kind == "file":
        raise UsageError(
            f"secret {name} is not made here",
            why=f"it follows {settings.config_dir / specs[name].source}; made here are: {ours}",
            next="put the new one into that file; invoke provision.all --from nodes --to secrets",
        )
    return specs[name]


def _follow(order: Sequence[Site]) -> list[Result]:
    """Bring one site after the other to what the vault has; a failure ends it."""
    results: list[Result] = []
    for site in order:
        if not any(result.error for result in results):
            results += walk([secrets], {site.name: site}, check=True, stand={site.name: set(NAMES) - {secrets.NAME}})
    return results


def takes(site: Site, name: str) -> Sequence[Change]:
    """What a new value of an entry takes at a site."""
    want = secrets.want(site.settings, site.name)
    have = secrets.look(site, want)
    paths = {secret.path for secret in want.secrets if secret.name == name}
    writes = [Change("update", f"secret {path}", "a new value") for path in sorted(paths)]
    behind = following.changes(want.secrets, paths, have.secrets, have.followers, want.rotation)
    return (*writes, *(change for change in behind if concerns(change, name)))


def concerns(change: Change, name: str) -> bool:
    """Whether a change that is due brings the platform to a value of this entry."""
    reads = str(change.args.get("reads", "")).split()
    return change.verb != "create" and (name in reads or change.what.rpartition("/")[2] == name)


def _show(name: str, rows: Mapping[str, Sequence[Change]]) -> None:
    say.line("secrets", "plan", f"entry {name}: a new value")
    for site, changes in rows.items():
        for change in changes:
            say.line("secrets", "plan", f"{site}: {change.verb} {change.what}   why: {change.why}")
