"""`doctor --live`: the smallest lease that there is, booted, reached, an object written, all of it removed again.

The steps' own code under a platform name of its own, so that nothing of a platform that stands is touched. What was
said with the clouds is kept, without what is secret, in the trial's run folder, in the form that tests replay.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from provision import embedded, pricing, say, writer
from provision.clouds.recorder import Recorder
from provision.commands import Options, confirm
from provision.doctor.finding import Finding
from provision.engine import converge, open_sites, undo
from provision.errors import PlatformError, StepFailed
from provision.settings import Registry, Settings, SiteSettings
from provision.site import Site
from provision.state import Run, locked
from provision.step import AnyStep
from provision.steps import lease, network, nodes

FLAVOR = "m1.small"
"""The smallest whose disk holds an Ubuntu image: m1.tiny has 1 GB."""
HOURS = 1
OBJECT, TEXT = "trial", "written by invoke doctor --live\n"
HOST_KINDS = ("file", "key", "server", "boot")
"""Of the changes of `nodes`: up to where ssh and cloud-init have answered."""
STEPS: tuple[AnyStep, ...] = (lease, network, nodes)


@dataclass(frozen=True)
class Trial:
    """The small platform. small: where its server is. store: where its object is, '' without an object store."""

    settings: Settings
    small: str
    store: str
    sites: Mapping[str, Site]

    @property
    def host(self) -> Site:
        """The site of the server."""
        return self.sites[self.small]


def findings(settings: Settings, options: Options) -> Iterator[Finding]:
    """Price first, then each stage with its seconds; whatever happens, everything is removed and looked for."""
    shrunk, small = shrink(settings)
    again = f"invoke doctor --env {settings.env} --live"
    if why := _no_room(settings, small):
        yield Finding("trial", False, why, f"invoke provision.destroy --env {settings.env}, then: {again}")
        return
    su = pricing.rate(shrunk.sites[small].lease) * HOURS
    say.line("trial", "plan", f"1 {FLAVOR} at {small} for {HOURS} h: {su:g} SU at most, given back when done")
    if settings.spends and not options.yes:
        confirm(f"Spend up to {su:g} SU?")
    run, recorders = Run(shrunk.state_dir), {name: Recorder() for name in settings.sites}
    sites = open_sites(shrunk, run, {name: recorder.session() for name, recorder in recorders.items()})
    store = settings.store_site
    with locked(shrunk, again), writer.admitted(shrunk, sites, again):
        try:
            yield from stages(Trial(shrunk, small, store, sites), again)
        finally:
            for name, recorder in recorders.items():
                path = run.folder / f"exchange.{name}.json"
                recorder.write(path)
                say.line("trial", "kept", str(path))
    shutil.rmtree(shrunk.config_dir, ignore_errors=True)


def stages(trial: Trial, again: str) -> Iterator[Finding]:
    """Up in order until one fails, then down in reverse, all of it, and a look at what is left."""
    ups: tuple[tuple[str, Callable[[Trial], str]], ...] = (
        ("leased", _lease),
        ("network", _network),
        ("booted and reached", _host),
        ("object written and read", _object),
    )
    try:
        for name, up in ups:
            found = _timed(f"trial {name}", partial(up, trial), again)
            yield found
            if not found.ok:
                break
    finally:
        faults = _remove(trial)
        say.line("trial", "done" if not faults else "fail", "removed" if not faults else "; ".join(faults))
    yield _timed("trial nothing left", partial(_nothing_left, trial), again)


def _no_room(settings: Settings, small: str) -> str:
    """Embedded clouds have one bridge a site: a second network with the same addresses would meet the first."""
    if settings.embedded is None:
        return ""
    if not embedded.is_up(settings):
        return "the rehearsal is not up: invoke rehearsal.up"
    standing = open_sites(settings, Run(settings.state_dir))[small].cloud.count_servers()
    return f"a rehearsal holds one platform, and {standing} servers stand" if standing else ""


def shrink(settings: Settings) -> tuple[Settings, str]:
    """The same testbed for a platform of one small server, and that server's site."""
    small = next(name for name, site in settings.sites.items() if site.lease.kind == "flavor:instance")
    platform = f"{settings.platform[:14].rstrip('-')}-trial"
    update = {
        "env": f"{settings.env}-trial",  # a state folder of its own: the platform's ssh configuration stays as it is
        "platform": platform,
        "clouds_file": str(settings.clouds_path),
        "registry": Registry(),  # nothing is pulled
        "sites": {**settings.sites, small: _small(settings.sites[small])},
    }
    return settings.model_copy(update=update), small


def _small(site: SiteSettings) -> SiteSettings:
    reserved = {"flavor": FLAVOR, "amount": 1, "hours": HOURS, "min_hours_left": 0}
    entry = site.entry.model_copy(update={"flavor": FLAVOR})
    return site.model_copy(
        update={"lease": site.lease.model_copy(update=reserved), "nodes": (entry,), "volume": None, "node_packages": ()}
    )


def _timed(name: str, question: Callable[[], str], again: str) -> Finding:
    started = time.monotonic()
    try:
        return Finding(name, True, f"{question()}, {time.monotonic() - started:.0f} s")
    except PlatformError as error:
        why = " ".join(filter(None, (error.what, error.why)))
        return Finding(name, False, f"{why} (after {time.monotonic() - started:.0f} s)", again)


def _lease(trial: Trial) -> str:
    changes = converge(lease, trial.host)
    return f"{changes} leases ACTIVE"


def _network(trial: Trial) -> str:
    converge(network, trial.host)
    return f"address {trial.host.cloud.floating_address()}"


def _host(trial: Trial) -> str:
    """The first changes of `nodes`, as its plan has them."""
    site = trial.host
    want = nodes.want(site.settings, site.name)
    for change in nodes.plan(want, nodes.look(site, want)):
        if change.what.split()[0] in HOST_KINDS:
            nodes.apply(site, change)
    return f"ssh and cloud-init of {site.own.entry.name} answer"


def _object(trial: Trial) -> str:
    if not trial.store:
        return "no site has an object store"
    door, container = trial.sites[trial.store].cloud.store, trial.settings.name(trial.store, OBJECT)
    door.create_container(container)
    door.write_object(container, OBJECT, TEXT)
    found = door.read_object(container, OBJECT)
    if found != TEXT:
        raise StepFailed(f"{trial.store}: the object does not read as it was written", why=repr(found))
    return f"{len(TEXT)} bytes in {container}"


def _remove(trial: Trial) -> list[str]:
    """Each thing on its own: what cannot be removed keeps nothing else. Returns what went wrong, in words."""
    faults = []
    downs: list[Callable[[], object]] = [partial(undo, step, trial.host, data=True) for step in STEPS[::-1]]
    if trial.store:
        container = trial.settings.name(trial.store, OBJECT)
        downs.append(partial(trial.sites[trial.store].cloud.store.delete_container, container))
    downs.append(trial.host.hosts.hang_up_all)
    for down in downs:
        try:
            down()
        except PlatformError as error:
            say.failure(error)
            faults.append(error.what)
    return faults


def _nothing_left(trial: Trial) -> str:
    places = {trial.small, trial.store} - {""}
    left = [f"{name}: {thing}" for name in sorted(places) for thing in trial.sites[name].cloud.list_leftovers()]
    if left:
        raise StepFailed(f"{len(left)} things of the trial are left", why=", ".join(left))
    return f"nothing of {trial.settings.platform} is left"
