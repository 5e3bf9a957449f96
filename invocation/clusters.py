"""cluster.*: what is done to a cluster on purpose; making, growing and upgrading one is `provision.kubespray`."""

from __future__ import annotations

from invoke import Collection, Context, task

from invocation.frame import COMMON, finish, help, options


@task(help={**COMMON, "node": "a worker's name in the inventory"})
def remove(
    _c: Context, node: str, env: str = "", site: str = "", platform: str = "", yes: bool = False, json: bool = False
) -> None:
    """Drain a worker and take it out of its cluster (Kubespray's remove_node.yml); its server stays."""
    from provision import clustering

    finish(lambda: clustering.remove_node(options(env, site, platform, yes, json), node), json)


@task(help=COMMON)
def reset(
    _c: Context, env: str = "", site: str = "", platform: str = "", yes: bool = False, json: bool = False
) -> None:
    """Take a site's cluster off its hosts (Kubespray's reset.yml); volumes and servers stay."""
    from provision import clustering

    finish(lambda: clustering.reset(options(env, site, platform, yes, json)), json)


@task(help=help("env", "site", "platform", "json"))
def upgrades(_c: Context, env: str = "", site: str = "", platform: str = "", json: bool = False) -> None:
    """What the pinned version means for each node: current, upgraded by provision.kubespray, or refused; asks only."""
    from provision import clustering

    finish(lambda: clustering.upgrades(options(env, site, platform, True, json)), json)


def collection() -> Collection:
    """`cluster`: remove, reset, upgrades."""
    return Collection("cluster", remove, reset, upgrades)
