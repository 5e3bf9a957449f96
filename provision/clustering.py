"""What the `cluster.*` tasks do: a worker taken out on purpose, a cluster taken off its hosts, upgrades."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from provision import checkout, cluster, engines, kubespray, operations, say
from provision.cluster import Seen
from provision.commands import Json, Options, chosen_sites, session, settings_of
from provision.engine import open_sites
from provision.errors import PlatformError, PreconditionMissing, UsageError
from provision.settings import Settings
from provision.site import Site
from provision.state import Run


def remove_node(options: Options, node: str) -> Json:
    """Drain a worker and take it out of its cluster. Raises PreconditionMissing where Kubespray did not make that."""
    settings = settings_of(options)
    _one_site(options, f"cluster.remove {node}")
    with session(settings, "cluster.remove", options.site) as (_, sites):
        site, started = chosen_sites(sites, options.site)[options.site], time.monotonic()
        _made_by_kubespray(site, f"invoke provision.nodes --site {site.name}   # a server made anew joins again")
        _must_type(settings, options, node, f"drain {node} of {site.name} and take it out of its cluster")
        kubespray.remove_node(site, node)
    say.line("cluster", "next", f"take {node} out of provision/environments/{settings.env}.toml, or it joins again")
    return _told(settings, started, node=node)


def reset(options: Options) -> Json:
    """Take a site's cluster off its hosts, with everything in it that is in no volume."""
    settings = settings_of(options)
    _one_site(options, "cluster.reset")
    with session(settings, "cluster.reset", options.site) as (_, sites):
        site, started = chosen_sites(sites, options.site)[options.site], time.monotonic()
        # A cluster that does not answer is reset as well; one that another engine made is not.
        seen = _seen(site)
        if seen is not None and seen.engine not in ("", engines.KUBESPRAY):
            _made_by_kubespray(site, f"invoke provision.destroy --site {site.name}")
        _must_type(
            settings, options, settings.platform, f"reset the cluster of {site.name}; what is in no volume is lost"
        )
        kubespray.reset(site)
    say.line("cluster", "next", f"invoke provision.all --env {settings.env} --from kubespray")
    return _told(settings, started)


def upgrades(options: Options) -> Json:
    """What the pinned version means for each node that stands. Reads only."""
    settings = settings_of(options)
    sites = chosen_sites(open_sites(settings, Run(settings.state_dir)), options.site)
    version, told = settings.kubernetes.version, dict[str, Mapping[str, str]]()
    for name, site in sites.items():
        seen = _seen(site)
        told[name] = operations.upgrades(seen.nodes, version) if seen else {}
        for node, what in told[name].items():
            say.line("cluster", "check", f"{name}: {node} {what}")
        if not told[name]:
            say.line("cluster", "check", f"{name}: no cluster answers")
    say.line("cluster", "pinned", f"Kubernetes {version}, Kubespray {checkout.lock().version}")
    refused = any(what.startswith("refused") for nodes in told.values() for what in nodes.values())
    return {
        "env": settings.env,
        "platform": settings.platform,
        "kubernetes": version,
        "kubespray": checkout.lock().version,
        "sites": told,
        "exit_code": 3 if refused else 0,
    }


def _seen(site: Site) -> Seen | None:
    """A cluster as it tells of itself; None where none answers."""
    try:
        return cluster.read(site.kube.run(*cluster.QUERY, deadline_s=30.0).stdout) if site.kube.exists() else None
    except PlatformError:
        return None


def _made_by_kubespray(site: Site, next: str) -> None:
    seen = _seen(site)
    if seen is None or seen.engine != engines.KUBESPRAY:
        why = f"it was made by {seen.engine or 'nobody who said so'}" if seen else "no cluster answers"
        raise PreconditionMissing(f"{site.name}: not a cluster of Kubespray", why=why, next=next)


def _one_site(options: Options, command: str) -> None:
    if not options.site:
        raise UsageError("which site?", why="this takes one site", next=f"invoke {command} --site kvm-tacc")


def _must_type(settings: Settings, options: Options, word: str, what: str) -> None:
    """A word typed, as for destroy: this cannot be taken back."""
    if options.yes:
        return
    if not say.has_terminal():
        raise UsageError(
            "no terminal to ask on", why=f"{settings.platform}: {what}", next="the same command with --yes"
        )
    say.text(f"Type {word} to {what}:")
    if sys.stdin.readline().strip() != word:
        raise UsageError("not confirmed", next="invoke provision.status")


def _told(settings: Settings, started: float, **more: str) -> Json:
    seconds = round(time.monotonic() - started, 1)
    return {"env": settings.env, "platform": settings.platform, "ok": True, "exit_code": 0, "seconds": seconds, **more}
