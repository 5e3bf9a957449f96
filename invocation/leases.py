"""lease.*: how long the platform has, and more of it."""

from __future__ import annotations

from invoke import Collection, Context, task

from invocation.frame import COMMON, finish, help, options


@task(help=help("env", "site", "platform", "json", ics="the dates as iCalendar on stdout"))
def status(
    _c: Context, env: str = "", site: str = "", platform: str = "", json: bool = False, ics: bool = False
) -> None:
    """Each lease: hours left, until when it can be extended, what it costs; and whose else the project is."""
    from provision import leases

    finish(lambda: leases.status(options(env, site, platform, True, json), as_ics=ics), json)


@task(help=COMMON)
def extend(
    _c: Context, env: str = "", site: str = "", platform: str = "", yes: bool = False, json: bool = False
) -> None:
    """Extend leases in their last 48 hours, by seven days at most and never past the allocation; the price first."""
    from provision import leases

    finish(lambda: leases.extend(options(env, site, platform, yes, json)), json)


def collection() -> Collection:
    """`lease`: status, extend."""
    return Collection("lease", status, extend)
