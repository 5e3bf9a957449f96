"""The tasks. Each parses its options, calls one function, prints; the only place that catches and exits.

`invoke --help provision.<step>` prints the step's runbook, which is its module's docstring.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from invoke import Collection, Context, Exit, Task, task

from provision import say
from provision.errors import PlatformError
from provision.paths import ROOT, cache_dir

# kubectl, helm and sops as the rehearsal resolves them come before whatever else the machine has.
os.environ["PATH"] = f"{cache_dir() / 'tools'}{os.pathsep}{os.environ.get('PATH', '')}"

COMMON = {
    "env": "environment: rehearsal (default) or chameleon",
    "site": "one site: kvm-tacc or chi-uc (default: both)",
    "platform": "the platform's name (required for chameleon)",
    "yes": "ask nothing",
    "json": "data on stdout",
}


def _help(*names: str, **more: str) -> dict[str, str]:
    return {**{name: COMMON[name] for name in names}, **more}


def _options(env: str, site: str, platform: str, yes: bool, json: bool) -> Any:
    from provision.commands import Options

    return Options(env=env, site=site, platform=platform, yes=yes, json=json)


def _finish(call: Callable[[], dict[str, object]], json: bool) -> None:
    """Run one command; exit codes 0 1 2 3 4 130, never a traceback for something foreseen."""
    try:
        result = call()
    except PlatformError as error:
        say.failure(error)
        if json:
            say.data(
                {"ok": False, "exit_code": error.exit_code, "what": error.what, "why": error.why, "next": error.next}
            )
        raise Exit(code=error.exit_code) from None
    except KeyboardInterrupt:
        say.line("tandem", "fail", "interrupted; the same command goes on from here")
        # Not Exit: the interpreter would first join the threads of the walk, and those may be waiting for minutes.
        os._exit(130)
    if json:
        say.data(result)
    code = result.get("exit_code", 0)
    if isinstance(code, int) and code:
        raise Exit(code=code)


@task(help={**COMMON, "from": "first step", "to": "last step", "check": "run checks of unchanged steps too"})
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
) -> None:
    """Bare machine -> verified platform: every step at both sites, each followed by its checks."""
    from provision import commands

    options = _options(env, site, platform, yes, json)
    _finish(lambda: commands.provision_all(options, first=from_, last=to, check=check), json)


@task(help=_help("env", "site", "platform", "json", check="exit 4 when anything would change"))
def plan(
    _c: Context, env: str = "", site: str = "", platform: str = "", json: bool = False, check: bool = False
) -> None:
    """What would change and why, with its price; changes nothing."""
    from provision import commands

    _finish(lambda: commands.provision_plan(_options(env, site, platform, True, json), check=check), json)


@task(help=_help("env", "site", "platform", "json"))
def status(_c: Context, env: str = "", site: str = "", platform: str = "", json: bool = False) -> None:
    """Steps, sites, lease hours left, endpoints, last verification."""
    from provision import commands

    _finish(lambda: commands.provision_status(_options(env, site, platform, True, json)), json)


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

    _finish(lambda: demolition.destroy(_options(env, site, platform, yes, json), data=data), json)


def _step_task(name: str, runbook: str) -> Task[Any]:
    def body(
        _c: Context,
        env: str = "",
        site: str = "",
        platform: str = "",
        yes: bool = False,
        json: bool = False,
        check: bool = True,
    ) -> None:
        from provision import commands

        options = _options(env, site, platform, yes, json)
        _finish(lambda: commands.provision_step(options, name, check=check), json)

    body.__doc__ = runbook
    made: Task[Any] = task(name=name, help={**COMMON, "check": "run its checks after it (unless --no-check)"})(body)
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

        options = _options(env, site, platform, yes, json)
        step = partial(rotation.rotate, name=rotate) if rotate else partial(commands.provision_step, name="secrets")
        _finish(partial(step, options), json)

    body.__doc__ = runbook
    made: Task[Any] = task(name="secrets", help={**COMMON, "rotate": "an entry to give a new value"})(body)
    return made


def _runbook(name: str) -> str:
    """A step's docstring, read without importing the step: `invoke --list` must stay quick."""
    import ast

    tree = ast.parse((ROOT / "provision" / "steps" / f"{name}.py").read_text())
    return ast.get_docstring(tree) or ""


@task(help={"env": COMMON["env"]})
def up(_c: Context, env: str = "") -> None:
    """Start the rehearsal's clouds, network, registry (and build what they need); nothing to do when they run."""
    from provision import embedded, settings

    def call() -> dict[str, object]:
        embedded.up(settings.load(env))
        return {}

    _finish(call, False)


@task(help={"env": COMMON["env"]})
def down(_c: Context, env: str = "") -> None:
    """Stop the rehearsal and keep its state: `up` brings the same clouds, hosts and volumes back."""
    import rehearsal
    from provision import settings

    def call() -> dict[str, object]:
        rehearsal.down(settings.load(env))
        return {}

    _finish(call, False)


@task(help={"env": COMMON["env"], "all": "every platform's, not only this one's"})
def reset(_c: Context, env: str = "", all: bool = False) -> None:  # the flag is --all
    """Remove the rehearsal from this machine, with all its data; caches stay."""
    import rehearsal
    from provision import settings
    from rehearsal import lifecycle

    def call() -> dict[str, object]:
        own = settings.load(env)
        platforms = {own.platform, *(lifecycle.platforms() if all else ())}
        left = [
            name for platform in sorted(platforms) for name in rehearsal.destroy(settings.load(env, platform=platform))
        ]
        return {"exit_code": 1 if left else 0, "leftovers": left}

    _finish(call, False)


@task(help={"out": "the bundle's path"})
def pack(_c: Context, out: str) -> None:
    """Write every built artifact as one checksummed bundle, for a machine that shall not build."""
    from rehearsal import artifacts

    _finish(lambda: {"bundle": str(artifacts.pack(cache_dir(), Path(out)))}, True)


@task(help={"bundle": "a bundle that rehearsal.pack wrote"})
def unpack(_c: Context, bundle: str) -> None:
    """Fill the caches from a bundle."""
    from rehearsal import artifacts

    _finish(lambda: {"files": artifacts.unpack(cache_dir(), Path(bundle))}, True)


@task(help={})
def pin(_c: Context) -> None:
    """Fill what the lock calls `unresolved` from the vendors' published checksums; needs their release hosts."""
    from rehearsal.artifacts import pin as pinning

    _finish(lambda: {"pinned": list(pinning.fill())}, True)


@task(help={"env": COMMON["env"], "live": "also ask the clouds", "json": COMMON["json"]})
def doctor(_c: Context, env: str = "", live: bool = False, json: bool = False) -> None:
    """What is wrong with this machine, these settings, these credentials, and what to type next."""
    from provision import doctor as examination

    _finish(lambda: examination.run(env, live=live), json)


@task(name="status", help=_help("env", "platform", "json"))
def serving_status(_c: Context, env: str = "", platform: str = "", json: bool = False) -> None:
    """Ask each of the four stages for an embedding and show provider, version, latency side by side."""
    from provision import stages

    _finish(lambda: stages.status(_options(env, "", platform, True, json)), json)


@task(
    name="run",
    positional=["name"],
    iterable=["parameter"],
    help=_help(
        "env", "platform", "yes", "json", name="a pipeline: ingest, ask", parameter="NAME=VALUE, as often as needed"
    ),
)
def pipelines_run(
    _c: Context,
    name: str,
    parameter: list[str],
    env: str = "",
    platform: str = "",
    yes: bool = False,
    json: bool = False,
) -> None:
    """Start a pipeline and follow it to its end; exit 1 when it fails, and it goes on when this is interrupted."""
    from provision import pipelines

    _finish(lambda: pipelines.run(_options(env, "", platform, yes, json), name, parameter), json)


@task(name="list", help=_help("env", "platform", "yes", "json"))
def pipelines_list(_c: Context, env: str = "", platform: str = "", yes: bool = False, json: bool = False) -> None:
    """Workflows, newest first, with phase, start, duration and message; older ones from the archive."""
    from provision import pipelines

    _finish(lambda: pipelines.list_(_options(env, "", platform, yes, json)), json)


@task(name="logs", positional=["name"], help=_help("env", "platform", "yes", "json", name="a workflow"))
def pipelines_logs(
    _c: Context, name: str, env: str = "", platform: str = "", yes: bool = False, json: bool = False
) -> None:
    """What each step of a workflow said, from its pod or from what was kept of it."""
    from provision import pipelines

    _finish(lambda: pipelines.logs(_options(env, "", platform, yes, json), name), json)


# Kept in step with provision/steps/__init__.py by a test: importing that here would cost seconds.
STEP_NAMES = ("lease", "storage", "network", "nodes", "kubespray", "secrets", "tunnel", "charts")


def _namespace() -> Collection:
    provision = Collection("provision")
    provision.add_task(all_, name="all", default=True)
    for added in (plan, status, destroy, pin):
        provision.add_task(added)
    for name in STEP_NAMES:
        made = _secrets_task if name == "secrets" else partial(_step_task, name)
        provision.add_task(made(_runbook(name)), name=name)
    rehearsal = Collection("rehearsal")
    for added in (up, down, reset, pack, unpack):
        rehearsal.add_task(added)
    serving = Collection("serving")
    serving.add_task(serving_status, name="status")
    pipelines = Collection("pipelines")
    for added in (pipelines_run, pipelines_list, pipelines_logs):
        pipelines.add_task(added)
    return Collection(provision, rehearsal, serving, pipelines, doctor=doctor)


namespace = _namespace()
