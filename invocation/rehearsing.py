"""rehearsal.*: the embedded clouds alone, and what they are built from."""

from __future__ import annotations

from pathlib import Path

from invoke import Collection, Context, task

from invocation.frame import COMMON, finish, help
from provision.paths import cache_dir


@task(help={"env": COMMON["env"]})
def up(_c: Context, env: str = "") -> None:
    """Start the rehearsal's clouds, network, registry (and build what they need); nothing to do when they run."""
    from provision import embedded, settings

    def call() -> dict[str, object]:
        embedded.up(settings.load(env))
        return {}

    finish(call, False)


@task(help={"env": COMMON["env"]})
def down(_c: Context, env: str = "") -> None:
    """Stop the rehearsal and keep its state: `up` brings the same clouds, hosts and volumes back."""
    import rehearsal
    from provision import settings

    def call() -> dict[str, object]:
        rehearsal.down(settings.load(env))
        return {}

    finish(call, False)


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

    finish(call, False)


@task(help={"out": "the bundle's path"})
def pack(_c: Context, out: str) -> None:
    """Write every built artifact as one checksummed bundle, for a machine that shall not build."""
    from rehearsal import artifacts

    finish(lambda: {"bundle": str(artifacts.pack(cache_dir(), Path(out)))}, True)


@task(help={"bundle": "a bundle that rehearsal.pack wrote"})
def unpack(_c: Context, bundle: str) -> None:
    """Fill the caches from a bundle."""
    from rehearsal import artifacts

    finish(lambda: {"files": artifacts.unpack(cache_dir(), Path(bundle))}, True)


@task(
    positional=["name"],
    help=help(
        "env", "platform", "yes", "json", name="which one; `list` tells all; `all` with --off", off="take it back"
    ),
)
def fault(
    _c: Context,
    name: str,
    off: bool = False,
    env: str = "",
    platform: str = "",
    yes: bool = False,  # noqa: ARG001  # every command takes it; there is nothing to ask here
    json: bool = False,
) -> None:
    """Let something go wrong in the rehearsal's clouds, or take it back: `list`, NAME, NAME --off, `all --off`."""
    from rehearsal.faults import tell

    finish(lambda: tell.fault(env, platform, name, off=off), json)


def collection() -> Collection:
    """`rehearsal`: up, down, reset, pack, unpack, fault."""
    return Collection("rehearsal", up, down, reset, pack, unpack, fault)
