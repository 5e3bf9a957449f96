"""provision.*: the platform from nothing, step by step, and away again."""

from __future__ import annotations

import ast
from functools import partial
from typing import Any

from invoke import Collection, Context, Task, task

from invocation.frame import BACKEND, COMMON, finish, help, options
from provision.paths import ROOT

# Kept in step with provision/steps/__init__.py by a test: importing that here would cost seconds.
STEP_NAMES = ("lease", "storage", "network", "nodes", "kubespray", "secrets", "tunnel", "charts")


@task(help={**COMMON, **BACKEND, "from": "first step", "to": "last step", "check": "run checks of unchanged steps too"})
def all_(
    _c: Context,
    env: str = "",
    site: str = "",
    platform: str = "",
    yes: bool = False,
    json: bool = False,
    from_: str = "",
    to: str = "",
    check: bool = False,
    backend: str = "",
) -> None:
    """Bare machine -> verified platform: every step at both sites, each followed by its checks."""
    from provision import commands

    asked = options(env, site, platform, yes, json, backend)
    finish(lambda: commands.provision_all(asked, first=from_, last=to, check=check), json)


@task(help=help("env", "site", "platform", "json", check="exit 4 when anything would change", **BACKEND))
def plan(
    _c: Context,
    env: str = "",
    site: str = "",
    platform: str = "",
    json: bool = False,
    check: bool = False,
    backend: str = "",
) -> None:
    """What would change and why, with its price; changes nothing."""
    from provision import commands

    finish(lambda: commands.provision_plan(options(env, site, platform, True, json, backend), check=check), json)


@task(help=help("env", "site", "platform", "json"))
def status(_c: Context, env: str = "", site: str = "", platform: str = "", json: bool = False) -> None:
    """Steps, sites, lease hours left, endpoints, last verification."""
    from provision import commands

    finish(lambda: commands.provision_status(options(env, site, platform, True, json)), json)


@task(help=help("env", "platform", "json"))
def report(_c: Context, env: str = "", platform: str = "", json: bool = False) -> None:
    """What failed in the newest run that failed: each step and check with its why, and where the logs are."""
    from provision import commands

    finish(lambda: commands.provision_report(options(env, "", platform, True, json)), json)


@task(help={**COMMON, "data": "take volume and containers too, and in rehearsal everything on this machine"})
def destroy(
    _c: Context,
    env: str = "",
    site: str = "",
    platform: str = "",
    yes: bool = False,
    json: bool = False,
    data: bool = False,
) -> None:
    """Take everything of ours away, except data unless told; lists what it kept and the leftovers it looked for."""
    from provision import demolition

    finish(lambda: demolition.destroy(options(env, site, platform, yes, json), data=data), json)


def _step_task(name: str, runbook: str) -> Task[Any]:
    def body(
        _c: Context,
        env: str = "",
        site: str = "",
        platform: str = "",
        yes: bool = False,
        json: bool = False,
        check: bool = True,
        backend: str = "",
    ) -> None:
        from provision import commands

        asked = options(env, site, platform, yes, json, backend)
        finish(lambda: commands.provision_step(asked, name, check=check), json)

    body.__doc__ = runbook
    made: Task[Any] = task(
        name=name, help={**COMMON, **BACKEND, "check": "run its checks after it (unless --no-check)"}
    )(body)
    return made


def _secrets_task(runbook: str) -> Task[Any]:
    def body(
        _c: Context,
        env: str = "",
        site: str = "",
        platform: str = "",
        yes: bool = False,
        json: bool = False,
        rotate: str = "",
    ) -> None:
        from provision import commands, rotation

        asked = options(env, site, platform, yes, json)
        step = partial(rotation.rotate, name=rotate) if rotate else partial(commands.provision_step, name="secrets")
        finish(partial(step, asked), json)

    body.__doc__ = runbook
    made: Task[Any] = task(name="secrets", help={**COMMON, "rotate": "an entry to give a new value"})(body)
    return made


def _runbook(name: str) -> str:
    """A step's docstring, read without importing the step: `invoke --list` must stay quick."""
    tree = ast.parse((ROOT / "provision" / "steps" / f"{name}.py").read_text())
    return ast.get_docstring(tree) or ""


@task(help={})
def pin(_c: Context) -> None:
    """Fill what the lock calls `unresolved` from the vendors' published checksums; needs their release hosts."""
    from rehearsal.artifacts import pin as pinning

    finish(lambda: {"pinned": list(pinning.fill())}, True)


def collection() -> Collection:
    """`provision`: all, plan, status, report, destroy, pin and one task a step."""
    made = Collection("provision")
    made.add_task(all_, name="all", default=True)
    for added in (plan, status, report, destroy, pin):
        made.add_task(added)
    for name in STEP_NAMES:
        step = _secrets_task if name == "secrets" else partial(_step_task, name)
        made.add_task(step(_runbook(name)), name=name)
    return made
