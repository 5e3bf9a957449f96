"""Up, down and gone: the order in which the rehearsal's parts start and end."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from provision import say, shell
from provision.errors import PreconditionMissing, ToolMissing
from provision.settings import Settings, cache_dir
from provision.threads import interruptible
from rehearsal import artifacts, clouds, hosts, network
from rehearsal.artifacts import disk, servers
from rehearsal.clouds import trees
from rehearsal.hosts import roots

STATE = Path("/var/lib/tandem")
INOTIFY = 1024
REFUSE_STARTS = "#!/bin/sh\nexit 101\n"


def up(settings: Settings) -> None:
    """Each part is quick when it already stands, so a second `up` costs seconds."""
    places, cache = places_of(settings), cache_dir()
    if is_up(settings) and servers.is_up(places.state):
        if not artifacts.is_current(cache):
            _timed("artifacts", lambda: _refresh(settings, places))
        return
    started = time.monotonic()
    preflight(cache)
    _install(sorted({*network.APT_PACKAGES, *hosts.APT_PACKAGES, *artifacts.APT_PACKAGES, *clouds.APT_PACKAGES}))
    _raise_inotify()
    _timed("network", lambda: network.up(settings.platform))
    _timed("artifacts, node roots, cloud templates", lambda: _build(places))
    _timed("registry", lambda: servers.start(settings.platform, cache=cache, state=places.state, config=places.config))
    _timed("clouds", lambda: trees.up(places))
    say.line("rehearsal", "up", f"both clouds answer ({time.monotonic() - started:.0f}s)")


def _refresh(settings: Settings, places: trees.Places) -> None:
    """The lock or the checkout has changed since: what is new is built and served; hosts and clouds stay."""
    artifacts.ensure(places.cache, log_dir=places.state / "log")
    servers.start(settings.platform, cache=places.cache, state=places.state, config=places.config)


def _build(places: trees.Places) -> None:
    """Everything that is built once and then cached. Side by side: the clouds' seeding waits more than it works."""
    with interruptible(2) as pool:
        prepared = pool.submit(trees.prepare, places)
        artifacts.ensure(places.cache, log_dir=places.state / "log")
        roots.build(places.cache)
        prepared.result()


def is_up(settings: Settings) -> bool:
    """Whether both clouds run."""
    places = places_of(settings)
    return all(trees.is_up(places, site) for site in settings.sites)


def down(settings: Settings) -> None:
    """Clouds first (nova must not see its hosts vanish), then hosts, servers and the network; state stays."""
    places = places_of(settings)
    trees.stop(places)
    # Side by side: a host whose containers ignore the request to end takes its whole deadline.
    with interruptible(8) as pool:
        list(
            pool.map(
                lambda machine: hosts.stop(settings.platform, machine, keep=True), hosts.list_hosts(settings.platform)
            )
        )
    servers.stop(places.state)
    network.down(settings.platform)
    say.line("rehearsal", "down", "state is kept; invoke rehearsal.up")


def destroy(settings: Settings) -> list[str]:
    """Everything of it but the caches; the seal goes last."""
    places = places_of(settings)
    if not os.geteuid() == 0:
        raise PreconditionMissing("not root", next="sudo ./tandem invoke rehearsal.reset")
    trees.destroy(places)
    hosts.destroy_all(settings.platform)
    servers.stop(places.state)
    network.destroy(settings.platform)
    shutil.rmtree(places.state, ignore_errors=True)
    left = leftovers(settings)
    say.line("rehearsal", "gone", f"{len(left)} leftovers")
    for name in left:
        say.line("rehearsal", "left", name)
    return left


def platforms() -> list[str]:
    """Every platform whose rehearsal has left something here: by its state, or by its network namespace."""
    states = [path.name for path in STATE.iterdir()] if STATE.exists() else []
    namespaces = [path.name.removeprefix("tandem-") for path in Path("/run/netns").glob("tandem-*")]
    return sorted({*states, *namespaces})


def leftovers(settings: Settings) -> list[str]:
    """What of the rehearsal is on this machine, in words."""
    places = places_of(settings)
    found = [
        *trees.leftovers(places),
        *hosts.leftovers(settings.platform),
        *servers.leftovers(settings.platform, places.state),
        *network.leftovers(settings.platform),
    ]
    return found + ([str(places.state)] if places.state.exists() else [])


def preflight(cache: Path) -> None:
    """Refuse early, with what is missing and what can be done without it."""
    can = "`invoke provision.plan`, `nox -s tests` and everything with --env chameleon work here all the same"
    if os.geteuid() != 0:
        raise PreconditionMissing("the rehearsal needs root", why=can, next="sudo ./tandem invoke provision.all")
    if shell.find("apt-get") is None:
        raise ToolMissing(
            "the rehearsal needs a Debian or Ubuntu machine (apt-get)", why=can, next="./tandem invoke doctor"
        )
    cache.mkdir(parents=True, exist_ok=True)
    disk.require(cache, disk.WARM_GIB, "even with every binary cached", can=can)


def _install(packages: list[str]) -> None:
    installed = shell.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *packages], deadline_s=30, ok=(0, 1)
    )
    present = {row.split()[0] for row in installed.stdout.splitlines() if row.endswith(" installed")}
    missing = [name for name in packages if name not in present]
    if not missing:
        return
    say.line("rehearsal", "apply", f"Debian packages: {' '.join(missing)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    shell.run(["apt-get", "update", "-qq"], deadline_s=300, env=quiet, heartbeat="apt-get update")
    with _no_services_started():
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
        shell.run(install, deadline_s=900, env=quiet, heartbeat="apt-get install")


def _raise_inotify() -> None:
    """A host needs some 30 inotify instances, and the kernel counts those of all hosts together (128 by default)."""
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    if int(limit.read_text()) < INOTIFY:
        limit.write_text(f"{INOTIFY}\n")


@contextmanager
def _no_services_started() -> Iterator[None]:
    """Debian starts a package's service on installation, on ports of its own choosing; a policy file forbids it."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text(REFUSE_STARTS)
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()


def _timed(what: str, call: Callable[[], object]) -> None:
    started = time.monotonic()
    call()
    say.line("rehearsal", "done", f"{what} ... {time.monotonic() - started:.0f}s")


def places_of(settings: Settings) -> trees.Places:
    """Where this platform's rehearsal lies."""
    return trees.Places(
        platform=settings.platform, state=STATE / settings.platform, cache=cache_dir(), config=settings.config_dir
    )
